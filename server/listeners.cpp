#include "server/listeners.hpp"

#include <fcntl.h>

#include <cctype>
#include <cerrno>
#include <cstdio>
#include <stdexcept>
#include <system_error>
#include <utility>

namespace confab {

namespace {

// The system's reasons begin with a capital, which has no place in the middle of a line.
std::runtime_error cannot_listen(const std::string& address, std::string why) {
    if (!why.empty()) why[0] = static_cast<char>(std::tolower(static_cast<unsigned char>(why[0])));
    return std::runtime_error("cannot listen on " + address + ": " + why);
}

Endpoint resolve_one(const std::string& text) {
    const auto endpoints = Endpoint::resolve(text);
    if (!endpoints) throw cannot_listen(text, endpoints.error());
    return endpoints->front();
}

Fd copy_of(const Fd& descriptor) {
    Fd copy(::fcntl(descriptor.get(), F_DUPFD_CLOEXEC, 0));
    if (!copy) throw std::system_error(errno, std::generic_category(), "a listener cannot be copied");
    return copy;
}

}  // namespace

Listeners::Listeners(const std::vector<std::string>& addresses, unsigned sets, Sharing sharing)
    : sets_(sets) {
    for (const std::string& text : addresses) open(text, sets, sharing);
}

void Listeners::open(const std::string& text, unsigned sets, Sharing sharing) {
    Endpoint endpoint = resolve_one(text);
    const bool share_port = sets > 1 && sharing == Sharing::port && !endpoint.is_unix();
    for (unsigned i = 0; i < sets; ++i) {
        if (i > 0 && !share_port) {
            sets_[i].push_back(copy_of(sets_[0].back()));
            continue;
        }
        auto listener = listen_on(endpoint, {.share_port = share_port, .port_must_be_free = i == 0});
        if (!listener) throw cannot_listen(text, listener.error().message());
        if (i == 0) {
            const auto real = Endpoint::of_socket(listener->get());
            if (!real) throw cannot_listen(text, real.error().message());
            endpoint = *real;  // the others must have the port that the first one was given
            addresses_.push_back(*real);
        }
        sets_[i].push_back(std::move(*listener));
    }
}

void Listeners::remove_socket_files() const {
    for (const Endpoint& address : addresses_) remove_socket_file(address);
}

void say_where_it_listens(const std::vector<Endpoint>& addresses, const std::string& strategy,
                          const std::string& application) {
    for (const Endpoint& address : addresses) {
        std::fprintf(stderr, "listening on %s (strategy %s, app %s)\n", address.text().c_str(),
                     strategy.c_str(), application.c_str());
    }
}

}  // namespace confab
