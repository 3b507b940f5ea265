#include "clients/chat_client.hpp"

#include <algorithm>
#include <random>
#include <stdexcept>
#include <vector>

#include "coro/channel.hpp"
#include "coro/listener.hpp"
#include "coro/run.hpp"
#include "coro/scope.hpp"
#include "coro/sleep.hpp"
#include "coro/stream.hpp"
#include "reactor/endpoint.hpp"

namespace confab {

namespace {

constexpr Duration first_pause = std::chrono::milliseconds(500);
constexpr Duration longest_pause = std::chrono::seconds(30);
constexpr Duration connect_limit = std::chrono::seconds(10);
// What a server may send without an end of line before it is no chat server.
constexpr std::size_t longest_line = 64 * 1024;

class ChatClient {
  public:
    ChatClient(const ChatClientOptions& options, Console& console)
        : options_(options), console_(console), nick_(options.nick) {
        if (!options.room.empty()) rooms_.push_back(options.room);
    }

    task<void> talk() {
        const int fd = co_await connect_once();
        if (fd < 0) throw std::runtime_error("cannot connect to " + options_.server + ": " + problem_);
        scope tasks;
        const child<void> keyboard = tasks.spawn(read_console(), "keyboard");
        tasks.spawn(keep_connected(fd, keyboard), "connection");
        co_await tasks.join();
    }

  private:
    /// The descriptor of a new connection, or -1, and `problem_` says why.
    task<int> connect_once() {
        const auto endpoints = Endpoint::resolve(options_.server);
        if (!endpoints) {
            problem_ = endpoints.error();
            co_return -1;
        }
        for (const Endpoint& endpoint : *endpoints) {
            auto socket = make_socket(endpoint);
            if (!socket) {
                problem_ = socket.error().message();
                continue;
            }
            const auto connected = co_await connect(socket->get(), endpoint, connect_limit);
            if (connected) co_return socket->release();
            problem_ = connected.error().message();
            co_await close_descriptor(socket->release());
        }
        co_return -1;
    }

    task<void> keep_connected(int fd, child<void> keyboard) {
        while (true) {
            co_await converse(fd);
            if (leaving_) break;
            if (!console_.is_interactive()) throw std::runtime_error("the connection was lost: " + problem_);
            fd = co_await connect_again();
            if (fd < 0) break;
        }
        keyboard.kill();
    }

    /// One connection, until it ends.
    task<void> converse(int fd) {
        Stream stream(TaskContext::current()->reactor(), fd);
        scope halves(OnFailure::ignore);
        const child<void> saying = halves.spawn(send_what_is_typed(stream), "sender");
        const child<void> hearing = halves.spawn(show_what_comes(stream, saying), "receiver");
        co_await halves.join();
        co_await stream.close();
        if (hearing.failed()) std::rethrow_exception(hearing.exception());  // the console is gone
    }

    /// The descriptor of a new connection, or -1: the person left meanwhile.
    task<int> connect_again() {
        Duration pause = first_pause;
        while (!leaving_) {
            const auto seconds = std::chrono::duration<double>(pause).count();
            console_.show("* the connection is lost (" + problem_ + "); trying again in " +
                          std::to_string(seconds).substr(0, 4) + " s");
            co_await sleep(pause);
            const int fd = co_await connect_once();
            if (fd >= 0) {
                console_.show("* connected again");
                co_return fd;
            }
            pause = jittered(std::min(pause * 2, longest_pause));
        }
        co_return -1;
    }

    // So that a thousand clients of a server that comes back do not come back as one.
    Duration jittered(Duration pause) {
        return std::chrono::duration_cast<Duration>(pause *
                                                    std::uniform_real_distribution(0.75, 1.25)(random_));
    }

    task<void> show_what_comes(Stream& stream, child<void> sender) {
        std::string partial;
        while (true) {
            const Received bytes = co_await stream.receive();
            if (!bytes || bytes->empty()) {
                problem_ = bytes ? "the server closed it" : bytes.error().message();
                break;
            }
            partial += as_text(*bytes);
            show_lines(partial);
            if (partial.size() > longest_line) {
                problem_ = "the server does not speak in lines";
                break;
            }
        }
        if (!partial.empty()) console_.show(partial);
        sender.kill();
    }

    void show_lines(std::string& text) {
        std::size_t begin = 0;
        for (auto end = text.find('\n'); end != std::string::npos; end = text.find('\n', begin)) {
            std::string_view line = std::string_view(text).substr(begin, end - begin);
            if (line.ends_with('\r')) line.remove_suffix(1);
            console_.show(line);
            begin = end + 1;
        }
        text.erase(0, begin);
    }

    /// Says who we are and where we were, then whatever is typed; at the end of that, our direction ends, and
    /// what the server still has to say is shown.
    task<void> send_what_is_typed(Stream& stream) {
        std::string text;
        if (!nick_.empty()) text += "/nick " + nick_ + '\n';
        for (const std::string& room : rooms_) text += "/join " + room + '\n';
        while (true) {
            const Sent sent = co_await stream.send(text);
            if (!sent) break;
            const auto line = co_await typed_.get();
            if (!line) break;
            remember(*line);
            text = *line + '\n';
        }
        const Sent flushed = co_await stream.flush();
        if (flushed) static_cast<void>(stream.shutdown_send());  // refused: the connection is over anyway
    }

    /// Hands on what is typed as it can be sent: a script is read no faster than that, and what a person
    /// types while there is no connection waits for the next one.
    task<void> read_console() {
        while (true) {
            auto line = co_await console_.next_line();
            if (!line) break;
            if (*line == "/quit") leaving_ = true;
            const auto put = co_await typed_.put(std::move(*line));
            if (!put) break;
        }
        leaving_ = true;
        typed_.close();
    }

    /// Keeps what a new connection must be told.
    void remember(const std::string& line) {
        const auto argument = [&](std::string_view command) {
            return line.starts_with(command) ? line.substr(command.size()) : std::string();
        };
        if (const std::string nick = argument("/nick "); !nick.empty()) nick_ = nick;
        if (const std::string room = argument("/join "); !room.empty()) {
            std::erase(rooms_, room);
            rooms_.push_back(room);
        }
        if (const std::string room = argument("/part "); !room.empty()) std::erase(rooms_, room);
        if (line == "/part" && !rooms_.empty()) rooms_.pop_back();
    }

    const ChatClientOptions& options_;
    Console& console_;
    std::string nick_;
    std::vector<std::string> rooms_;  // the current one last
    channel<std::string> typed_{0};
    std::string problem_;
    std::minstd_rand random_{std::random_device{}()};
    bool leaving_ = false;  // true exactly when no new connection is wanted
};

}  // namespace

void run_chat_client(const ChatClientOptions& options, Console& console) {
    Reactor reactor({.waiting = Waiting::epoll});
    ChatClient client(options, console);
    run(reactor, client.talk(), "chat client");
}

}  // namespace confab
