// Public, for authors of launchers and pools: a call that another process of this program makes.
#pragma once

#include <concepts>
#include <functional>
#include <stop_token>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>

#include "pools/serialise.hpp"

namespace confab {

namespace remote_call_detail {

/// As what an argument travels where the function does not say: text as std::string.
template <class Given>
using Carried =
    std::conditional_t<std::is_convertible_v<Given, const char*> && std::is_pointer_v<std::decay_t<Given>>,
                       std::string, std::decay_t<Given>>;

/// As what the arguments travel: what the function takes, without the stop_token.
template <class Function, class... Given>
struct Parameters {
    using Type = std::tuple<Carried<Given>...>;
};
template <class R, class... P, class... Given>
struct Parameters<R (*)(P...), Given...> {
    using Type = std::tuple<std::decay_t<P>...>;
};
template <class R, class... P, class... Given>
struct Parameters<R (*)(std::stop_token, P...), Given...> {
    using Type = std::tuple<std::decay_t<P>...>;
};
template <class R, class... P, class... Given>
struct Parameters<R (*)(const std::stop_token&, P...), Given...> {
    using Type = std::tuple<std::decay_t<P>...>;
};

template <class Pointer>
struct PlainPointer {
    using Type = Pointer;
};
template <class R, class... P>
struct PlainPointer<R (*)(P...) noexcept> {
    using Type = R (*)(P...);
};

template <bool takes_stop, class Function, class... P>
struct ResultOf {
    using Type = std::invoke_result_t<Function&, P...>;
};
template <class Function, class... P>
struct ResultOf<true, Function, P...> {
    using Type = std::invoke_result_t<Function&, std::stop_token, P...>;
};

template <class Function, class Parameters>
struct Call;

/// How a function with parameters of these types is put into bytes, and called from them.
template <class Function, class... P>
struct Call<Function, std::tuple<P...>> {
    static constexpr bool is_carried = serialisable<Function> && (serialisable<P> && ...);
    static constexpr bool takes_stop = std::is_invocable_v<Function, std::stop_token, P...>;

    static void pack(byte_writer& archive, const Function& function, const P&... arguments) {
        serialise(archive, function);
        (serialise(archive, arguments), ...);
    }

    using Result = ResultOf<takes_stop, Function, P...>::Type;

    static Result run(byte_reader& archive, [[maybe_unused]] const std::stop_token& stop) {
        auto function = deserialise<Function>(archive);
        std::tuple<P...> arguments{deserialise<P>(archive)...};
        if (!archive.is_at_end()) throw serialisation_error();
        return std::apply(
            [&](P&... argument) -> Result {
                if constexpr (takes_stop) {
                    return std::invoke(function, stop, std::move(argument)...);
                } else {
                    return std::invoke(function, std::move(argument)...);
                }
            },
            arguments);
    }
};

}  // namespace remote_call_detail

/// A call of `Function` with `Given`: RemoteCall::pack(archive, function, given...), and there
/// RemoteCall::run(archive, stop). A function is an ordinary one, or a lambda without captures; arguments
/// become the types of its parameters.
template <class Function, class... Given>
using RemoteCall = remote_call_detail::Call<
    typename remote_call_detail::PlainPointer<std::decay_t<Function>>::Type,
    typename remote_call_detail::Parameters<
        typename remote_call_detail::PlainPointer<std::decay_t<Function>>::Type, Given...>::Type>;

/// What can be called in another process of this program.
template <class Function, class... Given>
concept remote_function = RemoteCall<Function, Given...>::is_carried;

}  // namespace confab
