#include "server/listeners.hpp"

#include <fcntl.h>
#include <netinet/tcp.h>

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

bool is_listening_stream(int socket) {
    int listens = 0;
    int type = 0;
    socklen_t size = sizeof(int);
    return ::getsockopt(socket, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size) == 0 && listens == 1 &&
           ::getsockopt(socket, SOL_SOCKET, SO_TYPE, &type, &size) == 0 && type == SOCK_STREAM;
}

// As listen_on has it: what is accepted inherits it.
bool send_at_once(int listener, const Endpoint& address) {
    const int on = 1;
    return address.is_unix() || ::setsockopt(listener, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) == 0;
}

}  // namespace

Listeners::Listeners(const std::vector<std::string>& addresses, unsigned sets, Sharing sharing)
    : sets_(sets) {
    for (const std::string& text : addresses) open(text, sets, sharing);
}

Listeners::Listeners(const std::vector<int>& inherited, unsigned sets, bool owns_files)
    : sets_(sets), owns_files_(owns_files) {
    for (const int number : inherited) {
        Fd listener(number);
        const std::string name = "descriptor " + std::to_string(number) + " that was passed";
        if (!is_listening_stream(number)) throw std::runtime_error(name + " is no listening stream socket");
        const auto address = Endpoint::of_socket(number);
        const int flags = ::fcntl(number, F_GETFL);
        const bool prepared = address && flags >= 0 && ::fcntl(number, F_SETFL, flags | O_NONBLOCK) == 0 &&
                              ::fcntl(number, F_SETFD, FD_CLOEXEC) == 0 && send_at_once(number, *address);
        if (!prepared) throw std::system_error(errno, std::generic_category(), name);
        addresses_.push_back(*address);
        sets_[0].push_back(std::move(listener));
        for (unsigned i = 1; i < sets; ++i) sets_[i].push_back(copy_of(sets_[0].back()));
    }
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
    if (!owns_files_) return;
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
