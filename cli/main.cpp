// The program `confab`: main reads as its table of contents.
#include <sys/resource.h>
#include <CLI/CLI.hpp>

#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <exception>
#include <iostream>
#include <memory>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include "cli/commands.hpp"
#include "reactor/endpoint.hpp"
#include "server/run_server.hpp"

namespace {

constexpr int failure = 1;
constexpr int usage_error = 2;

/// The environment's value; null when there is none, or an empty one, which says as little.
const char* from_environment(std::string_view option) {
    const char* const value = std::getenv(confab::cli::environment_name(option).c_str());
    return value == nullptr || *value == '\0' ? nullptr : value;
}

/// The configuration file, as CLI11 reads it, less what the environment says: flag, environment, file,
/// default, in this order (CLI11 by itself would have the file go before the environment). What no command
/// knows is an error: it would be a typing error that nobody hears of.
class FileBehindEnvironment : public CLI::ConfigTOML {
  public:
    /// `program` outlives this.
    explicit FileBehindEnvironment(const CLI::App& program) : program_(program) {}

    std::vector<CLI::ConfigItem> from_config(std::istream& input) const override {
        std::vector<CLI::ConfigItem> items = CLI::ConfigTOML::from_config(input);
        for (const CLI::ConfigItem& item : items) {
            if (!knows(item)) throw CLI::ConfigError("--config: nothing is called " + place(item));
        }
        std::erase_if(items,
                      [](const CLI::ConfigItem& item) { return from_environment(item.name) != nullptr; });
        return items;
    }

  private:
    // CLI11 shows where a section begins and ends as items, too.
    static bool is_bracket(const CLI::ConfigItem& item) { return item.name == "++" || item.name == "--"; }

    static std::string place(const CLI::ConfigItem& item) {
        return is_bracket(item) ? '[' + CLI::detail::join(item.parents, ".") + ']' : item.fullname();
    }

    bool knows(const CLI::ConfigItem& item) const {
        const CLI::App* command = &program_;
        for (const std::string& parent : item.parents) {
            const auto named = command->get_subcommands(
                [&parent](const CLI::App* candidate) { return candidate->get_name() == parent; });
            if (named.empty()) return false;
            command = named.front();
        }
        return is_bracket(item) || command->get_option_no_throw("--" + item.name) != nullptr ||
               command->get_option_no_throw(item.name) != nullptr;
    }

    const CLI::App& program_;
};

/// Has the environment set the options of whichever command is chosen, and of no other: of two commands that
/// know a name, one may not know its value. Before the command's arguments are read, since --help shows it.
void let_environment_set(CLI::App& program) {
    for (CLI::App* const command : program.get_subcommands({})) {
        command->preparse_callback([command](std::size_t /*arguments*/) {
            for (CLI::Option* const option : command->get_options()) {
                if (option == command->get_help_ptr()) continue;
                option->envname(confab::cli::environment_name(option->get_single_name()));
            }
        });
    }
    // CLI11 2.4 passes over a value that the option does not allow, and says nothing. Here the option does.
    program.parse_complete_callback([&program] {
        for (CLI::App* const command : program.get_subcommands()) {
            for (CLI::Option* const option : command->get_options()) {
                if (option->get_envname().empty() || option->count() > 0) continue;
                const char* const value = from_environment(option->get_single_name());
                if (value == nullptr) continue;
                option->add_result(value);
                option->run_callback();
            }
        }
    });
}

/// What the text of an error leaves out.
std::string_view what_is_allowed(const CLI::ParseError& error) {
    const std::string kind = error.get_name();
    if (kind == "ExtrasError" || kind == "ConfigError") return " (--help lists what is)";
    if (kind == "ConversionError") return " (true or false)";  // numbers are checked before
    return "";
}

}  // namespace

namespace confab::cli {

std::string environment_name(std::string_view option) {
    std::string name = "CONFAB_";
    option.remove_prefix(std::min(option.find_first_not_of('-'), option.size()));
    for (const char c : option)
        name += c == '-' ? '_' : static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
    return name;
}

std::size_t raise_descriptor_limit() {
    rlimit limit{};
    if (::getrlimit(RLIMIT_NOFILE, &limit) != 0)
        throw std::system_error(errno, std::generic_category(), "getrlimit");
    const rlimit raised{.rlim_cur = limit.rlim_max, .rlim_max = limit.rlim_max};
    return ::setrlimit(RLIMIT_NOFILE, &raised) == 0 ? raised.rlim_cur : limit.rlim_cur;
}

CLI::Validator seconds_check() {
    return CLI::Validator(
        [](const std::string& text) {
            constexpr double most = 1e9;
            double seconds = -1;
            const char* const end = text.data() + text.size();
            const auto [rest, error] = std::from_chars(text.data(), end, seconds);
            const bool allowed = error == std::errc() && rest == end && seconds >= 0 && seconds <= most;
            return allowed ? std::string() : text + " is not a number of seconds from 0 to 1000000000";
        },
        "SECONDS");
}

CLI::Validator address_check() {
    return CLI::Validator(
        [](const std::string& text) {
            const std::string fault = Endpoint::fault(text);
            return fault.empty() ? fault : text + ": " + fault;
        },
        "ADDRESS");
}

}  // namespace confab::cli

int main(int argc, char** argv) {
    CLI::App program{"A chat server, its client and its measurements, on every way of waiting.", "confab"};
    program.set_version_flag("--version", CONFAB_VERSION);
    program.set_help_flag("-h,--help", "Print this help and exit");
    const char* const file = from_environment("--config");
    program.set_config("--config", file != nullptr ? file : "",
                       "Read options from a TOML file: one [section] a command, names as the long options "
                       "(Env:CONFAB_CONFIG)",
                       file != nullptr);
    program.config_formatter(std::make_shared<FileBehindEnvironment>(program));
    program.require_subcommand(1);
    program.fallthrough();
    confab::cli::add_serve(program);
    confab::cli::add_chat(program);
    confab::cli::add_compare(program);
    confab::cli::add_load(program);
    confab::cli::add_strategies(program);
    let_environment_set(program);
    try {
        program.parse(argc, argv);
    } catch (const confab::cli::ExitWith& ending) {
        return ending.status;
    } catch (const CLI::ParseError& error) {
        if (error.get_exit_code() == 0) return program.exit(error);  // --help or --version
        std::cerr << "confab: " << error.what() << what_is_allowed(error) << '\n';
        return usage_error;
    } catch (const confab::no_workers& error) {
        std::cerr << "confab: " << error.what() << '\n';
        return confab::no_workers::exit_status;
    } catch (const std::exception& error) {
        std::cerr << "confab: " << error.what() << '\n';
        return failure;
    }
    return 0;
}
