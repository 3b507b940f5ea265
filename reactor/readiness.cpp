#include "reactor/readiness.hpp"

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cassert>

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

// accept(2), "Error handling": errors of the connection that was to be accepted, which concern nobody else.
bool is_error_of_one_connection(int error) {
    switch (error) {
        case ECONNABORTED:
        case EPROTO:
        case ENETDOWN:
        case ENOPROTOOPT:
        case EHOSTDOWN:
        case ENONET:
        case EHOSTUNREACH:
        case ENETUNREACH:
            return true;
        default:
            return false;
    }
}

}  // namespace

ReadinessMechanism::ReadinessMechanism(Ledger& ledger, std::size_t receive_size, bool edge_triggered)
    : Mechanism(ledger, {.lends_scratch = true}),
      scratch_size_(receive_size),
      scratch_(std::make_unique_for_overwrite<std::byte[]>(receive_size)),
      edge_triggered_(edge_triggered) {}

ReadinessMechanism::Watched& ReadinessMechanism::watch(int fd) {
    const auto index = static_cast<std::size_t>(fd);
    if (index >= table_.size()) table_.resize(std::bit_ceil(index + 1));
    return table_[index];
}

bool ReadinessMechanism::submit(Operation& operation) {
    if (operation.fd < 0) {
        operation.result = -EBADF;
        return true;
    }
    Watched& watched = watch(operation.fd);
    if (watched.closing) {
        operation.result = -ECANCELED;
        return true;
    }
    operation.result = 0;
    switch (operation.kind) {
        case Operation::Kind::close:
            return submit_close(operation);
        case Operation::Kind::shutdown:
            operation.result = repeated(ledger(), SystemCall::shutdown,
                                        [&] { return ::shutdown(operation.fd, operation.how); });
            return true;
        case Operation::Kind::receive:
        case Operation::Kind::accept:
            if (!watched.readable) return !park(operation);
            hand_out(operation);
            return false;
        case Operation::Kind::connect:
            watched = Watched{};  // a fresh socket, whatever had this number before
            break;
        case Operation::Kind::poll:
            watched.lasting = false;
            break;
        case Operation::Kind::send:
            if (!watched.writable) return !park(operation);
            break;
        case Operation::Kind::sleep:
            assert(false && "the reactor keeps the time itself");
    }
    return attempt(operation, MSG_DONTWAIT) || !park(operation);
}

void ReadinessMechanism::cancel(Operation& operation) {
    unpark(operation);
    operation.result = -ECANCELED;
    hand_out(operation);
}

void ReadinessMechanism::collect(JobQueue& ready) { ready.append(due_); }

bool ReadinessMechanism::finish(Operation& operation) {
    Watched& watched = this->watched(operation.fd);
    --watched.handed_out;
    if (operation.kind == Operation::Kind::close) {
        close_now(operation);
        return true;
    }
    if (watched.closing) operation.result = -ECANCELED;
    const bool over = operation.result == -ECANCELED || attempt(operation, MSG_DONTWAIT) || !park(operation);
    if (over && !watched.lasting && watched.parked == nullptr && watched.handed_out == 0) {
        forget(operation.fd);
        this->watched(operation.fd) = Watched{};
    }
    return over;
}

