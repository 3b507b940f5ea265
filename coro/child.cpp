#include "coro/child.hpp"

#include <cstdio>
#include <new>

#include "coro/scope.hpp"

namespace confab {

namespace {

bool is_task_canceled(const std::exception_ptr& exception) {
    try {
        std::rethrow_exception(exception);
    } catch (const task_canceled&) {
        return true;
    } catch (...) {
        return false;
    }
}

// The part that all promises have lies at the same place in all frames; `child` asserts it.
PromiseBase& promise_of(std::coroutine_handle<> body) {
    return std::coroutine_handle<PromiseBase>::from_address(body.address()).promise();
}

}  // namespace

ScopedTask::ScopedTask(Reactor& reactor, scope& owner, const char* name, std::source_location origin)
    : Job([](Job& job) noexcept {
          auto& self = static_cast<ScopedTask&>(job);
          self.stop_requested() ? self.settle(false) : self.resume(self.body());
      }),
      TaskContext(reactor, name, origin),
      owner_(&owner) {}

void ScopedTask::leave(std::exception_ptr failure) noexcept { owner_->child_over(*this, std::move(failure)); }

static_assert(sizeof(ChildBase) <= 128, "a task is to cost two granules of the block cache");

ChildBase::ChildBase(scope& owner, std::coroutine_handle<> body, const char* name,
                     std::source_location origin)
    : ScopedTask(owner.reactor(), owner, name, origin), body_(body) {}

ChildBase::~ChildBase() { body_.destroy(); }

void ChildBase::destroy() noexcept {
    this->~ChildBase();
    block_cache::release(this, sizeof(ChildBase));
}

// It threw, or was to be killed with an exception before it began.
std::exception_ptr ChildBase::exception() const {
    if (state_ != State::failed) return nullptr;
    const std::exception_ptr& thrown = promise_of(body_).exception;
    return thrown ? thrown : stop_exception();
}

ScopedTask::State ChildBase::conclusion(bool started) noexcept {
    if (!started) return stop_exception() ? State::failed : State::canceled;
    std::exception_ptr& thrown = promise_of(body_).exception;
    if (!thrown) return State::returned;
    if (stop_reason() == StopReason::none || !is_task_canceled(thrown)) return State::failed;
    thrown = nullptr;
    return State::canceled;
}

void ChildBase::settle(bool started) noexcept {
    state_ = conclusion(started);
    joiners_.wake_all();
    run_links();
    leave(exception());
    release();
}

void ChildBase::add(ChildLink& link) {
    if (first_link_ == nullptr) {
        first_link_ = link.next = link.previous = &link;
        return;
    }
    link.next = first_link_;
    link.previous = first_link_->previous;
    link.previous->next = first_link_->previous = &link;
}

void ChildBase::remove(ChildLink& link) {
    if (link.previous == nullptr) return;
    link.previous->next = link.next;
    link.next->previous = link.previous;
    if (first_link_ == &link) first_link_ = link.next == &link ? nullptr : link.next;
    link.next = link.previous = nullptr;
}

// One at a time off the front: a link may take back one that has not run yet.
void ChildBase::run_links() noexcept {
    while (ChildLink* const link = first_link_) {
        remove(*link);
        link->run(*link);
    }
}

// A link with a function; it owns itself. One that comes when the task is over runs as a job.
struct ChildBase::FunctionLink : ChildLink, Job {
    FunctionLink(ChildBase& owner, std::function<void(ChildBase&)> its_function)
        : ChildLink(&run_as_link), Job(&run_as_job), child(owner), function(std::move(its_function)) {
        static thread_local std::size_t newest = 0;
        number = ++newest;
    }

    static void run_as_link(ChildLink& link) noexcept { static_cast<FunctionLink&>(link).call(); }
    static void run_as_job(Job& job) noexcept {
        auto& self = static_cast<FunctionLink&>(job);
        self.child.base().remove(self);
        self.call();
    }

    void call() noexcept {
        try {
            if (function) function(child.base());
        } catch (const std::exception& thrown) {
            std::fprintf(stderr, "confab: a link of a task (%s) threw: %s\n", child.base().name(),
                         thrown.what());
        } catch (...) {
            std::fprintf(stderr, "confab: a link of a task (%s) threw\n", child.base().name());
        }
        delete this;
    }

    const any_child child;
    std::size_t number = 0;
    std::function<void(ChildBase&)> function;
    bool is_job = false;
};

std::size_t ChildBase::link(std::function<void(ChildBase&)> function) {
    auto* const link = new FunctionLink(*this, std::move(function));
    add(*link);
    if (over()) {
        link->is_job = true;
        reactor().ready(*link);
    }
    return link->number;
}

void ChildBase::unlink(std::size_t number) {
    ChildLink* link = first_link_;
    if (link == nullptr) return;
    do {
        auto* const candidate = static_cast<FunctionLink*>(link);
        if (link->run == &FunctionLink::run_as_link && candidate->number == number) {
            remove(*link);
            candidate->function = nullptr;
            if (!candidate->is_job) delete candidate;
            return;
        }
        link = link->next;
    } while (link != first_link_);
}

}  // namespace confab
