// Internal to cli: the subcommands.
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <string_view>

namespace confab::cli {

/// The environment variable that stands for a long option (or, without the dashes, for a name in a file).
std::string environment_name(std::string_view option);

/// For options that are addresses: a CLI11 check of their form.
CLI::Validator address_check();

// Each adds one subcommand to `program`; what it does when chosen, it does in the subcommand's callback,
// which throws when it cannot: a CLI::ParseError for what is wrong with the command line, anything else for
// failures.
void add_serve(CLI::App& program);
void add_chat(CLI::App& program);
void add_strategies(CLI::App& program);

/// Adds an option that can also be set by the environment: --max-line by CONFAB_MAX_LINE.
template <class T>
CLI::Option* add_option(CLI::App& command, const std::string& name, T& value,
                        const std::string& description) {
    return command.add_option(name, value, description)
        ->envname(environment_name(name))
        ->capture_default_str();
}

}  // namespace confab::cli
