#include "clients/load/options.hpp"

#include "clients/load/chat_load.hpp"
#include "clients/load/pattern.hpp"

namespace confab::load {

namespace {

// What any server takes as a line, with the name of who said it.
constexpr std::size_t longest_line = 4000;
constexpr std::size_t most_lines = 32;
// As many as their times are kept of (see ChatSettings::burst).
constexpr std::size_t most_lines_at_once = 64;

constexpr std::string_view http_scheme = "http://";

std::string_view without_scheme(std::string_view target) {
    constexpr std::string_view scheme = "tcp://";
    if (target.starts_with(scheme)) target.remove_prefix(scheme.size());
    if (!target.starts_with(http_scheme)) return target;
    target.remove_prefix(http_scheme.size());
    return target.substr(0, target.find('/'));
}

}  // namespace

std::string LoadOptions::fault() const {
    if (connections < 1 || connections > most_connections) return "--connections: 1 to 1000000";
    if (threads < 1 || threads > most_threads) return "--threads: 1 to 256";
    if (threads > connections) return "--threads: no more than there are connections";
    if (size < 1 || pipeline < 1 || size > most_under_way / pipeline)
        return "--size times --pipeline: 1 to 4194304 bytes";
    if (size % Pattern::period == 0) return "--size: not a multiple of 65521";
    if (churn && pipeline != 1) return "--churn: a connection carries one message, so no --pipeline";
    if (idle + dribblers + slow_readers > most_connections)
        return "--idle, --dribblers, --slow-readers: 1000000 at most";
    if (http_path.find_first_of(" \r\n") != std::string::npos) return "the URL's path: no blanks (write %20)";
    if (any_body && app != App::http) return "--any-body: only with --app http";
    if (burst > 0 && app != App::chat) return "--burst: only with --app chat";
    if (app == App::chat) {
        if (rooms < 1 || rooms > connections / 2) return "--rooms: at least 1, and two connections for each";
        if (threads > rooms) return "--threads: no more than there are rooms";
        if (size < shortest_line || size > longest_line) return "--size: 32 to 4000 bytes in a line";
        if (pipeline > most_lines) return "--pipeline: no more than 32 lines";
        if (burst > most_lines_at_once) return "--burst: no more than 64 lines";
        if (burst > 0 && (rate || session > 0 || rooms > connections / 3))
            return "--burst: in a closed loop, without --session, of three connections a room or more";
        if (churn) return "--churn: not with --app chat; --session lets members come and go";
        if (idle > 0 || dribblers > 0) return "--idle, --dribblers: not with --app chat";
        if (slow_readers > rooms) return "--slow-readers: no more than one a room";
    }
    if (duration <= Duration::zero() && count == 0)
        return "--duration: more than 0, unless there is a --count";
    return {};
}

std::expected<Endpoint, std::string> resolve_target(std::string_view target) {
    const auto found = Endpoint::resolve(without_scheme(target));
    if (!found) return std::unexpected(found.error());
    return found->front();
}

HttpTarget http_target(std::string_view target) {
    HttpTarget parts{.host = std::string(without_scheme(target)), .path = "/"};
    if (parts.host.starts_with("unix:")) parts.host = "localhost";
    if (!target.starts_with(http_scheme)) return parts;
    const std::size_t path = target.find('/', http_scheme.size());
    if (path != std::string_view::npos) parts.path = target.substr(path);
    return parts;
}

std::string target_fault(std::string_view target) { return Endpoint::fault(without_scheme(target)); }

}  // namespace confab::load
