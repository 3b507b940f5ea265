// Baseline: fan-out on epoll, one thread: a line in, that line out to every other member of its room.
//
// All that is ready is read first, then each room that has heard something writes to each of its members
// once. A write that a peer does not take whole becomes his debt, which goes first when he reads again.
#include <sys/epoll.h>

#include "bench/baseline_rooms.h"

enum { events_per_wait = 1024 };

// What a peer is owed and has not taken. Ends him when it passes the limit.
struct debt {
    size_t size, sent;
    char* bytes;
};

static int poller;
static struct debt* debts;  // by descriptor, as are `members`
static char scratch[receive_size];

static void watch(unsigned id, int operation, unsigned events) {
    struct epoll_event event = {.events = events, .data.u32 = id};
    if (epoll_ctl(poller, operation, (int)id, &event) != 0) die("epoll_ctl");
}

static void forgive_debt(unsigned id) {
    free(debts[id].bytes);
    debts[id] = (struct debt){0};
}

static void drop(unsigned id) {
    forgive_debt(id);
    forget_member(id);
    close((int)id);
}

// Puts the pieces' bytes from `skip` on aside. Past the limit they are lost and the peer hears an end: the
// close itself has to wait until nobody walks through his room.
static void owe(unsigned id, const struct iovec* pieces, unsigned count, size_t skip, size_t total) {
    struct debt* debt = &debts[id];
    if (debt->size + total - skip > debt_limit) {
        shutdown((int)id, SHUT_RDWR);
        return;
    }
    if (debt->bytes == NULL) {
        debt->bytes = (char*)malloc(debt_limit);
        if (debt->bytes == NULL) die("malloc");
        watch(id, EPOLL_CTL_MOD, EPOLLIN | EPOLLOUT);
    }
    copy_pieces(debt->bytes + debt->size, pieces, count, skip);
    debt->size += total - skip;
}

static void send_pieces(unsigned id, const struct iovec* pieces, unsigned count, size_t total) {
    ssize_t sent = 0;
    if (debts[id].bytes == NULL) {
        sent = count == 1 ? send((int)id, pieces[0].iov_base, pieces[0].iov_len, MSG_NOSIGNAL)
                          : writev((int)id, pieces, (int)count);
        if (sent < 0) {
            if (errno != EAGAIN && errno != EINTR) return;  // he is gone, which his receive will tell, too
            sent = 0;
        }
    }
    if ((size_t)sent < total) owe(id, pieces, count, (size_t)sent, total);
}

static void reply(unsigned id, const char* bytes, size_t size) {
    const struct iovec piece = {(void*)bytes, size};
    send_pieces(id, &piece, 1, size);
}

static void pay_debt(unsigned id) {
    struct debt* debt = &debts[id];
    const ssize_t sent = send((int)id, debt->bytes + debt->sent, debt->size - debt->sent, MSG_NOSIGNAL);
    if (sent < 0) return;  // an error is told to his receive
    debt->sent += (size_t)sent;
    if (debt->sent < debt->size) return;
    forgive_debt(id);
    watch(id, EPOLL_CTL_MOD, EPOLLIN);
}

static void receive(unsigned id) {
    const ssize_t got = recv((int)id, scratch, sizeof scratch, 0);
    if (got > 0) {
        if (!take_bytes(id, scratch, (size_t)got)) drop(id);
    } else if (got == 0 || (errno != EAGAIN && errno != EINTR)) {
        drop(id);
    }
}

static void accept_all(int listener) {
    for (;;) {
        const int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            watch((unsigned)fd, EPOLL_CTL_ADD, EPOLLIN);
        } else if (errno == EAGAIN) {
            return;
        } else if (errno != EINTR && errno != ECONNABORTED) {
            die("accept");
        }
    }
}

static void deliver(struct room* room) {
    struct iovec pieces[piece_limit];
    for (unsigned i = 0; i < room->member_count; ++i) {
        const unsigned id = room->members[i];
        size_t total;
        char* copy;
        const unsigned count = owed_pieces(room, id, pieces, &total, &copy);
        if (count != 0) send_pieces(id, pieces, count, total);
        free(copy);
    }
    end_turn(room);
}

int main(int argc, char** argv) {
    const unsigned limit = raise_descriptor_limit();
    members = (struct member*)calloc(limit, sizeof *members);
    debts = (struct debt*)calloc(limit, sizeof *debts);
    poller = epoll_create1(EPOLL_CLOEXEC);
    if (members == NULL || debts == NULL || poller < 0) die("start");
    const int listener = listen_and_announce(argc, argv, SOCK_NONBLOCK);
    watch((unsigned)listener, EPOLL_CTL_ADD, EPOLLIN);

    static struct epoll_event events[events_per_wait];
    for (;;) {
        const int ready = epoll_wait(poller, events, events_per_wait, -1);
        if (ready < 0 && errno != EINTR) die("epoll_wait");
        for (int i = 0; i < ready; ++i) {
            const unsigned id = events[i].data.u32;
            if (id == (unsigned)listener) {
                accept_all(listener);
                continue;
            }
            if ((events[i].events & EPOLLOUT) != 0 && debts[id].bytes != NULL) pay_debt(id);
            if ((events[i].events & ~(unsigned)EPOLLOUT) != 0) receive(id);
        }
        while (touched_rooms != NULL) {
            struct room* room = touched_rooms;
            touched_rooms = room->next_touched;
            deliver(room);
        }
    }
}
