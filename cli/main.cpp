// The program `confab`: main reads as its table of contents.
#include <CLI/CLI.hpp>
#include <iostream>

int main(int argc, char** argv) {
    CLI::App program{"A chat server, its client and its measurements, on every way of waiting.", "confab"};
    program.set_version_flag("--version", CONFAB_VERSION);
    program.set_help_flag("-h,--help", "Print this help and exit");
    try {
        program.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        if (error.get_exit_code() == 0) return program.exit(error);  // --help or --version
        std::cerr << "confab: " << error.what() << '\n';
        constexpr int usage_error = 2;
        return usage_error;
    }
    return 0;
}
