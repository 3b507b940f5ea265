#include "pools/future_state.hpp"

#include <cstdio>

#include "pools/future.hpp"
#include "pools/patience.hpp"

namespace confab {

namespace {

// In the place of the chain of callbacks once that has been taken.
class Closed final : public FutureState::Callback {
    void call(FutureState&) override {}
};
Closed closed;

void print_unheard(const std::exception_ptr& exception) noexcept {
    try {
        std::rethrow_exception(exception);
    } catch (const std::exception& failure) {
        std::fprintf(stderr, "confab: a future's callback threw: %s\n", failure.what());
    } catch (...) {
        std::fprintf(stderr, "confab: a future's callback threw something that is no std::exception\n");
    }
}

std::atomic<unheard_exception_handler> unheard_handler = print_unheard;

}  // namespace

unheard_exception_handler on_unheard_exception(unheard_exception_handler handler) noexcept {
    return unheard_handler.exchange(handler == nullptr ? print_unheard : handler);
}

thread_local FutureState::Guide* FutureState::Guide::of_this_thread = nullptr;

// What was never begun nor canceled (a task that a pool has refused) calls nobody.
FutureState::~FutureState() {
    for (Callback* chain = callbacks_.load(); chain != nullptr && chain != &closed;) {
        delete std::exchange(chain, chain->next_);
    }
}

future_status FutureState::status() const noexcept {
    switch (phase()) {
        case Phase::pending:
            return future_status::pending;
        case Phase::running:
        case Phase::claimed:
            return future_status::running;
        case Phase::canceled:
            return future_status::canceled;
        case Phase::value:
        case Phase::failed:
            break;
    }
    return future_status::done;
}

bool FutureState::wait(Instant deadline) {
    if (is_over()) return true;
    if (deadline == Instant::min()) return false;
    // A wait with a limit has its own way out.
    Guide* const guide = deadline == never ? Guide::of_this_thread : nullptr;
    if (guide != nullptr) {
        if (guide->work_on(*this)) return true;
        guide->before_sleep(*this);
    }

    thread_local Patience patience;
    bool in_time = true;
    const bool watches = patience.is_worthwhile();
    const bool is_quick = watches && Patience::watch([this] { return is_over(); });
    if (watches) patience.learn(is_quick);
    while (in_time && !is_over()) {
        std::uint32_t seen = word_.load();
        if (Phase(seen & phase_bits) >= Phase::value) break;
        if ((seen & somebody_sleeps) == 0 && !word_.compare_exchange_strong(seen, seen | somebody_sleeps))
            continue;
        in_time = futex_wait(word_, seen | somebody_sleeps, FutexScope::threads, deadline);
    }
    if (guide != nullptr) guide->after_sleep();
    return is_over();
}

void FutureState::wait_for_value() {
    if (const std::exception_ptr exception = wait_for_exception()) std::rethrow_exception(exception);
}

std::exception_ptr FutureState::wait_for_exception() {
    wait(never);
    if (phase() == Phase::canceled) throw future_canceled();
    return exception_;
}

bool FutureState::move_from(Phase from, Phase to) noexcept {
    std::uint32_t seen = from;
    while (!word_.compare_exchange_weak(seen, (seen & ~phase_bits) | to)) {
        if ((seen & phase_bits) != from) return false;
    }
    return true;
}

cancellation FutureState::cancel() {
    if (move_from(Phase::pending, Phase::canceled)) {
        if ((word_.load() & somebody_sleeps) != 0) futex_wake(word_, wake_all, FutexScope::threads);
        end();
        return cancellation::canceled;
    }
    switch (phase()) {
        case Phase::canceled:
            return cancellation::canceled;
        case Phase::running:
            return request_stop() ? cancellation::requested : cancellation::too_late;
        default:
            return cancellation::too_late;
    }
}

bool FutureState::begin() noexcept { return move_from(Phase::pending, Phase::running); }

bool FutureState::claim() {
    if (move_from(Phase::running, Phase::claimed) || move_from(Phase::pending, Phase::claimed)) return true;
    if (phase() == Phase::canceled) return false;
    throw std::future_error(std::future_errc::promise_already_satisfied);
}

void FutureState::finish(Phase last) noexcept {
    if ((word_.exchange(last) & somebody_sleeps) != 0) futex_wake(word_, wake_all, FutexScope::threads);
    end();
}

void FutureState::end() noexcept {
    Callback* chain = nullptr;
    if (callbacks_.compare_exchange_strong(chain, &closed)) return;
    {
        const MutexLock lock(callbacks_mutex_);
        chain = callbacks_.exchange(&closed);
    }
    Callback* in_order = nullptr;
    while (chain != nullptr) {
        Callback* const next = std::exchange(chain->next_, in_order);
        in_order = std::exchange(chain, next);
    }
    while (in_order != nullptr) {
        Callback* const next = in_order->next_;
        call(in_order);
        in_order = next;
    }
}

void FutureState::on_over(Callback* callback) noexcept {
    {
        const MutexLock lock(callbacks_mutex_);
        Callback* first = callbacks_.load();
        while (first != &closed) {
            callback->next_ = first;
            if (callbacks_.compare_exchange_weak(first, callback)) return;
        }
    }
    call(callback);
}

bool FutureState::withdraw(Callback* callback) {
    const MutexLock lock(callbacks_mutex_);
    Callback* const first = callbacks_.load();
    if (first == callback) {
        callbacks_.store(callback->next_);
        return true;
    }
    if (first == &closed) return false;
    Callback* before = first;
    while (before->next_ != callback) before = before->next_;
    before->next_ = callback->next_;
    return true;
}

void FutureState::call(Callback* callback) noexcept {
    try {
        callback->call(*this);
    } catch (...) {
        unheard_handler.load()(std::current_exception());
    }
    delete callback;
}

}  // namespace confab
