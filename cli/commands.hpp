// Internal to cli: the subcommands.
#pragma once

#include <CLI/CLI.hpp>
#include <charconv>
#include <concepts>
#include <cstddef>
#include <string>
#include <string_view>

namespace confab::cli {

/// The environment variable that stands for a long option (or, without the dashes, for a name in a file).
std::string environment_name(std::string_view option);

// CLI11 checks of an option's form, which say what is allowed.

/// host:port, [v6]:port or unix:PATH.
CLI::Validator address_check();
/// 0 or more, with a fraction if need be.
CLI::Validator seconds_check();
/// A number that a T can be.
template <std::unsigned_integral T>
CLI::Validator whole_number_check() {
    return CLI::Validator(
        [](const std::string& text) {
            T number = 0;
            const char* const end = text.data() + text.size();
            const auto [rest, error] = std::from_chars(text.data(), end, number);
            if (rest != end || error == std::errc::invalid_argument)
                return text + " is not a whole number from 0 up";
            return error == std::errc() ? std::string() : text + " is too large a number";
        },
        "NUMBER");
}

// Each adds one subcommand to `program`; what it does when chosen, it does in the subcommand's callback,
// which throws when it cannot: a CLI::ParseError for what is wrong with the command line, anything else for
// failures.
void add_serve(CLI::App& program);
void add_chat(CLI::App& program);
void add_compare(CLI::App& program);
void add_load(CLI::App& program);
void add_strategies(CLI::App& program);

/// Thrown by a subcommand that has said all there is to say: the program's exit status.
struct ExitWith {
    int status;
};

/// Every connection is a descriptor, and the soft limit is but a default for programs that use select(2):
/// raises it to the hard one. Gives how many there may be then.
std::size_t raise_descriptor_limit();

/// Adds an option. (That it can also be set by the environment, --max-line by CONFAB_MAX_LINE, `main` sees
/// to.)
template <class T>
CLI::Option* add_option(CLI::App& command, const std::string& name, T& value,
                        const std::string& description) {
    CLI::Option* const option = command.add_option(name, value, description)->capture_default_str();
    if constexpr (std::unsigned_integral<T>) option->check(whole_number_check<T>());
    return option;
}

}  // namespace confab::cli
