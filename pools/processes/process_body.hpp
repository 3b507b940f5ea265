// Public, for authors of processes: what a process does.
#pragma once

#include <concepts>
#include <functional>
#include <memory>
#include <stop_token>
#include <tuple>
#include <type_traits>
#include <utility>

#include "pools/runnable.hpp"

namespace confab::processes {

/// What a process does, kept until it is started.
class ProcessBody {
  public:
    ProcessBody() = default;
    ProcessBody(const ProcessBody&) = delete;
    ProcessBody& operator=(const ProcessBody&) = delete;
    virtual ~ProcessBody() = default;

    /// Does it, in the process, and gives the exit code.
    virtual int run(const std::stop_token& stop) = 0;
    /// Whether it looks at the token. Where it does not, signals that ask for an end just end the process.
    virtual bool takes_stop() const = 0;
};

/// A function, its arguments behind it as std::jthread takes them.
template <class Function, class... Arguments>
class ProcessCall final : public ProcessBody {
    static constexpr bool with_stop = std::is_invocable_v<Function, std::stop_token, Arguments...>;

  public:
    template <class... Given>
    explicit ProcessCall(Given&&... given) : call_(std::forward<Given>(given)...) {}

    int run([[maybe_unused]] const std::stop_token& stop) override {
        if constexpr (with_stop) {
            return std::apply(
                [&stop](Function&& function, Arguments&&... arguments) {
                    return code_of(std::move(function), stop, std::move(arguments)...);
                },
                std::move(call_));
        } else {
            return std::apply(
                [](Function&& function, Arguments&&... arguments) {
                    return code_of(std::move(function), std::move(arguments)...);
                },
                std::move(call_));
        }
    }
    bool takes_stop() const override { return with_stop; }

  private:
    template <class... Call>
    static int code_of(Call&&... call) {
        using Result = decltype(std::invoke(std::declval<Call>()...));
        static_assert(std::is_void_v<Result> || std::same_as<Result, int>,
                      "only an exit code comes back from a process: return void, or int as from main; for "
                      "other values use a pool, a pipe or a channel");
        if constexpr (std::is_void_v<Result>) {
            std::invoke(std::forward<Call>(call)...);
            return 0;
        } else {
            return std::invoke(std::forward<Call>(call)...);
        }
    }

    std::tuple<Function, Arguments...> call_;
};

/// An object whose run is overridden.
class ProcessRun final : public ProcessBody {
  public:
    explicit ProcessRun(std::unique_ptr<runnable> work) : work_(std::move(work)) {}

    int run(const std::stop_token& stop) override {
        work_->run(stop);
        return 0;
    }
    bool takes_stop() const override { return true; }

  private:
    std::unique_ptr<runnable> work_;
};

/// What a process can be made from, besides a runnable: f(stop_token, arguments...) or f(arguments...).
template <class Function, class... Arguments>
concept process_function =
    std::is_invocable_v<std::decay_t<Function>, std::stop_token, std::decay_t<Arguments>...> ||
    std::is_invocable_v<std::decay_t<Function>, std::decay_t<Arguments>...>;

}  // namespace confab::processes
