#include "reactor/readiness.hpp"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cassert>

#include "reactor/accept_errors.hpp"
#include "reactor/system_calls.hpp"

namespace confab {

using system_calls::once;
using system_calls::repeated;

namespace {

constexpr short readable_events = POLLIN | POLLPRI | POLLRDHUP | POLLHUP | POLLERR;
constexpr short writable_events = POLLOUT | POLLHUP | POLLERR;
constexpr short last_events = POLLRDHUP | POLLHUP | POLLERR;

// The poll(2) events that mean "try `operation` now".
short events_for(const Operation& operation) {
    switch (operation.kind) {
        case Operation::Kind::accept:
        case Operation::Kind::receive:
            return POLLIN;
        case Operation::Kind::connect:
        case Operation::Kind::send:
            return POLLOUT;
        case Operation::Kind::poll:
            return operation.events;
        default:
            return 0;
    }
}

}  // namespace

ReadinessMechanism::ReadinessMechanism(Ledger& ledger, std::size_t receive_size, const Kind& kind)
    : Mechanism(ledger, {.lends_scratch = true, .waits_in_calls = kind.waits_in_calls}),
      kind_(kind),
      scratch_size_(receive_size),
      scratch_(make_receive_memory(receive_size)) {}

void ReadinessMechanism::make_page_for(int fd) {
    const std::size_t page = static_cast<std::size_t>(fd) / page_size;
    if (page >= table_.size()) table_.resize(page + 1);
    if (table_[page] == nullptr) table_[page] = std::make_unique<Page>();
}

// Whether `fd` may be one. Only a number that the table has no room for is looked at closely: a wrong one
// must not make it grow.
bool ReadinessMechanism::is_descriptor(int fd) {
    if (fd < 0) return false;
    if (static_cast<std::size_t>(fd) / page_size < table_.size()) return true;
    return once(ledger(), SystemCall::control, [&] { return ::fcntl(fd, F_GETFD); }) >= 0;
}

bool ReadinessMechanism::submit(Operation& operation) {
    // The way of most: a receive on what has been watched before, and is empty.
    if (operation.kind == Operation::Kind::receive) {
        Watched* const watched = find(operation.fd);
        if (watched != nullptr && keeps_interest(*watched) && !watched->readable && !watched->closing)
            [[likely]] {
            operation.result = 0;
            park(operation, *watched);
            return false;
        }
    }
    if (!is_descriptor(operation.fd)) {
        operation.result = -EBADF;
        return true;
    }
    Watched& watched = watch(operation.fd);
    if (watched.closing) {
        operation.result = -ECANCELED;
        return true;
    }
    operation.result = 0;
    if (operation.is_last()) return submit_close(operation);
    if (operation.kind == Operation::Kind::shutdown) {
        operation.result =
            repeated(ledger(), SystemCall::shutdown, [&] { return ::shutdown(operation.fd, operation.how); });
        return true;
    }
    if (operation.fd >= kind_.descriptor_limit) {
        operation.result = -EMFILE;
        return true;
    }
    switch (operation.kind) {
        case Operation::Kind::receive:
        case Operation::Kind::accept:
            if (!watched.readable) return !watch_for(operation);
            hand_out(operation, watched);
            return false;
        case Operation::Kind::connect:
            assert(watched.parked == nullptr && watched.handed_out == 0 &&
                   "closed behind the reactor's back");
            watched = Watched{};  // a fresh socket, whatever had this number before
            break;
        case Operation::Kind::poll:
            if (attempt_poll(operation)) return true;
            watched.lasting = false;
            return !watch_for(operation);
        case Operation::Kind::send:
            if (operation.at_once) return send_at_once(watched, operation);
            if (!watched.writable) return !watch_for(operation);
            break;
        default:
            assert(false && "the reactor keeps the time itself");
    }
    return attempt(operation, MSG_DONTWAIT) || !watch_for(operation);
}

void ReadinessMechanism::cancel(Operation& operation) {
    unpark(operation);
    operation.result = -ECANCELED;
    hand_out(operation, watched(operation.fd));
}

void ReadinessMechanism::collect(JobQueue& ready) { ready.append(due_); }

bool ReadinessMechanism::finish(Operation& operation) {
    Watched& watched = this->watched(operation.fd);
    --watched.handed_out;
    if (operation.is_last()) {
        close_now(operation);
        return true;
    }
    const bool made = over_ == &operation;
    if (made) over_ = nullptr;
    if (watched.closing) operation.result = -ECANCELED;
    const bool over =
        operation.result == -ECANCELED || made || attempt(operation, MSG_DONTWAIT) || !watch_for(operation);
    if (over && !watched.lasting && watched.parked == nullptr && watched.handed_out == 0) {
        forget(operation.fd);
        watched = Watched{};
    }
    return over;
}

bool ReadinessMechanism::block_in(Operation& operation) {
    if (!call(operation)) return false;
    over_ = &operation;
    unpark(operation);
    hand_out(operation, watched(operation.fd));
    return true;
}

int ReadinessMechanism::send_now(int fd, Bytes bytes) {
    Watched& watched = watch(fd);
    // Before it is registered nobody would say that it has become writable.
    if (!watched.writable && watched.registered) return -EAGAIN;
    const auto sent = repeated(ledger(), SystemCall::send, [&] {
        return system_calls::send(fd, bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    });
    const bool full = sent == -EAGAIN || (sent >= 0 && static_cast<std::size_t>(sent) < bytes.size());
    if (full && kind_.edge_triggered) watched.writable = false;
    if (sent > 0) ledger().bytes_sent += static_cast<std::uint64_t>(sent);
    return static_cast<int>(sent);
}

short ReadinessMechanism::events_wanted(const Watched& watched) {
    short events = 0;
    for (const Job* job = watched.parked; job != nullptr; job = job->next) {
        events = static_cast<short>(events | events_for(static_cast<const Operation&>(*job)));
    }
    return events;
}

void ReadinessMechanism::became_ready(int fd, short events) {
    Watched& watched = this->watched(fd);
    if (kind_.edge_triggered) {
        if ((events & readable_events) != 0) watched.readable = true;
        if ((events & writable_events) != 0) watched.writable = true;
        if ((events & last_events) != 0) watched.hung_up = true;
    }
    Job** link = &watched.parked;
    while (*link != nullptr) {
        auto& operation = static_cast<Operation&>(**link);
        if ((events & (events_for(operation) | last_events)) == 0 &&
            operation.kind != Operation::Kind::poll) {
            link = &operation.next;
            continue;
        }
        *link = operation.next;
        hand_out(operation, watched);
    }
    if (!keeps_interest(watched)) interest_changed(fd);
}

bool ReadinessMechanism::attempt(Operation& operation, int flags) {
    if (operation.kind == Operation::Kind::receive) [[likely]]
        return attempt_receive(operation, flags);
    switch (operation.kind) {
        case Operation::Kind::accept:
            return attempt_accept(operation);
        case Operation::Kind::connect:
            return attempt_connect(operation);
        case Operation::Kind::send:
            return attempt_send(operation, flags);
        case Operation::Kind::poll:
            return attempt_poll(operation);
        default:
            assert(false && "never waits");
            return true;
    }
}

bool ReadinessMechanism::attempt_accept(Operation& operation) {
    Watched& listener = watched(operation.fd);
    listener.readable = kind_.edge_triggered;
    if (!has_room_to_accept(operation)) {
        operation.result = -EMFILE;
        return true;
    }
    int fd = 0;
    do {
        fd = repeated(ledger(), SystemCall::accept, [&] {
            return ::accept4(operation.fd, nullptr, nullptr, kind_.accept_flags | SOCK_CLOEXEC);
        });
    } while (fd < 0 && is_error_of_one_connection(-fd));
    if (fd == -EAGAIN) {
        listener.readable = false;
        return false;
    }
    operation.result = fd;
    if (fd < 0) return true;
    highest_accepted_ = std::max(highest_accepted_, fd);
    accepted(operation.fd);
    if (fd >= kind_.descriptor_limit) {  // another thread was quicker to take the last low number
        once(ledger(), SystemCall::close, [&] { return ::close(fd); });
        operation.result = -EMFILE;
        return true;
    }
    watch(fd) = Watched{};
    watched(fd).blocks = (kind_.accept_flags & SOCK_NONBLOCK) == 0;
    return true;
}

// False when the connection would get a descriptor that the mechanism cannot hold: better that it waits in
// the listener's queue. Near the limit, a duplicate of the listener tells which number is next.
bool ReadinessMechanism::has_room_to_accept(const Operation& operation) {
    constexpr int near = 64;
    if (highest_accepted_ < kind_.descriptor_limit - near) return true;
    const int next =
        repeated(ledger(), SystemCall::control, [&] { return ::fcntl(operation.fd, F_DUPFD_CLOEXEC, 0); });
    if (next < 0) return true;  // accept says it better
    once(ledger(), SystemCall::close, [&] { return ::close(next); });
    return next < kind_.descriptor_limit;
}

// Two calls: the first begins, and once the socket is writable the second asks what came of it. Asked too
// early it says EALREADY, where SO_ERROR would say nothing.
bool ReadinessMechanism::attempt_connect(Operation& operation) {
    const bool begun = operation.result == -EINPROGRESS;
    if (!begun && kind_.connects_unblocked) {
        operation.result =
            once(ledger(), SystemCall::control, [&] { return ::fcntl(operation.fd, F_SETFL, O_NONBLOCK); });
        if (operation.result < 0) return true;
    }
    operation.result = once(ledger(), SystemCall::connect, [&] {
        return ::connect(operation.fd, operation.address.data, operation.address.size);
    });
    if (operation.result == -EALREADY || operation.result == -EINTR) operation.result = -EINPROGRESS;
    if (begun && operation.result == -EISCONN) operation.result = 0;
    if (operation.result != -EINPROGRESS) return true;
    watched(operation.fd).writable = !kind_.edge_triggered;
    return false;
}

// `flags`: MSG_DONTWAIT, or 0 for the call that blocks and that a signal ends.
bool ReadinessMechanism::attempt_receive(Operation& operation, int flags) {
    Watched& watched = this->watched(operation.fd);
    const auto call = [&] {
        return system_calls::receive(operation.fd, scratch_.get(), scratch_size_, flags);
    };
    const auto received = flags == MSG_DONTWAIT ? repeated(ledger(), SystemCall::receive, call)
                                                : once(ledger(), SystemCall::receive, call);
    if (received == -EAGAIN || received == -EINTR) {
        watched.readable = false;
        return false;
    }
    operation.result = static_cast<int>(received);
    operation.bytes = LentBytes(scratch_.get(), static_cast<std::size_t>(std::max<ssize_t>(received, 0)));
    if (received <= 0) return true;
    ++ledger().receives;
    ledger().bytes_received += static_cast<std::uint64_t>(received);
    if (operation.bytes.size() < scratch_size_ && !watched.hung_up) watched.readable = false;
    return true;
}

// A call that takes less than it is given has filled the socket: asking again would only say EAGAIN.
bool ReadinessMechanism::attempt_send(Operation& operation, int flags) {
    auto& parts = operation.parts;
    const auto call = [&] {
        if (parts.count == 1) {  // cheaper in the kernel than a message header
            return system_calls::send(operation.fd, parts.data->iov_base, parts.data->iov_len,
                                      flags | MSG_NOSIGNAL);
        }
        msghdr message{};
        message.msg_iov = parts.data;
        message.msg_iovlen = parts.count;
        return ::sendmsg(operation.fd, &message, flags | MSG_NOSIGNAL);
    };
    const auto sent = flags == MSG_DONTWAIT ? repeated(ledger(), SystemCall::send, call)
                                            : once(ledger(), SystemCall::send, call);
    if (sent < 0 && sent != -EAGAIN && sent != -EINTR) {
        operation.result = static_cast<int>(sent);
        return true;
    }
    if (sent >= 0) {
        ledger().bytes_sent += static_cast<std::uint64_t>(sent);
        parts.advance(static_cast<std::size_t>(sent));
    }
    if (sent < 0 || parts.count > 0) {
        watched(operation.fd).writable = !kind_.edge_triggered;
        return false;
    }
    operation.result = static_cast<int>(parts.done);
    return true;
}

// Always over.
bool ReadinessMechanism::send_at_once(const Watched& watched, Operation& operation) {
    const bool is_known_full = !watched.writable && watched.registered;  // see send_now
    if (is_known_full || !attempt_send(operation, MSG_DONTWAIT)) operation.result = operation.parts.taken();
    return true;
}

bool ReadinessMechanism::attempt_poll(Operation& operation) {
    pollfd asked{.fd = operation.fd, .events = operation.events, .revents = 0};
    const int count = repeated(ledger(), SystemCall::wait, [&] { return ::poll(&asked, 1, 0); });
    if (count == 0) return false;
    operation.result = count < 0 ? count : (asked.revents & POLLNVAL) != 0 ? -EBADF : asked.revents;
    return true;
}

// The close must be the last word on its descriptor: what is parked is cancelled, what is handed out goes
// first.
bool ReadinessMechanism::submit_close(Operation& operation) {
    Watched& watched = this->watched(operation.fd);
    while (watched.parked != nullptr) cancel(static_cast<Operation&>(*watched.parked));
    if (watched.handed_out == 0) {
        close_now(operation);
        return true;
    }
    watched.closing = true;
    hand_out(operation, watched);
    return false;
}

void ReadinessMechanism::close_now(Operation& operation) {
    const bool stays_open = operation.kind == Operation::Kind::release;
    if (stays_open) watched(operation.fd).lasting = false;
    forget(operation.fd);
    watched(operation.fd) = Watched{};
    if (stays_open) {
        operation.result = 0;
        operation.bytes = {};
        return;
    }
    operation.result = once(ledger(), SystemCall::close, [&] { return ::close(operation.fd); });
    if (operation.result == -EINTR) operation.result = 0;  // close(2): on Linux the descriptor is gone
}

void ReadinessMechanism::park(Operation& operation, Watched& watched) {
    operation.state = Operation::State::in_flight;
    operation.next = nullptr;
    Job** link = &watched.parked;
    while (*link != nullptr) link = &(*link)->next;
    *link = &operation;
}

// True: parked. False: the mechanism cannot watch it, `result` says why.
bool ReadinessMechanism::watch_for(Operation& operation) {
    Watched& watched = this->watched(operation.fd);
    park(operation, watched);
    if (keeps_interest(watched)) return true;
    const int error = interest_changed(operation.fd);
    if (error == 0) return true;
    unpark(operation);
    operation.result = error;
    return false;
}

void ReadinessMechanism::unpark(Operation& operation) {
    Job** link = &watched(operation.fd).parked;
    while (*link != &operation) link = &(*link)->next;
    *link = operation.next;
    operation.next = nullptr;
    if (!keeps_interest(watched(operation.fd))) interest_changed(operation.fd);
}

void ReadinessMechanism::hand_out(Operation& operation, Watched& watched) {
    ++watched.handed_out;
    hand_over(operation, due_);
}

}  // namespace confab
