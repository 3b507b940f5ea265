// Internal to pools: what the handles of one future share.
#pragma once

#include <atomic>
#include <cstdint>
#include <exception>
#include <future>
#include <optional>
#include <stdexcept>
#include <type_traits>
#include <utility>
#include <variant>

#include "pools/annotated_mutex.hpp"
#include "pools/clock.hpp"
#include "pools/futex.hpp"

namespace confab {

enum class future_status : std::uint8_t {
    pending,   ///< not begun; can still be canceled
    running,   ///< somebody works on it
    canceled,  ///< nobody will
    done,      ///< there is a value or an exception
};

/// What a cancel came to.
enum class cancellation : std::uint8_t {
    canceled,   ///< it had not begun, and never will
    requested,  ///< it is running and has been asked to stop; whether and how it does is up to it
    too_late,   ///< it is over, or is running and takes no stop_token
};

/// The state itself, for whatever type of value. Counted: made with one owner, destroyed by the last
/// `release`.
///
/// One word says where the work stands, and whether somebody sleeps until it is over. Callbacks are a chain
/// that is closed when it is over, so whoever comes later knows to call at once. Without sleepers and
/// callbacks, being over costs an atomic exchange and a comparison. Any thread, unless it says otherwise.
class FutureState {
  public:
    /// Something to be called once when it is over. Owned by the state from `on_over` on.
    class Callback {
      public:
        Callback() = default;
        Callback(const Callback&) = delete;
        Callback& operator=(const Callback&) = delete;
        virtual ~Callback() = default;
        virtual void call(FutureState& state) = 0;

      private:
        friend class FutureState;
        Callback* next_ = nullptr;
    };

    /// For threads that work on futures and may wait for one that waits for them: is asked before such a
    /// thread waits for as long as it takes.
    class Guide {
      public:
        /// Works on it here and now if it is pending and of this thread's kind of work; false: it did not.
        virtual bool work_on(FutureState& awaited) = 0;
        /// Throws std::logic_error when the wait could never end; else `after_sleep` follows.
        virtual void before_sleep(FutureState& awaited) = 0;
        virtual void after_sleep() noexcept = 0;

        /// This thread's; null where there is none.
        static thread_local Guide* of_this_thread;

      protected:
        ~Guide() = default;
    };

    FutureState() = default;
    FutureState(const FutureState&) = delete;
    FutureState& operator=(const FutureState&) = delete;

    void retain() noexcept { owners_.fetch_add(1, std::memory_order_relaxed); }
    void release() noexcept {
        // The only owner is not joined by another, so it need not say that it goes.
        if (has_one_owner() || owners_.fetch_sub(1, std::memory_order_acq_rel) == 1) delete this;
    }
    bool has_one_owner() const noexcept { return owners_.load(std::memory_order_acquire) == 1; }

    future_status status() const noexcept;
    bool is_over() const noexcept { return phase() >= Phase::value; }

    /// False: the deadline has passed. Throws std::logic_error when the wait could never end.
    bool wait(Instant deadline);

    /// Waits. Throws what the work threw, or future_canceled.
    void wait_for_value();

    /// Waits. Null: there is a value. Throws future_canceled.
    std::exception_ptr wait_for_exception();

    cancellation cancel();

    /// Calls it when this is over, in the thread that ends it and after those that came before; or, if it is
    /// over, here and now. What it throws is reported (future.hpp) and goes no further.
    void on_over(Callback* callback) noexcept;

    /// Takes it back; the caller owns it again then. False: it has been called, or is about to be.
    bool withdraw(Callback* callback);

    // The side that works.

    /// From pending to running; false when it was canceled, or somebody else has begun.
    bool begin() noexcept;

    /// Before a result: false, nothing is to be done, it was canceled. Throws std::future_error when it has a
    /// result. Afterwards nobody can cancel, and `finish` must follow.
    bool claim();

    /// After the value was stored. Requires: claimed, or begun by this thread and nobody claims.
    void finish_with_value() noexcept { finish(Phase::value); }
    void finish_with(std::exception_ptr exception) noexcept {
        exception_ = std::move(exception);
        finish(Phase::failed);
    }

  protected:
    virtual ~FutureState();

    /// Asks the running work to stop; false when it does not take such requests.
    virtual bool request_stop() noexcept { return false; }

  private:
    enum Phase : std::uint32_t { pending, running, claimed, value, failed, canceled };
    static constexpr std::uint32_t phase_bits = 7;
    static constexpr std::uint32_t somebody_sleeps = 8;

    Phase phase() const noexcept { return Phase(word_.load(std::memory_order_acquire) & phase_bits); }
    bool move_from(Phase from, Phase to) noexcept;
    void finish(Phase last) noexcept;
    void end() noexcept;
    void call(Callback* callback) noexcept;

    FutexWord word_ = Phase::pending;
    std::atomic<std::uint32_t> owners_ = 1;
    // The latest first; `closed` when it is over. Changed with the mutex held, but for the step from none to
    // closed.
    std::atomic<Callback*> callbacks_ = nullptr;
    Mutex callbacks_mutex_;
    std::exception_ptr exception_;  // written before the phase says so
};

/// With room for the value.
template <class T>
    requires(!std::is_reference_v<T>)  // what it refers to might be gone: give a pointer or a
                                       // std::reference_wrapper
class FutureValue : public FutureState {
  public:
    using Stored = std::conditional_t<std::is_void_v<T>, std::monostate, T>;

    template <class... Arguments>
    void store(Arguments&&... arguments) {
        value_.emplace(std::forward<Arguments>(arguments)...);
    }
    /// Requires: over, with a value.
    Stored& value() { return *value_; }

  private:
    std::optional<Stored> value_;
};

}  // namespace confab