int ReadinessMechanism::send_now(int fd, Bytes bytes) {
    Watched& watched = watch(fd);
    if (!watched.writable) return -EAGAIN;
    const auto sent = repeated(ledger(), SystemCall::send, [&] {
        return ::send(fd, bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    });
    if (sent == -EAGAIN || (sent >= 0 && static_cast<std::size_t>(sent) < bytes.size()))
        watched.writable = false;
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
    if (!known(fd)) return;
    Watched& watched = this->watched(fd);
    if ((events & readable_events) != 0) watched.readable = true;
    if ((events & writable_events) != 0) watched.writable = true;
    if ((events & last_events) != 0) watched.hung_up = true;
    Job** link = &watched.parked;
    while (*link != nullptr) {
        auto& operation = static_cast<Operation&>(**link);
        if ((events & (events_for(operation) | last_events)) == 0) {
            link = &operation.next;
            continue;
        }
        *link = operation.next;
        hand_out(operation);
    }
}

bool ReadinessMechanism::attempt(Operation& operation, int flags) {
    switch (operation.kind) {
        case Operation::Kind::accept:
            return attempt_accept(operation);
        case Operation::Kind::connect:
            return attempt_connect(operation);
        case Operation::Kind::receive:
            return attempt_receive(operation, flags);
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
    int fd = 0;
    do {
        fd = repeated(ledger(), SystemCall::accept, [&] {
            return ::accept4(operation.fd, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
        });
    } while (fd < 0 && is_error_of_one_connection(-fd));
    if (fd == -EAGAIN) {
        watched(operation.fd).readable = false;
        return false;
    }
    if (!edge_triggered_) watched(operation.fd).readable = false;
    operation.result = fd;
    if (fd >= 0) watch(fd) = Watched{};
    return true;
}

// Two calls: the first begins, and once the socket is writable the second asks what came of it (connect(2)).
bool ReadinessMechanism::attempt_connect(Operation& operation) {
    if (operation.result == -EINPROGRESS) {
        int error = 0;
        socklen_t size = sizeof error;
        const int asked = once(ledger(), SystemCall::control, [&] {
            return ::getsockopt(operation.fd, SOL_SOCKET, SO_ERROR, &error, &size);
        });
        operation.result = asked < 0 ? asked : -error;
        return true;
    }
    operation.result = once(ledger(), SystemCall::connect, [&] {
        return ::connect(operation.fd, operation.address.data, operation.address.size);
    });
    if (operation.result == -EINTR) operation.result = -EINPROGRESS;  // it goes on all the same
    if (operation.result != -EINPROGRESS) return true;
    watched(operation.fd).writable = false;
    return false;
}

bool ReadinessMechanism::attempt_receive(Operation& operation, int flags) {
    Watched& watched = this->watched(operation.fd);
    const auto received = repeated(ledger(), SystemCall::receive, [&] {
        return ::recv(operation.fd, scratch_.get(), scratch_size_, flags);
    });
    if (received == -EAGAIN) {
        watched.readable = false;
        return false;
    }
    operation.result = static_cast<int>(received);
    operation.bytes = LentBytes(scratch_.get(), static_cast<std::size_t>(std::max<ssize_t>(received, 0)));
    if (received <= 0) return true;
    ++ledger().receives;
    ledger().bytes_received += static_cast<std::uint64_t>(received);
    const bool drained = operation.bytes.size() < scratch_size_ && !watched.hung_up;
    if (drained || !edge_triggered_) watched.readable = false;
    return true;
}

bool ReadinessMechanism::attempt_send(Operation& operation, int flags) {
    auto& parts = operation.parts;
    while (parts.count > 0) {
        const auto sent = repeated(ledger(), SystemCall::send, [&] {
            if (parts.count == 1) {  // cheaper in the kernel than a message header
                return ::send(operation.fd, parts.data->iov_base, parts.data->iov_len, flags | MSG_NOSIGNAL);
            }
            msghdr message{};
            message.msg_iov = parts.data;
            message.msg_iovlen = parts.count;
            return ::sendmsg(operation.fd, &message, flags | MSG_NOSIGNAL);
        });
        if (sent == -EAGAIN) {
            watched(operation.fd).writable = false;
            return false;
        }
        if (sent < 0) {
            operation.result = static_cast<int>(sent);
            return true;
        }
        ledger().bytes_sent += static_cast<std::uint64_t>(sent);
        parts.advance(static_cast<std::size_t>(sent));
    }
    operation.result = static_cast<int>(parts.done);
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
    hand_out(operation);
    return false;
}

void ReadinessMechanism::close_now(Operation& operation) {
    forget(operation.fd);
    watched(operation.fd) = Watched{};
    operation.result = once(ledger(), SystemCall::close, [&] { return ::close(operation.fd); });
    if (operation.result == -EINTR) operation.result = 0;  // close(2): on Linux the descriptor is gone
}

// True: parked. False: the mechanism cannot watch it, `result` says why.
bool ReadinessMechanism::park(Operation& operation) {
    operation.state = Operation::State::in_flight;
    operation.next = nullptr;
    Job** link = &watched(operation.fd).parked;
    while (*link != nullptr) link = &(*link)->next;
    *link = &operation;
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
    interest_changed(operation.fd);
}

void ReadinessMechanism::hand_out(Operation& operation) {
    ++watched(operation.fd).handed_out;
    hand_over(operation, due_);
}

}  // namespace confab
