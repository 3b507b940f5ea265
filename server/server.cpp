#include "server/server.hpp"

#include <fcntl.h>
#include <spdlog/spdlog.h>
#include <sys/eventfd.h>

#include <atomic>
#include <cerrno>
#include <exception>
#include <future>
#include <system_error>
#include <thread>
#include <utility>

#include "server/host.hpp"
#include "server/processors.hpp"

namespace confab {

namespace {

Fd copy_of(const Fd& descriptor) {
    Fd copy(::fcntl(descriptor.get(), F_DUPFD_CLOEXEC, 0));
    if (!copy) throw std::system_error(errno, std::generic_category(), "fcntl");
    return copy;
}

// No reason not to serve: who may use which processors can change at any time.
void stay_or_say(int processor) {
    if (stay_on({&processor, 1})) return;
    spdlog::warn("a thread cannot stay on processor {}: {}", processor,
                 std::generic_category().message(errno));
}

}  // namespace

/// What exists between start and join.
struct Server::Running {
    Running(const ServerOptions& options, Application& application, ConnectionSlots::Others others)
        : context(options, application, std::move(others)) {}

    /// A host on its thread.
    struct HostThread {
        std::promise<void> begun;
        std::unique_ptr<Host> host;  // made and run by the thread; outlives it, so that a drain may come late
        std::jthread thread;
        bool begun_well = false;
    };

    ServerContext context;
    std::atomic<std::size_t> threads_left = 0;
    Fd end;  // an eventfd(2)
    std::vector<HostThread> threads;
    std::size_t adopted = 0;
    bool retiring = false;
    bool draining = false;
};

Server::Server(ServerOptions options, Application& application, Transform callback_transform,
               ConnectionSlots::Others others)
    : options_(std::move(options)),
      application_(application),
      callback_transform_(std::move(callback_transform)),
      others_(std::move(others)) {}

Server::~Server() {
    if (!running_) return;
    drain();
    join();
}

Listeners Server::open_listeners(const ServerOptions& options) {
    // Blocking hosts are to take the next connection whenever one is free, so they share a queue.
    const bool share_queue = options.strategy.one_at_a_time() || options.strategy.processes.several();
    if (!options.inherited.empty())
        return {options.inherited, options.strategy.hosts(), options.inherits_files};
    return {options.listen, options.strategy.hosts(),
            share_queue ? Listeners::Sharing::queue : Listeners::Sharing::port};
}

void Server::start() { start(open_listeners(options_)); }

void Server::start(Listeners listeners) {
    addresses_ = listeners.addresses();
    owns_files_ = listeners.owns_files();
    std::vector<Inlet> inlets(listeners.sets());
    for (unsigned i = 0; i < listeners.sets(); ++i) {
        for (Fd& listener : listeners.take(i)) inlets[i].sources.push_back({.fd = std::move(listener)});
    }
    start(std::move(inlets));
}

void Server::start(const Fd& feed) {
    std::vector<Inlet> inlets(options_.strategy.hosts());
    for (Inlet& inlet : inlets) inlet.sources.push_back({.kind = Source::Kind::feed, .fd = copy_of(feed)});
    start(std::move(inlets));
}

void Server::start(std::vector<Inlet> inlets) {
    running_ = std::make_unique<Running>(options_, application_, others_);
    running_->threads.resize(inlets.size());
    running_->threads_left = inlets.size();
    running_->end = Fd(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    if (!running_->end) throw std::system_error(errno, std::generic_category(), "eventfd");
    for (std::size_t i = 0; i < inlets.size(); ++i) {
        Running::HostThread& slot = running_->threads[i];
        slot.thread = std::jthread([this, i, &slot, inlet = std::move(inlets[i])]() mutable {
            bool has_begun = false;
            try {
                if (!options_.processors.empty()) stay_or_say(options_.processors[i]);
                slot.host = make_host(running_->context.shared, callback_transform_);
                slot.host->serve(std::move(inlet), [&] {
                    has_begun = true;
                    slot.begun.set_value();
                });
            } catch (...) {
                if (has_begun) throw;  // nobody could serve its connections: the process ends, saying why
                slot.begun.set_exception(std::current_exception());
            }
            // A counter at 0 always takes it.
            if (running_->threads_left.fetch_sub(1) == 1) (void)::eventfd_write(running_->end.get(), 1);
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

void Server::retire(const HandOver& hand_over) {
    if (std::exchange(running_->retiring, true)) return;
    for (const Running::HostThread& slot : running_->threads) {
        if (slot.begun_well) slot.host->retire(hand_over);
    }
}

void Server::adopt(Traveller traveller) {
    const std::size_t turn = running_->adopted++ % running_->threads.size();
    running_->threads[turn].host->adopt(std::move(traveller));
}

void Server::drain() {
    if (std::exchange(running_->draining, true)) return;
    // Now, while nobody else can have taken the place: a moment later the listeners are closed.
    if (owns_files_) {
        for (const Endpoint& address : addresses_) remove_socket_file(address);
    }
    for (const Running::HostThread& slot : running_->threads) {
        if (slot.begun_well) slot.host->drain();
    }
}

int Server::end_descriptor() const { return running_->end.get(); }

void Server::join() {
    for (Running::HostThread& slot : running_->threads) {
        if (slot.thread.joinable()) slot.thread.join();
    }
}

Ledger Server::ledger() { return running_->context.ledger(); }

}  // namespace confab
