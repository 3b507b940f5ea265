// Public: a connection, as tasks see it. Lifetimes: docs/lifetimes.md.
#pragma once

#include <expected>
#include <memory>
#include <optional>
#include <source_location>
#include <string_view>
#include <system_error>
#include <utility>

#include "coro/operation_awaiter.hpp"
#include "coro/task.hpp"
#include "pools/fd.hpp"
#include "reactor/block_cache.hpp"
#include "reactor/outbox.hpp"

namespace confab {

/// What input gives: bytes or an error.
using Received = std::expected<LentBytes, std::error_code>;
/// What output gives: nothing, or an error.
using Sent = std::expected<void, std::error_code>;

/// The bytes of a text.
inline Bytes as_bytes(std::string_view text) { return std::as_bytes(std::span(text)); }
/// The text that bytes are.
inline std::string_view as_text(Bytes bytes) {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

/// How long a stream waits where its user names no limit. Shared by many streams; outlives them.
struct StreamLimits {
    Duration first_byte = no_limit;  ///< for the first bytes to come
    Duration idle = no_limit;        ///< for more bytes to come
    Duration send = no_limit;        ///< for the peer to take some of what it is owed
};

/// A connected stream socket on a reactor. Owns its descriptor: it must be closed (`co_await close()`) before
/// it dies, since what the kernel still holds of it is freed only then. One task receives; one task at a time
/// sends. Reactor's thread only.
///
/// Errors are values: operation_canceled and timed_out (see below), or what the system call said.
class Stream {
  public:
    /// Takes over `fd`, a connected socket.
    Stream(Reactor& reactor, int fd, const StreamLimits& limits = unlimited)
        : reactor_(reactor), limits_(limits), outbox_(fd), fd_(fd) {}
    Stream(const Stream&) = delete;
    Stream& operator=(const Stream&) = delete;
    /// Requires: closed.
    ~Stream();

    int fd() const { return fd_; }
    Reactor& reactor() const { return reactor_; }
    bool is_open() const { return fd_ >= 0; }
    const StreamLimits& limits() const { return limits_; }
    /// How long the next `receive` waits that names no limit.
    Duration receive_limit() const { return received_ ? limits_.idle : limits_.first_byte; }
    /// True when the peer's end of stream, or an error in its stead, has been received.
    bool at_end() const { return at_end_; }

    class Receive;
    class QueueAwaiter;
    class Send;
    class Flush;
    class Close;
    class Release;

    /// Waits for bytes and lends them: they belong to the reactor and are valid until this task's next
    /// co_await; until then they may be changed in place. Empty: end of stream. timed_out: nothing came
    /// within `limit`, or the stream's own limit when there is none.
    [[nodiscard]] Receive receive(std::source_location where = std::source_location::current());
    [[nodiscard]] Receive receive(Duration limit,
                                  std::source_location where = std::source_location::current());

    /// Sends all of `bytes`, which may be lent: returns when they are written, or queued for sending when
    /// little is queued (64 KiB); past that it waits until all is written, which is the back-pressure.
    /// timed_out: the peer took nothing for the stream's limit. After an error the stream can only be closed
    /// - but for operation_canceled of a task that was asked to stop while this waited: then all is written
    /// or queued.
    [[nodiscard]] Send send(Bytes bytes, std::source_location where = std::source_location::current());
    [[nodiscard]] Send send(std::string_view text,
                            std::source_location where = std::source_location::current());

    /// Waits until nothing is queued. An error of a send that went on in the background comes out here, too.
    [[nodiscard]] Flush flush(std::source_location where = std::source_location::current());

    /// Ends our direction (SHUT_WR): the peer sees end of stream once it has read what was sent before. Flush
    /// first.
    Sent shutdown_send();

    /// Closes the descriptor; a join: what is in flight on it is cancelled and waited for, what is queued is
    /// dropped. Never fails and cannot be cancelled. Twice: no effect.
    [[nodiscard]] Close close(std::source_location where = std::source_location::current());

    /// Lets go of the descriptor, open as it is: a join, as close is. The bytes are those that had come and
    /// were not received; they are valid until this task's next co_await. Requires: the outbox is not
    /// sending. Cannot be cancelled.
    [[nodiscard]] Release release(std::source_location where = std::source_location::current());

    /// What is owed to the peer, for those who queue shared bytes themselves.
    Outbox& outbox() { return outbox_; }

  private:
    static const StreamLimits unlimited;

    Reactor& reactor_;
    const StreamLimits& limits_;
    Outbox outbox_;
    int fd_;
    bool received_ = false;  // true exactly when bytes have come
    bool at_end_ = false;
};

class [[nodiscard]] Stream::Receive : public OperationAwaiter {
  public:
    Receive(Stream& stream, Duration limit, std::source_location where)
        : OperationAwaiter(Kind::receive, stream.fd_, limit, where), stream_(stream) {}
    bool await_suspend(std::coroutine_handle<> handle) noexcept {
        return begin(handle) && !stream_.reactor_.wait_in(*this) && submit();
    }
    Received await_resume() const {
        if (result > 0) [[likely]] {
            stream_.received_ = true;
            return bytes;
        }
        return ended();
    }

  private:
    Received ended() const;

    Stream& stream_;
};

/// What sending and flushing share: the wait until the outbox is idle.
class Stream::QueueAwaiter : public OperationAwaiter {
  public:
    Sent await_resume() const {
        if (result >= 0 && stream_.outbox_.error() == 0) [[likely]]
            return {};
        return failed();
    }

  protected:
    QueueAwaiter(Stream& stream, std::source_location where)
        : OperationAwaiter(Kind::send, stream.fd_, where), stream_(stream) {}
    void wait_until_idle() noexcept;

    Stream& stream_;

  private:
    static const WaitKind queue_kind;

    Sent failed() const;
};

/// Direct where it can be: the bytes go to the kernel from where they lie, by a call here and now, or, where
/// lent bytes stay put (io_uring), with the turn's other entries. What does not go at once is copied into the
/// outbox, which goes on by itself.
class [[nodiscard]] Stream::Send {
  public:
    Send(Stream& stream, Bytes bytes, std::source_location where)
        : stream_(stream), bytes_(bytes), where_(where) {}
    /// True: all of it has gone, and it was nobody else's turn. Most sends end here.
    bool await_ready() noexcept;
    /// Throws std::bad_alloc.
    bool await_suspend(std::coroutine_handle<> handle);
    Sent await_resume() const {
        if (rest_ == nullptr) [[likely]]
            return {};
        return rest_->await_resume();
    }

  private:
    // A send that is more than that one call. Few are at any time, so it has no room in the frame.
    class Rest : public QueueAwaiter {
      public:
        Rest(Stream& stream, Bytes bytes, std::source_location where)
            : QueueAwaiter(stream, where), rest_{const_cast<std::byte*>(bytes.data()), bytes.size()} {}
        /// `tried`: what the call has said that was made already, if it was. True: suspended.
        bool start(std::coroutine_handle<> handle, std::optional<int> tried) noexcept;

      private:
        // Bytes that may be queued before a sender has to wait.
        static constexpr std::size_t queue_limit = 64 * 1024;

        bool go_on_after(int sent);
        bool send_with_the_turn();
        static void tried_with_the_turn(Operation& operation) noexcept;
        bool goes_on();
        bool enqueue();

        Bytes rest() const { return {static_cast<const std::byte*>(rest_.iov_base), rest_.iov_len}; }

        iovec rest_;  // what has not been taken yet
    };

    Stream& stream_;
    const Bytes bytes_;
    const std::source_location where_;
    std::optional<int> tried_;
    struct Free {
        void operator()(Rest* rest) const noexcept { block_cache::destroy(rest); }
    };
    std::unique_ptr<Rest, Free> rest_;
};

class [[nodiscard]] Stream::Flush : public QueueAwaiter {
  public:
    Flush(Stream& stream, std::source_location where) : QueueAwaiter(stream, where) {}
    bool await_suspend(std::coroutine_handle<> handle) noexcept;
};

class [[nodiscard]] Stream::Close : public OperationAwaiter {
  public:
    Close(Stream& stream, std::source_location where);
    bool await_ready() const noexcept { return fd < 0; }
    bool await_suspend(std::coroutine_handle<> handle) noexcept;
    void await_resume() const {}

  private:
    Stream& stream_;
};

inline Stream::Receive Stream::receive(std::source_location where) {
    return Receive(*this, receive_limit(), where);
}

inline Stream::Receive Stream::receive(Duration limit, std::source_location where) {
    return Receive(*this, limit, where);
}

inline Stream::Send Stream::send(Bytes bytes, std::source_location where) {
    return Send(*this, bytes, where);
}

inline Stream::Send Stream::send(std::string_view text, std::source_location where) {
    return Send(*this, as_bytes(text), where);
}

inline Stream::Flush Stream::flush(std::source_location where) { return Flush(*this, where); }

class [[nodiscard]] Stream::Release : public OperationAwaiter {
  public:
    struct Released {
        Fd descriptor;
        LentBytes received;
        std::error_code error;  ///< the connection's, that nobody had heard of
    };

    Release(Stream& stream, std::source_location where)
        : OperationAwaiter(Kind::release, stream.fd_, where), descriptor_(std::exchange(stream.fd_, -1)) {}
    Released await_resume() {
        return {.descriptor = std::move(descriptor_),
                .received = bytes,
                .error = std::error_code(-result, std::generic_category())};
    }

  private:
    Fd descriptor_;
};

inline Stream::Release Stream::release(std::source_location where) { return Release(*this, where); }

inline Stream::Close Stream::close(std::source_location where) { return Close(*this, where); }

}  // namespace confab
