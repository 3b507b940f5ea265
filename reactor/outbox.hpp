// Public: the bytes that a connection is owed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "reactor/job.hpp"
#include "reactor/reactor.hpp"
#include "reactor/shared_bytes.hpp"

namespace confab {

/// A queue of shared bytes in front of one descriptor's send. Empty, it holds no memory. It sets no bound
/// itself: who pushes looks at `size` first and decides what happens at the bound (wait, drop, disconnect).
///
/// Reactor's thread only. Must not die while `sending`.
class Outbox {
  public:
    explicit Outbox(int fd) : fd_(fd) {}
    Outbox(const Outbox&) = delete;
    Outbox& operator=(const Outbox&) = delete;
    ~Outbox();

    /// Bytes that are queued or being sent, urgent ones included.
    std::size_t size() const { return size_; }
    bool empty() const { return size_ == 0; }
    bool sending() const { return flight_ != nullptr; }
    /// 0, or the -errno that ended sending; from then on what is pushed is dropped.
    int error() const { return error_; }

    /// Puts `bytes` last. Nothing is sent before `flush`.
    void push(SharedBytes bytes);

    /// Puts `bytes` before all that has been pushed and is not being sent, behind earlier urgent ones. For
    /// what must not wait behind data. Each push so far has to be something that others may come between.
    void push_urgent(SharedBytes bytes);
    /// Bytes that were pushed as urgent and are not being sent yet.
    std::size_t urgent_size() const;

    /// Sends what is queued, with as few system calls as it takes; what does not fit now goes on in the
    /// background. `limit`: the longest that the peer may take nothing of it before it ends with -ETIMEDOUT;
    /// zero: no limit.
    void flush(Duration limit = Duration::max());

    /// Gives up on what is queued. A send in flight is cancelled; `when_idle` still comes.
    void abandon(int error);

    /// Sends no more, and keeps what has not been sent: a send in flight is cancelled, and `when_idle` comes
    /// when it has ended.
    void pause();
    /// Takes out what is queued. Requires: not sending().
    std::string withdraw();

    /// Runs `job` once as soon as nothing is queued or being sent, or sending has failed. Requires:
    /// sending().
    void when_idle(Job& job);
    /// Takes back a `when_idle`. False: it is on its way.
    bool forget_when_idle(Job& job);

  private:
    struct Batch;
    struct Flight;

    static void append(Batch*& first, Batch*& last, SharedBytes bytes);
    void let_urgent_pass();
    bool send_at_once();
    void drop_sent(std::size_t count);
    void clear();
    void send_on();
    void end_flight(int error);

    std::size_t size_ = 0;
    Batch* first_ = nullptr;
    Batch* last_ = nullptr;
    Batch* urgent_ = nullptr;  // mostly there is none, and seldom more than one batch
    Flight* flight_ = nullptr;
    int fd_;
    int error_ = 0;
    bool torn_ = false;  // true exactly when some of the first slice has been sent, and not all
};

}  // namespace confab
