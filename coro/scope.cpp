#include "coro/scope.hpp"

#include <algorithm>
#include <cassert>
#include <cstdio>
#include <cstdlib>
#include <vector>

namespace confab {

namespace {

thread_local constinit scope* scopes_without_task = nullptr;

bool is_task_canceled(const std::exception_ptr& exception) {
    try {
        std::rethrow_exception(exception);
    } catch (const task_canceled&) {
        return true;
    } catch (...) {
        return false;
    }
}

}  // namespace

struct ChildBase::Links : Job {
    explicit Links(ChildBase& owner) : Job(&run_late), child(owner) {}
    static void run_late(Job& job) noexcept {
        auto& self = static_cast<Links&>(job);
        ChildBase& child = self.child;
        self.queued = false;
        child.run_links();
        child.release();
    }

    struct Link {
        std::size_t number;
        std::function<void(ChildBase&)> function;
    };
    ChildBase& child;
    std::vector<Link> links;
    std::size_t newest = 0;
    bool queued = false;
};

ScopedTask::ScopedTask(Reactor& reactor, scope& owner, const char* name, std::source_location origin)
    : TaskContext(reactor, name, origin),
      Job([](Job& job) noexcept {
          auto& self = static_cast<ScopedTask&>(job);
          self.stop_requested() ? self.settle(false) : self.resume(self.body());
      }),
      owner_(&owner) {}

// The frame is at its last suspension; what may destroy it comes when nothing of it is on the stack.
void ScopedTask::finished() noexcept {
    run = [](Job& job) noexcept { static_cast<ScopedTask&>(job).settle(true); };
    reactor().ready(*this);
}

void ScopedTask::leave(std::exception_ptr failure) noexcept { owner_->child_over(*this, std::move(failure)); }

ChildBase::ChildBase(Reactor& reactor, scope& owner, const char* name, std::source_location origin)
    : ScopedTask(reactor, owner, name, origin) {}

ChildBase::~ChildBase() = default;

void ChildBase::conclude(bool started) {
    if (!started) {
        state_ = killed_with_ ? State::failed : State::canceled;
        exception_ = killed_with_;
        return;
    }
    exception_ = take_exception();
    state_ = State::returned;
    if (!exception_) return;
    const bool canceled = stop_requested() && is_task_canceled(exception_);
    state_ = canceled ? State::canceled : State::failed;
    if (canceled) exception_ = nullptr;
}

void ChildBase::settle(bool started) noexcept {
    conclude(started);
    joiners_.wake_all();
    run_links();
    leave(exception_);
    release();
}

void ChildBase::kill_with(std::exception_ptr exception) {
    if (stop_requested()) return;
    killed_with_ = std::move(exception);
    request_stop(StopReason::canceled);
}

void ChildBase::throw_stop() const {
    if (killed_with_) std::rethrow_exception(killed_with_);
    TaskContext::throw_stop();
}

void ChildBase::release() noexcept {
    if (--references_ == 0) destroy();
}

std::size_t ChildBase::link(std::function<void(ChildBase&)> function) {
    if (!links_) links_ = std::make_unique<Links>(*this);
    links_->links.push_back({++links_->newest, std::move(function)});
    if (over() && !links_->queued) {
        links_->queued = true;
        retain();
        reactor().ready(*links_);
    }
    return links_->newest;
}

void ChildBase::unlink(std::size_t number) {
    if (links_) std::erase_if(links_->links, [&](const Links::Link& link) { return link.number == number; });
}

// One at a time off the front: a link may take back one that has not run yet.
void ChildBase::run_links() {
    while (links_ && !links_->links.empty()) {
        const auto function = std::move(links_->links.front().function);
        links_->links.erase(links_->links.begin());
        try {
            function(*this);
        } catch (const std::exception& thrown) {
            std::fprintf(stderr, "a link of task \"%s\" threw: %s\n", name(), thrown.what());
        } catch (...) {
            std::fprintf(stderr, "a link of task \"%s\" threw\n", name());
        }
    }
}

scope::scope(OnFailure on_failure)
    : scope(TaskContext::current() != nullptr ? TaskContext::current()->reactor() : *Reactor::current(),
            on_failure) {}

scope::scope(Reactor& reactor, OnFailure on_failure)
    : reactor_(reactor), owner_(TaskContext::current()), on_failure_(on_failure) {
    scope*& list = owner_ != nullptr ? owner_->first_scope_ : scopes_without_task;
    next_ = std::exchange(list, this);
}

scope::~scope() {
    if (size_ > 0) {
        std::fprintf(stderr, "confab: a scope was destroyed with %zu tasks in it; join it first\n", size_);
        std::abort();
    }
    scope** link = owner_ != nullptr ? &owner_->first_scope_ : &scopes_without_task;
    while (*link != this) link = &(*link)->next_;
    *link = next_;
}

const scope* scope::first_without_task() { return scopes_without_task; }

void scope::adopt(ScopedTask& newcomer) {
    newcomer.next_ = children_;
    if (children_ != nullptr) children_->previous_ = &newcomer;
    children_ = &newcomer;
    ++size_;
    if (stop_reason_ != StopReason::none) newcomer.request_stop(stop_reason_);
    reactor_.ready(newcomer);
}

void scope::child_over(ScopedTask& child, std::exception_ptr failure) noexcept {
    (child.previous_ == nullptr ? children_ : child.previous_->next_) = child.next_;
    if (child.next_ != nullptr) child.next_->previous_ = child.previous_;
    child.next_ = child.previous_ = nullptr;
    --size_;
    if (failure && on_failure_ == OnFailure::stop_siblings && !failure_) {
        failure_ = std::move(failure);
        request_stop();
    }
    if (size_ > 0) return;
    if (joiner_ != nullptr) reactor_.ready(*std::exchange(joiner_, nullptr));
    if (when_empty_) when_empty_();
}

void scope::request_stop(StopReason reason) {
    if (stop_reason_ != StopReason::none) return;
    stop_reason_ = reason;
    for (TaskContext* child = children_; child != nullptr; child = child->next_) child->request_stop(reason);
}

const WaitKind scope::JoinAwaiter::join_kind{"join", &stop_children};

scope::JoinAwaiter::JoinAwaiter(scope& joined, std::source_location origin)
    : Job([](Job& job) noexcept {
          auto& self = static_cast<JoinAwaiter&>(job);
          self.context_->resume(self.handle_);
      }),
      Waiter{.wait_kind = &join_kind, .where = origin},
      scope_(joined) {}

bool scope::JoinAwaiter::await_suspend(std::coroutine_handle<> handle) noexcept {
    if (scope_.size_ == 0) return false;
    assert(scope_.joiner_ == nullptr && "one task joins a scope");
    context_ = TaskContext::current();
    handle_ = handle;
    if (context_->stop_requested()) scope_.request_stop(context_->stop_reason());
    scope_.joiner_ = this;
    context_->suspend_in(*this);
    return true;
}

void scope::JoinAwaiter::await_resume() const {
    if (scope_.failure_) std::rethrow_exception(std::exchange(scope_.failure_, nullptr));
}

void scope::JoinAwaiter::stop_children(Waiter& waiter) noexcept {
    auto& self = static_cast<JoinAwaiter&>(waiter);
    self.scope_.request_stop(self.context_->stop_reason());
}

}  // namespace confab
