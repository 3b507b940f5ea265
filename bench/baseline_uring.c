// Baseline: an echo server on io_uring, one thread, as little work a message as C allows.
//
// Accepts and receives stay armed (multishot), the kernel picks the receive buffer, and what has been
// received is sent from where it lies. One io_uring_enter a turn submits all answers and collects all
// arrivals. Sockets live only in the ring's own table of files ("direct" descriptors): nothing to install,
// nothing to look up.
//
// The buffers are few and large and filled piece after piece (incremental): a small message uses its own
// bytes only, so the working set stays in the cache whatever the number of connections.
//
// A send never waits (MSG_DONTWAIT). What a peer does not take is copied away as its debt, so that a peer who
// does not read cannot hold the shared buffers. One send at a time a connection: two could overtake each
// other.
#include "bench/baseline_common.h"
#include "bench/uring_common.h"

enum {
    ring_entries = 512,
    ring_completions = 16 * 1024,
    buffer_count = 16,
    buffer_size = 128 * 1024,
    buffer_group = 0,
    slot_limit = 1024 * 1024,
};

enum event { event_accepted, event_received, event_sent, event_debt_paid, event_closed };

struct debt {
    size_t size, sent;
    char* bytes;
};

struct connection {
    const char* sending;  // what the send under way started from; NULL when there is none
    size_t sending_size;
    struct debt debt;
    int buffer;   // that `sending` points into; none for a debt
    int is_over;  // the peer has finished: close once nothing is owed
};

// A provided buffer is the kernel's until it is full, and ours until the last send from it is done.
struct buffer {
    unsigned used;   // bytes received into it
    unsigned sends;  // under way
    int is_full;
};

static struct io_uring ring;
static struct io_uring_buf_ring* buffer_ring;
static struct buffer buffers[buffer_count];
static char* buffer_memory;
static int freed;
static struct connection* connections;  // by slot

static unsigned long long tag(enum event event, unsigned slot) {
    return (unsigned long long)slot << 8 | event;
}

static void free_buffer(unsigned id) {
    buffers[id] = (struct buffer){0, 0, 0};
    io_uring_buf_ring_add(buffer_ring, buffer_memory + (size_t)id * buffer_size, buffer_size,
                          (unsigned short)id, buffer_count - 1, freed++);
}

static void publish_freed_buffers(void) {
    io_uring_buf_ring_advance(buffer_ring, freed);
    freed = 0;
}

static void receive(unsigned slot) {
    struct io_uring_sqe* entry = ring_next(&ring);
    io_uring_prep_recv_multishot(entry, (int)slot, NULL, 0, 0);
    entry->flags |= IOSQE_BUFFER_SELECT | IOSQE_FIXED_FILE;
    entry->buf_group = buffer_group;
    io_uring_sqe_set_data64(entry, tag(event_received, slot));
}

static void send_from(unsigned slot, enum event event, const char* bytes, size_t size, int flags) {
    struct io_uring_sqe* entry = ring_next(&ring);
    io_uring_prep_send(entry, (int)slot, bytes, size, MSG_NOSIGNAL | flags);
    entry->flags |= IOSQE_FIXED_FILE;
    io_uring_sqe_set_data64(entry, tag(event, slot));
    connections[slot].sending = bytes;
    connections[slot].sending_size = size;
}

static void accept_all(int listener) {
    struct io_uring_sqe* entry = ring_next(&ring);
    io_uring_prep_multishot_accept_direct(entry, listener, NULL, NULL, 0);
    io_uring_sqe_set_data64(entry, tag(event_accepted, 0));
}

static void close_if_done(unsigned slot) {
    struct connection* peer = &connections[slot];
    if (!peer->is_over || peer->sending != NULL) return;
    free(peer->debt.bytes);
    *peer = (struct connection){0};
    struct io_uring_sqe* entry = ring_next(&ring);
    io_uring_prep_close_direct(entry, slot);
    entry->flags |= IOSQE_CQE_SKIP_SUCCESS;
    io_uring_sqe_set_data64(entry, tag(event_closed, slot));
}

// Ends a connection whose peer is gone or does not read; its receive, if still armed, comes back with the
// end.
static void give_up(unsigned slot) {
    struct io_uring_sqe* entry = ring_next(&ring);
    io_uring_prep_shutdown(entry, (int)slot, SHUT_RDWR);
    entry->flags |= IOSQE_FIXED_FILE | IOSQE_CQE_SKIP_SUCCESS;
    io_uring_sqe_set_data64(entry, tag(event_closed, slot));
    connections[slot].debt.size = connections[slot].debt.sent = 0;
}

static void owe(unsigned slot, const char* bytes, size_t size) {
    struct debt* debt = &connections[slot].debt;
    if (debt->size + size > debt_limit) {
        give_up(slot);
        return;
    }
    if (debt->bytes == NULL) debt->bytes = malloc(debt_limit);
    if (debt->bytes == NULL) die("malloc");
    memcpy(debt->bytes + debt->size, bytes, size);
    debt->size += size;
}

