// Public: what a load is to be.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>

#include "clients/load/arrivals.hpp"
#include "pools/clock.hpp"
#include "reactor/endpoint.hpp"
#include "reactor/mechanism.hpp"

namespace confab::load {

enum class App : std::uint8_t { echo, upper, chat, http };

struct LoadOptions {
    App app = App::echo;
    std::size_t connections = 50;
    std::size_t size = 64;        ///< bytes of a message
    std::size_t pipeline = 1;     ///< messages under way on a connection, at most
    bool churn = false;           ///< a connection for each message
    std::string http_host{};      ///< http: what requests call the server
    std::string http_path = "/";  ///< http: what they ask for
    bool any_body = false;        ///< http: answers may differ from the first one
    std::size_t rooms = 1;        ///< chat: 1: where the server puts us; more: load-0, load-1, ...
    /// Chat: members who hardly read, one a room as far as they go. Otherwise: connections beside the others
    /// that send all that is taken from them and hardly read.
    std::size_t slow_readers = 0;
    std::size_t idle = 0;  ///< not chat: connections beside the others that say something once, before them
    std::size_t dribblers = 0;  ///< not chat: connections beside the others that send a byte a second
    std::size_t burst = 0;      ///< chat: lines that one speaker of a room says at once; 0: all speak
    std::uint64_t session = 0;  ///< chat: lines after which a speaker leaves and comes back; 0: he stays
    /// Open loop: how many messages are due when. Nothing: closed loop.
    std::optional<RateProfile> rate{};
    Spacing spacing = Spacing::even;
    std::uint64_t seed = 1;

    Duration duration = std::chrono::seconds(10);  ///< of what is measured
    Duration warmup = std::chrono::seconds(1);     ///< before that
    std::uint64_t settle = 0;  ///< answers that connections get, on average, before the warm-up
    std::uint64_t count = 0;   ///< messages after which it ends, if that comes first; 0: only time counts
    Duration grace = std::chrono::seconds(5);           ///< afterwards, for what is still under way
    Duration connect_limit = std::chrono::seconds(10);  ///< for a connection to be made

    std::size_t threads = 1;
    pid_t server = 0;  ///< whose processor time is looked at; 0: nobody's
    Waiting waiting = Waiting::uring;

    /// Connections beside those that are measured.
    std::size_t bystanders() const { return app == App::chat ? 0 : idle + dribblers + slow_readers; }

    /// What cannot be, as a sentence that names the option; empty: all is well.
    std::string fault() const;
};

/// Bytes that may be under way on a connection.
inline constexpr std::size_t most_under_way = std::size_t{4} << 20U;
inline constexpr std::size_t most_connections = 1'000'000;
inline constexpr std::size_t most_threads = 256;

/// Where the server is: "tcp://HOST:PORT", "http://HOST:PORT/PATH", "unix:PATH", or as Endpoint::resolve
/// reads it. The first of what the name stands for; or a sentence that says what is wrong.
std::expected<Endpoint, std::string> resolve_target(std::string_view target);
/// The same without asking anybody: what is wrong with its form, or nothing.
std::string target_fault(std::string_view target);
/// What of an "http://HOST:PORT/PATH" comes before the path, and the path; of others all of it, and "/".
struct HttpTarget {
    std::string host, path;
};
HttpTarget http_target(std::string_view target);

}  // namespace confab::load
