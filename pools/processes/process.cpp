#include "pools/processes/process.hpp"

#include <unistd.h>

#include <stdexcept>
#include <utility>

#include "pools/processes/children.hpp"
#include "pools/processes/forking.hpp"
#include "pools/processes/process_record.hpp"

namespace confab::processes {

namespace {

// While it lives, the library has no thread of its own in this process.
class ChildrenAtRest {
  public:
    ChildrenAtRest() { Children::of_this_process().rest(); }
    ChildrenAtRest(const ChildrenAtRest&) = delete;
    ChildrenAtRest& operator=(const ChildrenAtRest&) = delete;
    ~ChildrenAtRest() {
        if (!working_) Children::of_this_process().work();
    }
    /// Ends the rest, throwing what is wrong.
    void work() {
        Children::of_this_process().work();
        working_ = true;
    }

  private:
    bool working_ = false;
};

process_options completed(process_options options) {
    if (options.name.empty()) options.name = next_child_name();
    if (!options.daemon) options.daemon = current().daemon;
    return options;
}

}  // namespace

process::process() noexcept { options_.daemon = false; }

process::process(process_options options, std::unique_ptr<ProcessBody> body)
    : options_(completed(std::move(options))), body_(std::move(body)) {}

process::process(process_options options, std::shared_ptr<ProcessRecord> record)
    : options_(std::move(options)), record_(std::move(record)) {}

process::process(process&& other) noexcept = default;

process& process::operator=(process&& other) noexcept {
    if (this == &other) return *this;
    let_go();
    options_ = std::move(other.options_);
    body_ = std::move(other.body_);
    record_ = std::move(other.record_);
    return *this;
}

process::~process() { let_go(); }

void process::let_go() noexcept {
    if (!record_ || !record_->is_ours()) return;
    if (daemon()) {
        stop(daemon_grace);
    } else {
        join();
    }
}

void process::start() {
    if (record_) throw std::logic_error("a process is started once: make another one to run it again");
    if (!body_) throw std::logic_error("there is nothing to start: the handle was moved from, or made empty");
    ChildrenAtRest rest;
    require_single_thread();
    ChildPlan plan{.name = options_.name,
                   .daemon = daemon(),
                   .when_orphaned = options_.when_orphaned,
                   .parent = current(),
                   .parent_sentinel = open_pidfd(::getpid())};
    ForkedChild child(plan, *body_);
    const auto record = std::make_shared<DirectChild>(
        process_info{.pid = child.pid(), .name = options_.name, .daemon = daemon()}, child.take_pidfd());
    Children::of_this_process().add(record);
    rest.work();
    child.let_live();
    record_ = record;
    body_.reset();
}

void process::join() { record().wait_until(never); }

bool process::join_for(Duration limit) { return join_until(deadline_in(limit)); }

bool process::join_until(Instant deadline) { return record().wait_until(deadline); }

void process::send_signal(int number) { record().send_signal(number); }

exit_status process::stop(Duration grace) {
    terminate();
    if (!join_for(grace)) {
        kill();
        join();
    }
    return *status();
}

bool process::alive() const { return record_ && !record().collect(); }

std::optional<exit_status> process::status() const {
    if (!record_) return std::nullopt;
    return record().collect();
}

std::optional<int> process::exitcode() const {
    const std::optional<exit_status> ended = status();
    return ended ? ended->exitcode() : std::nullopt;
}

std::optional<pid_t> process::pid() const {
    return record_ ? std::optional<pid_t>(record_->pid()) : std::nullopt;
}

int process::sentinel() const { return record().pidfd(); }

void process::set_name(std::string name) {
    if (record_) record_->set_name(name);
    options_.name = std::move(name);
}

void process::set_daemon(bool daemon) {
    if (record_) throw std::logic_error("a process is made a daemon before its start, or never");
    options_.daemon = daemon;
}

ProcessRecord& process::record() const {
    if (!record_) throw std::logic_error("the process has not been started: call start first");
    if (!record_->is_ours()) {
        throw std::logic_error(
            "the process was started by another one: only that one can wait for it or signal it");
    }
    return *record_;
}

std::vector<process_info> all() {
    std::vector<process_info> found;
    for (const auto& record : Children::of_this_process().living()) found.push_back(record->info());
    return found;
}

}  // namespace confab::processes
