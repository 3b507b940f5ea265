#include "coro/scope.hpp"

#include <cassert>
#include <cstdio>
#include <cstdlib>

namespace confab {

namespace {

thread_local constinit scope* scopes_without_task = nullptr;

}  // namespace

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

ChildBase& scope::start(std::coroutine_handle<> body, const char* name, std::source_location origin) {
    void* block = nullptr;
    try {
        block = block_cache::allocate(sizeof(ChildBase));
    } catch (...) {
        body.destroy();
        throw;
    }
    auto& newcomer = *::new (block) ChildBase(*this, body, name, origin);
    adopt(newcomer);
    return newcomer;
}

void scope::adopt(ScopedTask& newcomer) {
    newcomer.next_ = children_;
    if (children_ != nullptr) children_->previous_ = &newcomer;
    children_ = &newcomer;
    ++size_;
    if (stop_requested()) newcomer.request_stop(stop_reason_);
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
    if (size_ == 0 && joiner_ != nullptr) reactor_.ready(*std::exchange(joiner_, nullptr));
    if (watcher_ != nullptr) watcher_->gone(*watcher_);
}

bool scope::request_stop(StopReason reason) {
    if (stop_requested()) return false;
    stop_reason_ = reason;
    for (TaskContext* child = children_; child != nullptr; child = child->next_) child->request_stop(reason);
    return true;
}

const WaitKind scope::JoinAwaiter::join_kind{"join", &stop_children};

scope::JoinAwaiter::JoinAwaiter(scope& joined, std::source_location origin)
    : Job(&join_or_wait_on), Waiter{.wait_kind = &join_kind, .where = origin}, scope_(joined) {}

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

// Between the end of the last task and this job, another may have spawned one more.
void scope::JoinAwaiter::join_or_wait_on(Job& job) noexcept {
    auto& self = static_cast<JoinAwaiter&>(job);
    if (self.scope_.size_ == 0) return self.context_->resume(self.handle_);
    self.scope_.joiner_ = &self;
}

void scope::JoinAwaiter::await_resume() const {
    if (scope_.failure_) std::rethrow_exception(std::exchange(scope_.failure_, nullptr));
}

void scope::JoinAwaiter::stop_children(Waiter& waiter) noexcept {
    auto& self = static_cast<JoinAwaiter&>(waiter);
    self.scope_.request_stop(self.context_->stop_reason());
}

}  // namespace confab
