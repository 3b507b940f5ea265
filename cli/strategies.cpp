#include <cstdio>

#include "cli/commands.hpp"
#include "server/strategy.hpp"

namespace confab::cli {

namespace {

void print_strategies() {
    std::printf("%-11s %-20s %s\n", "strategy", "processes × threads", "good for / bad for");
    for (const NamedStrategy& strategy : named_strategies()) {
        std::printf("%-11.*s %.*s\n", static_cast<int>(strategy.name.size()), strategy.name.data(),
                    static_cast<int>(strategy.triple.size()), strategy.triple.data());
        std::printf("            + %.*s\n", static_cast<int>(strategy.good_for.size()),
                    strategy.good_for.data());
        std::printf("            - %.*s\n", static_cast<int>(strategy.bad_for.size()),
                    strategy.bad_for.data());
    }
}

}  // namespace

void add_strategies(CLI::App& program) {
    CLI::App* const command =
        program.add_subcommand("strategies", "Every strategy: its triple, what it is good and bad for");
    command->callback(&print_strategies);
}

}  // namespace confab::cli
