// Baseline: fan-out on io_uring, one thread: a line in, that line out to every other member of its room.
//
// Receives as baseline_uring.c does. At the end of a turn every room that has heard something submits one
// send a member, in slices: one io_uring_enter for many sends, but not so many that the first one's data has
// left the cache when the last one is made.
//
// No send waits (MSG_DONTWAIT), and one that takes all its bytes says nothing (CQE_SKIP_SUCCESS). So when the
// submitting call returns, every send has happened: the shared buffer is free again, and the few completions
// that appeared name the peers who did not take all. What they are owed is put aside as their debt and sent
// on its own.
#include "bench/baseline_rooms.h"
#include "bench/uring_common.h"

enum {
    ring_entries = 256,
    ring_completions = 16 * 1024,
    buffer_count = 16,
    buffer_size = 128 * 1024,
    buffer_group = 0,
    slice = 64,
    slot_limit = 1024 * 1024,
};

enum event { event_accepted, event_received, event_sent, event_debt_paid, event_closed, event_settled };

struct debt {
    size_t size, sent;
    char* bytes;
    int is_under_way;  // a send of it
    int is_over;       // the peer has finished: close once nothing is under way
};

// One member's send of a slice, as long as its submission lasts.
struct parcel {
    struct iovec pieces[piece_limit];
    size_t total;
    char* copy;
    struct msghdr message;
    unsigned id, count;
};

static struct io_uring ring;
static struct io_uring_buf_ring* buffer_ring;
static char* buffer_memory;
static unsigned used[buffer_count];  // bytes received into a buffer
static int freed;
static struct debt* debts;  // by slot, as are `members`
static struct parcel parcels[slice];

static unsigned long long tag(enum event event, unsigned value) {
    return (unsigned long long)value << 8 | event;
}

static void free_buffer(unsigned id) {
    used[id] = 0;
    io_uring_buf_ring_add(buffer_ring, buffer_memory + (size_t)id * buffer_size, buffer_size,
                          (unsigned short)id, buffer_count - 1, freed++);
}

static void publish_freed_buffers(void) {
    io_uring_buf_ring_advance(buffer_ring, freed);
    freed = 0;
}

static void accept_all(int listener) {
    struct io_uring_sqe* entry = ring_next(&ring);
    io_uring_prep_multishot_accept_direct(entry, listener, NULL, NULL, 0);
    io_uring_sqe_set_data64(entry, tag(event_accepted, 0));
}

static void receive(unsigned id) {
    struct io_uring_sqe* entry = ring_next(&ring);
    io_uring_prep_recv_multishot(entry, (int)id, NULL, 0, 0);
    entry->flags |= IOSQE_BUFFER_SELECT | IOSQE_FIXED_FILE;
    entry->buf_group = buffer_group;
    io_uring_sqe_set_data64(entry, tag(event_received, id));
}

// Ends a connection; its receive, if still armed, comes back with the end.
static void give_up(unsigned id) {
    struct io_uring_sqe* entry = ring_next(&ring);
    io_uring_prep_shutdown(entry, (int)id, SHUT_RDWR);
    entry->flags |= IOSQE_FIXED_FILE | IOSQE_CQE_SKIP_SUCCESS;
    io_uring_sqe_set_data64(entry, tag(event_closed, id));
}

static void close_if_done(unsigned id) {
    if (!debts[id].is_over || debts[id].is_under_way) return;
    free(debts[id].bytes);
    debts[id] = (struct debt){0};
    struct io_uring_sqe* entry = ring_next(&ring);
    io_uring_prep_close_direct(entry, id);
    entry->flags |= IOSQE_CQE_SKIP_SUCCESS;
    io_uring_sqe_set_data64(entry, tag(event_closed, id));
}

static void pay_debt(unsigned id) {
    struct debt* debt = &debts[id];
    if (debt->is_under_way || debt->sent == debt->size) return;
    debt->is_under_way = 1;
    struct io_uring_sqe* entry = ring_next(&ring);
    io_uring_prep_send(entry, (int)id, debt->bytes + debt->sent, debt->size - debt->sent,
                       MSG_WAITALL | MSG_NOSIGNAL);
    entry->flags |= IOSQE_FIXED_FILE;
    io_uring_sqe_set_data64(entry, tag(event_debt_paid, id));
}

static void owe(unsigned id, const struct iovec* pieces, unsigned count, size_t skip, size_t total) {
    struct debt* debt = &debts[id];
    if (debt->size + total - skip > debt_limit) {
        give_up(id);
        return;
    }
    if (debt->bytes == NULL) debt->bytes = (char*)malloc(debt_limit);
    if (debt->bytes == NULL) die("malloc");
    copy_pieces(debt->bytes + debt->size, pieces, count, skip);
    debt->size += total - skip;
    pay_debt(id);
}

static void reply(unsigned id, const char* bytes, size_t size) {
    const struct iovec piece = {(void*)bytes, size};
    owe(id, &piece, 1, 0, size);
}

static void on_debt_paid(unsigned id, int result) {
    struct debt* debt = &debts[id];
    debt->is_under_way = 0;
    if (result < 0) {
        give_up(id);
        debt->sent = debt->size;
    } else {
        debt->sent += (size_t)result;
    }
    if (debt->sent == debt->size) {
        free(debt->bytes);
        debt->bytes = NULL;
        debt->size = debt->sent = 0;
    }
    pay_debt(id);
    close_if_done(id);
}

