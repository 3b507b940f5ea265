// Public: task<T>, the type of every coroutine here. Lifetimes: docs/lifetimes.md.
#pragma once

#include <coroutine>
#include <exception>
#include <optional>
#include <type_traits>
#include <utility>

#include "coro/context.hpp"
#include "reactor/block_cache.hpp"
#include "reactor/thread_counts.hpp"

namespace confab {

template <class T>
class task;

/// What the promises of all tasks share. Frames come from the calling thread's block cache.
struct PromiseBase {
    static void* operator new(std::size_t size) {
        void* const frame = block_cache::allocate(size);
        ++thread_counts.frames_alive;
        thread_counts.frame_bytes += size;
        return frame;
    }
    static void operator delete(void* frame, std::size_t size) noexcept {
        --thread_counts.frames_alive;
        thread_counts.frame_bytes -= size;
        block_cache::release(frame, size);
    }

    std::suspend_always initial_suspend() noexcept { return {}; }

    // On to whoever awaits, by symmetric transfer: a chain of a million tasks that end one after the other
    // takes no stack. Nobody awaits: this is the outermost coroutine of its context.
    struct Finish {
        bool await_ready() noexcept { return false; }
        template <class Promise>
        std::coroutine_handle<> await_suspend(std::coroutine_handle<Promise> handle) noexcept {
            if (handle.promise().continuation) return handle.promise().continuation;
            TaskContext::current()->set_over();
            return std::noop_coroutine();
        }
        void await_resume() noexcept {}
    };
    Finish final_suspend() noexcept { return {}; }

    void unhandled_exception() noexcept { exception = std::current_exception(); }

    std::coroutine_handle<> continuation;
    std::exception_ptr exception;
};

template <class T>
struct Promise : PromiseBase {
    task<T> get_return_object() noexcept;
    template <class U>
        requires std::is_constructible_v<T, U&&>
    void return_value(U&& value) {
        result.emplace(std::forward<U>(value));
    }
    T take() {
        if (exception) std::rethrow_exception(std::exchange(exception, nullptr));
        return std::move(*result);
    }
    std::optional<T> result;
};

template <>
struct Promise<void> : PromiseBase {
    task<void> get_return_object() noexcept;
    void return_void() noexcept {}
    void take() {
        if (exception) std::rethrow_exception(std::exchange(exception, nullptr));
    }
};

/// A coroutine that will give a T. Lazy: it starts when it is awaited (once, as an rvalue: `co_await f(x)`)
/// or spawned in a scope, and runs on that task's reactor and thread. What it throws comes out of the await.
///
/// It owns its frame: a task that was never started is destroyed with its arguments; one that is suspended
/// must not be (scopes and awaiting frames see to that).
///
/// Parameters of a coroutine are copied into its frame, references are not followed; so pass by value what
/// must live, and never write a coroutine as a lambda with captures: captures live in the closure object, not
/// in the frame (C++ Core Guidelines CP.51).
template <class T = void>
class [[nodiscard]] task {
  public:
    using promise_type = Promise<T>;
    using value_type = T;
    using Handle = std::coroutine_handle<promise_type>;

    task() = default;
    explicit task(Handle handle) : handle_(handle) {}
    task(task&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
    task& operator=(task&& other) noexcept {
        std::swap(handle_, other.handle_);
        return *this;
    }
    ~task() {
        if (handle_) handle_.destroy();
    }

    auto operator co_await() && noexcept {
        struct Awaiter {
            Handle handle;
            bool await_ready() noexcept { return false; }
            std::coroutine_handle<> await_suspend(std::coroutine_handle<> continuation) noexcept {
                handle.promise().continuation = continuation;
                return handle;
            }
            T await_resume() { return handle.promise().take(); }
        };
        return Awaiter{handle_};
    }

    explicit operator bool() const { return handle_ != nullptr; }
    /// For what starts tasks: its frame; and that given away.
    Handle handle() const { return handle_; }
    [[nodiscard]] Handle release() && { return std::exchange(handle_, nullptr); }

  private:
    Handle handle_ = nullptr;
};

template <class T>
task<T> Promise<T>::get_return_object() noexcept {
    return task<T>(std::coroutine_handle<Promise<T>>::from_promise(*this));
}

inline task<void> Promise<void>::get_return_object() noexcept {
    return task<void>(std::coroutine_handle<Promise<void>>::from_promise(*this));
}

}  // namespace confab
