// Internal to pools: a started process, as its handles and the list of children share it.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>

#include "pools/annotated_mutex.hpp"
#include "pools/clock.hpp"
#include "pools/fd.hpp"
#include "pools/processes/exit_status.hpp"
#include "pools/processes/process.hpp"

namespace confab::processes {

/// A process of ours, from start to end. How its status comes is up to who forked it. Any thread.
class ProcessRecord {
  public:
    ProcessRecord(process_info info, Fd pidfd);
    ProcessRecord(const ProcessRecord&) = delete;
    ProcessRecord& operator=(const ProcessRecord&) = delete;
    virtual ~ProcessRecord() = default;

    /// The status if it has ended. Never blocks.
    virtual std::optional<exit_status> collect() = 0;
    /// Waits until it has ended, and gives whether it has.
    virtual bool wait_until(Instant deadline) = 0;

    void send_signal(int number) const;

    pid_t pid() const { return pid_; }
    bool daemon() const { return daemon_; }
    int pidfd() const { return pidfd_.get(); }
    /// The process that holds this record is the one that made it, not a forked copy.
    bool is_ours() const;

    process_info info() const;
    void set_name(std::string name);

    /// In a forked copy: this process has no use for the descriptor.
    void forget() noexcept { pidfd_ = Fd(); }

  private:
    const pid_t pid_;
    const bool daemon_;
    const pid_t owner_;
    Fd pidfd_;  // constant, but in a forked copy
    mutable Mutex name_mutex_;
    std::string name_ CONFAB_GUARDED_BY(name_mutex_);
};

/// A child in the kernel's sense.
class DirectChild final : public ProcessRecord {
  public:
    using ProcessRecord::ProcessRecord;

    std::optional<exit_status> collect() override;
    bool wait_until(Instant deadline) override;

  private:
    Mutex mutex_;
    std::optional<exit_status> status_ CONFAB_GUARDED_BY(mutex_);
};

}  // namespace confab::processes