static void submit(unsigned wait_for) {
    do {
        const int submitted = io_uring_submit_and_wait(&ring, wait_for);
        if (submitted < 0 && submitted != -EINTR && submitted != -EAGAIN && submitted != -EBUSY) {
            fprintf(stderr, "io_uring_enter: %s\n", strerror(-submitted));
            exit(1);
        }
    } while (io_uring_sq_ready(&ring) != 0);
}

// Parcels that were not taken whole have a completion now. Whatever else may have completed waits for its
// turn.
static void send_parcels(unsigned count) {
    submit(0);
    struct io_uring_cqe* completion;
    unsigned head;
    io_uring_for_each_cqe(&ring, head, completion) {
        if ((completion->user_data & 0xff) != event_sent) continue;
        const struct parcel* parcel = &parcels[completion->user_data >> 8];
        completion->user_data = event_settled;
        // Any other error is told to the receive, too.
        if (completion->res >= 0 || completion->res == -EAGAIN) {
            const size_t sent = completion->res > 0 ? (size_t)completion->res : 0;
            owe(parcel->id, parcel->pieces, parcel->count, sent, parcel->total);
        }
    }
    for (unsigned i = 0; i < count; ++i) free(parcels[i].copy);
}

static void prepare_parcel(struct parcel* parcel) {
    struct io_uring_sqe* entry = ring_next(&ring);
    const int flags = MSG_DONTWAIT | MSG_WAITALL | MSG_NOSIGNAL;
    if (parcel->count == 1) {
        io_uring_prep_send(entry, (int)parcel->id, parcel->pieces[0].iov_base, parcel->total, flags);
    } else {
        parcel->message = (struct msghdr){.msg_iov = parcel->pieces, .msg_iovlen = parcel->count};
        io_uring_prep_sendmsg(entry, (int)parcel->id, &parcel->message, (unsigned)flags);
    }
    entry->flags |= IOSQE_FIXED_FILE | IOSQE_CQE_SKIP_SUCCESS;
    io_uring_sqe_set_data64(entry, tag(event_sent, (unsigned)(parcel - parcels)));
}

// Slices go across rooms, and so no room's turn ends before the last slice has gone.
static void deliver_all(void) {
    unsigned prepared = 0;
    for (const struct room* room = touched_rooms; room != NULL; room = room->next_touched) {
        for (unsigned i = 0; i < room->member_count; ++i) {
            struct parcel* parcel = &parcels[prepared];
            parcel->id = room->members[i];
            parcel->count = owed_pieces(room, parcel->id, parcel->pieces, &parcel->total, &parcel->copy);
            if (parcel->count == 0 || debts[parcel->id].bytes != NULL) {
                if (parcel->count != 0) owe(parcel->id, parcel->pieces, parcel->count, 0, parcel->total);
                free(parcel->copy);
                continue;
            }
            prepare_parcel(parcel);
            if (++prepared == slice) {
                send_parcels(prepared);
                prepared = 0;
            }
        }
    }
    if (prepared != 0) send_parcels(prepared);
    for (; touched_rooms != NULL; touched_rooms = touched_rooms->next_touched) end_turn(touched_rooms);
}

static void on_received(unsigned id, const struct io_uring_cqe* completion) {
    if (completion->res > 0) {
        const unsigned buffer = completion->flags >> IORING_CQE_BUFFER_SHIFT;
        const char* bytes = buffer_memory + (size_t)buffer * buffer_size + used[buffer];
        used[buffer] += (unsigned)completion->res;
        if (!take_bytes(id, bytes, (size_t)completion->res)) give_up(id);
        if ((completion->flags & ring_cqe_buffer_has_more) == 0) free_buffer(buffer);
    } else if (completion->res != -ENOBUFS) {
        forget_member(id);
        debts[id].is_over = 1;
        if (debts[id].is_under_way) give_up(id);
        close_if_done(id);
        return;
    }
    if ((completion->flags & IORING_CQE_F_MORE) == 0) receive(id);
}

static void handle(const struct io_uring_cqe* completion, int listener) {
    const unsigned id = (unsigned)(completion->user_data >> 8);
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
            on_received(id, completion);
            break;
        case event_debt_paid:
            on_debt_paid(id, completion->res);
            break;
        case event_sent:  // only in send_parcels, which settles it
        case event_settled:
        case event_closed:  // a shutdown of what the peer has ended already
            break;
    }
}

int main(int argc, char** argv) {
    unsigned slots = raise_descriptor_limit();
    if (slots > slot_limit) slots = slot_limit;
    members = (struct member*)calloc(slots, sizeof *members);
    debts = (struct debt*)calloc(slots, sizeof *debts);
    buffer_memory = mmap(NULL, (size_t)buffer_count * buffer_size, PROT_READ | PROT_WRITE,
                         MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (members == NULL || debts == NULL || buffer_memory == MAP_FAILED) die("memory");
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
        submit(1);
        struct io_uring_cqe* completion;
        unsigned head, seen = 0;
        io_uring_for_each_cqe(&ring, head, completion) {
            handle(completion, listener);
            ++seen;
        }
        io_uring_cq_advance(&ring, seen);
        publish_freed_buffers();
        deliver_all();
    }
}
