#include "server/server.hpp"

#include <fcntl.h>

#include <cctype>
#include <cerrno>
#include <exception>
#include <future>
#include <stdexcept>
#include <thread>
#include <utility>

#include "server/host.hpp"

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

}  // namespace

/// What exists between start and join.
struct Server::Running {
    Running(const ServerOptions& options, Application& application)
        : reactor_options{.waiting = options.strategy.waiting, .uring_features = options.uring_features},
          stream_limits{.first_byte = options.limits.first_byte,
                        .idle = options.limits.idle,
                        .send = options.limits.send},
          slots(options.limits.connections),
          context{.application = application,
                  .strategy = options.strategy,
                  .reactor_options = reactor_options,
                  .stream_limits = stream_limits,
                  .slots = slots} {}

    /// A host on its thread.
    struct HostThread {
        std::promise<void> begun;
        std::unique_ptr<Host> host;  // made and run by the thread; outlives it, so that a drain may come late
        std::jthread thread;
        bool begun_well = false;
    };

    const ReactorOptions reactor_options;
    const StreamLimits stream_limits;
    ConnectionSlots slots;
    HostContext context;
    std::vector<HostThread> threads;
    bool draining = false;
};

Server::Server(ServerOptions options, Application& application, Transform callback_transform)
    : options_(std::move(options)), application_(application), callback_transform_(callback_transform) {}

Server::~Server() {
    if (!running_) return;
    drain();
    join();
}

void Server::start() {
    const Strategy& strategy = options_.strategy;
    const bool thread_each = strategy.threads.count == ThreadCount::each;
    const unsigned hosts = thread_each ? 1 : strategy.threads.count;
    open_listeners(hosts);
    running_ = std::make_unique<Running>(options_, application_);
    running_->threads.resize(hosts);
    for (unsigned i = 0; i < hosts; ++i) {
        Running::HostThread& slot = running_->threads[i];
        slot.thread = std::jthread([this, &slot, thread_each, listeners = listeners_of(i)] {
            bool has_begun = false;
            try {
                HostContext& context = running_->context;
                slot.host = thread_each                   ? make_thread_host(context)
                            : options_.strategy.callbacks ? make_callback_host(context, callback_transform_)
                                                          : make_task_host(context);
                slot.host->serve(listeners, [&] {
                    has_begun = true;
                    slot.begun.set_value();
                });
            } catch (...) {
                if (has_begun) throw;  // nobody could serve its connections: the process ends, saying why
                slot.begun.set_exception(std::current_exception());
            }
        });
    }
    wait_until_begun();
}

void Server::wait_until_begun() {
    std::exception_ptr failure;
    for (Running::HostThread& slot : running_->threads) {
        try {
            slot.begun.get_future().get();
            slot.begun_well = true;
        } catch (...) {
            failure = std::current_exception();
        }
    }
    if (failure) std::rethrow_exception(failure);
}

// A set of listeners for each host. TCP: sockets of their own on the same port, and the kernel spreads the
// connections (SO_REUSEPORT, socket(7)), but for blocking hosts, which are to take the next connection
// whenever one is free: they share a queue, as they do on Unix sockets, which know no SO_REUSEPORT.
void Server::open_listeners(unsigned sets) {
    listeners_.resize(sets);
    for (const std::string& text : options_.listen) {
        Endpoint endpoint = resolve_one(text);
        const bool share_port = sets > 1 && !endpoint.is_unix() && !options_.strategy.one_at_a_time();
        for (unsigned i = 0; i < sets; ++i) {
            const ListenOptions options{.share_port = share_port, .port_must_be_free = i == 0};
            auto listener = i == 0 || share_port ? listen_on(endpoint, options)
                                                 : std::expected<Fd, std::error_code>(Fd(::fcntl(
                                                       listeners_[0].back().get(), F_DUPFD_CLOEXEC, 0)));
            if (!listener) throw cannot_listen(text, listener.error().message());
            if (!*listener) throw cannot_listen(text, std::generic_category().message(errno));
            if (i == 0) {
                const auto real = Endpoint::of_socket(listener->get());
                if (!real) throw cannot_listen(text, real.error().message());
                endpoint = *real;  // the others must have the port that the first one was given
                addresses_.push_back(*real);
            }
            listeners_[i].push_back(std::move(*listener));
        }
    }
}

std::vector<int> Server::listeners_of(unsigned set) {
    std::vector<int> descriptors;
    for (Fd& fd : listeners_[set]) descriptors.push_back(fd.release());
    return descriptors;
}

void Server::drain() {
    if (std::exchange(running_->draining, true)) return;
    // Now, while nobody else can have taken the place: a moment later the listeners are closed.
    for (const Endpoint& address : addresses_) remove_socket_file(address);
    for (const Running::HostThread& slot : running_->threads) {
        if (slot.begun_well) slot.host->drain();
    }
}

void Server::join() {
    for (Running::HostThread& slot : running_->threads) {
        if (slot.thread.joinable()) slot.thread.join();
    }
}

Ledger Server::ledger() {
    const MutexLock lock(running_->context.mutex);
    return running_->context.ledger;
}

}  // namespace confab
