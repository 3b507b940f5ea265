// The program `confab`: main reads as its table of contents.
#include <CLI/CLI.hpp>
#include <cstdlib>
#include <exception>
#include <iostream>

#include "cli/commands.hpp"
#include "reactor/endpoint.hpp"

namespace {

constexpr int failure = 1;
constexpr int usage_error = 2;

/// The configuration file, as CLI11 reads it, less what the environment says: flag, environment, file,
/// default, in this order (CLI11 by itself would have the file go before the environment).
class FileBehindEnvironment : public CLI::ConfigTOML {
  public:
    std::vector<CLI::ConfigItem> from_config(std::istream& input) const override {
        std::vector<CLI::ConfigItem> items = CLI::ConfigTOML::from_config(input);
        std::erase_if(items, [](const CLI::ConfigItem& item) {
            return std::getenv(confab::cli::environment_name(item.name).c_str()) != nullptr;
        });
        return items;
    }
};

}  // namespace

namespace confab::cli {

std::string environment_name(std::string_view option) {
    std::string name = "CONFAB_";
    option.remove_prefix(std::min(option.find_first_not_of('-'), option.size()));
    for (const char c : option)
        name += c == '-' ? '_' : static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
    return name;
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
    program.set_config("--config", "",
                       "Read options from a TOML file: one [section] a command, names as the long options");
    program.config_formatter(std::make_shared<FileBehindEnvironment>());
    program.require_subcommand(1);
    program.fallthrough();
    confab::cli::add_serve(program);
    confab::cli::add_chat(program);
    confab::cli::add_strategies(program);
    try {
        program.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        if (error.get_exit_code() == 0) return program.exit(error);  // --help or --version
        const bool unknown = error.get_name() == "ExtrasError";
        std::cerr << "confab: " << error.what() << (unknown ? " (--help lists what is)" : "") << '\n';
        return usage_error;
    } catch (const std::exception& error) {
        std::cerr << "confab: " << error.what() << '\n';
        return failure;
    }
    return 0;
}