static void pay_debt(unsigned slot) {
    const struct debt* debt = &connections[slot].debt;
    if (debt->sent < debt->size) {
        send_from(slot, event_debt_paid, debt->bytes + debt->sent, debt->size - debt->sent, MSG_WAITALL);
    }
}

static void on_received(unsigned slot, const struct io_uring_cqe* completion) {
    const int is_armed = (completion->flags & IORING_CQE_F_MORE) != 0;
    struct connection* peer = &connections[slot];
    if (completion->res > 0) {
        const unsigned id = completion->flags >> IORING_CQE_BUFFER_SHIFT;
        const size_t size = (size_t)completion->res;
        const char* bytes = buffer_memory + (size_t)id * buffer_size + buffers[id].used;
        buffers[id].used += (unsigned)size;
        buffers[id].is_full = (completion->flags & ring_cqe_buffer_has_more) == 0;
        if (peer->sending == NULL) {
            ++buffers[id].sends;
            peer->buffer = (int)id;
            send_from(slot, event_sent, bytes, size, MSG_DONTWAIT);
        } else {
            owe(slot, bytes, size);
            if (buffers[id].is_full && buffers[id].sends == 0) free_buffer(id);
        }
        if (!is_armed) receive(slot);
    } else if (completion->res == -ENOBUFS) {
        receive(slot);  // buffers come back at the end of every turn
    } else {
        peer->is_over = 1;
        close_if_done(slot);
    }
}

static void on_sent(unsigned slot, int result) {
    struct connection* peer = &connections[slot];
    const unsigned id = (unsigned)peer->buffer;
    const char* bytes = peer->sending;
    const size_t done = result > 0 ? (size_t)result : 0;
    peer->sending = NULL;
    if (result < 0 && result != -EAGAIN) {
        give_up(slot);
    } else if (done < peer->sending_size) {
        // The rest goes before what has been put aside since.
        struct debt later = peer->debt;
        peer->debt = (struct debt){0, 0, NULL};
        owe(slot, bytes + done, peer->sending_size - done);
        if (later.size != 0) owe(slot, later.bytes, later.size);
        free(later.bytes);
    }
    if (--buffers[id].sends == 0 && buffers[id].is_full) free_buffer(id);
    pay_debt(slot);
    close_if_done(slot);
}

static void on_debt_paid(unsigned slot, int result) {
    struct connection* peer = &connections[slot];
    peer->sending = NULL;
    if (result < 0) {
        give_up(slot);
    } else {
        peer->debt.sent += (size_t)result;
    }
    if (peer->debt.sent >= peer->debt.size) {
        free(peer->debt.bytes);
        peer->debt = (struct debt){0, 0, NULL};
    }
    pay_debt(slot);
    close_if_done(slot);
}

static void handle(const struct io_uring_cqe* completion, int listener) {
    const unsigned slot = (unsigned)(completion->user_data >> 8);
    switch ((enum event)(completion->user_data & 0xff)) {
        case event_accepted:
            if (completion->res >= 0) {
                receive((unsigned)completion->res);
            } else if (completion->res != -ECONNABORTED) {
                fprintf(stderr, "accept: %s\n", strerror(-completion->res));
                exit(1);
            }
            if ((completion->flags & IORING_CQE_F_MORE) == 0) accept_all(listener);
            break;
        case event_received:
            on_received(slot, completion);
            break;
        case event_sent:
            on_sent(slot, completion->res);
            break;
        case event_debt_paid:
            on_debt_paid(slot, completion->res);
            break;
        case event_closed:
            break;  // a shutdown of what the peer has ended already
    }
}

int main(int argc, char** argv) {
    unsigned slots = raise_descriptor_limit();
    if (slots > slot_limit) slots = slot_limit;
    connections = calloc(slots, sizeof *connections);
    buffer_memory = mmap(NULL, (size_t)buffer_count * buffer_size, PROT_READ | PROT_WRITE,
                         MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (connections == NULL || buffer_memory == MAP_FAILED) die("memory");
    ring_open(&ring, ring_entries, ring_completions);
    buffer_ring = ring_open_buffers(&ring, buffer_count, buffer_group, ring_buffers_incremental);
    for (unsigned id = 0; id < buffer_count; ++id) free_buffer(id);
    publish_freed_buffers();
    const int error = io_uring_register_files_sparse(&ring, slots);
    if (error < 0) {
        fprintf(stderr, "io_uring_register_files: %s\n", strerror(-error));
        return 1;
    }
    const int listener = listen_and_announce(argc, argv, 0);
    accept_all(listener);

    for (;;) {
        const int submitted = io_uring_submit_and_wait(&ring, 1);
        if (submitted < 0 && submitted != -EINTR && submitted != -EAGAIN && submitted != -EBUSY) {
            fprintf(stderr, "io_uring_enter: %s\n", strerror(-submitted));
            return 1;
        }
        struct io_uring_cqe* completion;
        unsigned head, seen = 0;
        io_uring_for_each_cqe(&ring, head, completion) {
            handle(completion, listener);
            ++seen;
        }
        io_uring_cq_advance(&ring, seen);
        publish_freed_buffers();
    }
}
