// Baseline: an echo server on epoll, one thread, as little work a message as C allows. What the ratios of
// `./dev bench echo` are taken against.
//
// Level-triggered: a short receive has emptied the socket, so a message costs recv + send and its share of
// one epoll_wait. Edge-triggered needs a second recv to hear EAGAIN, or the same trust in short reads, and
// gains nothing. The write side is armed only for a peer that stopped reading; while it is, that peer's
// receive side is off.
#include <sys/epoll.h>

#include "bench/baseline_common.h"

enum { events_per_wait = 1024 };

// What one peer is owed. Lives only while the peer does not keep up.
struct debt {
    size_t size, sent;
    char bytes[];
};

static int poller;
static struct debt** debts;  // by descriptor
static char scratch[receive_size];

static void watch(int fd, int operation, unsigned events) {
    struct epoll_event event = {.events = events, .data.fd = fd};
    if (epoll_ctl(poller, operation, fd, &event) != 0) die("epoll_ctl");
}

static void drop(int fd) {
    free(debts[fd]);
    debts[fd] = NULL;
    close(fd);
}

static void accept_all(int listener) {
    for (;;) {
        const int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            watch(fd, EPOLL_CTL_ADD, EPOLLIN);
        } else if (errno == EAGAIN) {
            return;
        } else if (errno != EINTR && errno != ECONNABORTED) {
            die("accept");
        }
    }
}

static void keep_debt(int fd, const char* bytes, size_t size) {
    struct debt* debt = malloc(sizeof *debt + size);
    if (debt == NULL) die("malloc");
    debt->size = size;
    debt->sent = 0;
    memcpy(debt->bytes, bytes, size);
    debts[fd] = debt;
    watch(fd, EPOLL_CTL_MOD, EPOLLOUT);
}

static void pay_debt(int fd) {
    struct debt* debt = debts[fd];
    const ssize_t sent = send(fd, debt->bytes + debt->sent, debt->size - debt->sent, MSG_NOSIGNAL);
    if (sent < 0) {
        if (errno != EAGAIN && errno != EINTR) drop(fd);
        return;
    }
    debt->sent += (size_t)sent;
    if (debt->sent < debt->size) return;
    free(debt);
    debts[fd] = NULL;
    watch(fd, EPOLL_CTL_MOD, EPOLLIN);
}

static void echo(int fd) {
    const ssize_t got = recv(fd, scratch, sizeof scratch, 0);
    if (got <= 0) {
        if (got == 0 || (errno != EAGAIN && errno != EINTR)) drop(fd);
        return;
    }
    const ssize_t sent = send(fd, scratch, (size_t)got, MSG_NOSIGNAL);
    if (sent == got) return;
    if (sent < 0 && errno != EAGAIN && errno != EINTR) {
        drop(fd);
        return;
    }
    const size_t done = sent < 0 ? 0 : (size_t)sent;
    keep_debt(fd, scratch + done, (size_t)got - done);
}

int main(int argc, char** argv) {
    debts = (struct debt**)calloc(raise_descriptor_limit(), sizeof *debts);
    poller = epoll_create1(EPOLL_CLOEXEC);
    if (debts == NULL || poller < 0) die("start");
    const int listener = listen_and_announce(argc, argv, SOCK_NONBLOCK);
    watch(listener, EPOLL_CTL_ADD, EPOLLIN);

    static struct epoll_event events[events_per_wait];
    for (;;) {
        const int ready = epoll_wait(poller, events, events_per_wait, -1);
        if (ready < 0 && errno != EINTR) die("epoll_wait");
        for (int i = 0; i < ready; ++i) {
            const int fd = events[i].data.fd;
            if (fd == listener) {
                accept_all(fd);
            } else if (debts[fd] != NULL) {
                pay_debt(fd);
            } else {
                echo(fd);
            }
        }
    }
}
