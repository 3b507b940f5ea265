#include <unistd.h>

#include <csignal>
#include <memory>

#include "cli/commands.hpp"
#include "clients/chat_client.hpp"
#include "clients/console.hpp"

namespace confab::cli {

namespace {

void chat(const ChatClientOptions& options) {
    std::signal(SIGPIPE, SIG_IGN);  // a reader that left is an error of the write, which is looked at
    const bool at_terminal = ::isatty(STDIN_FILENO) != 0 && ::isatty(STDOUT_FILENO) != 0;
    const auto console = at_terminal ? make_terminal_console() : make_pipe_console();
    run_chat_client(options, *console);
}

}  // namespace

void add_chat(CLI::App& program) {
    auto options = std::make_shared<ChatClientOptions>();
    CLI::App& command =
        *program.add_subcommand("chat", "Talk: a person at a terminal, lines in and out in a pipe");
    add_option(command, "URL", options->server, "The server: host:port, [v6]:port or unix:PATH")
        ->check(address_check());
    add_option(command, "--nick", options->nick, "Your name; without one the server gives you one");
    add_option(command, "--room", options->room, "The room to join");
    command.callback([options] { chat(*options); });
}

}  // namespace confab::cli
