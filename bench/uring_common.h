// Internal to bench: io_uring as the uring baselines and the load drivers set it up. What liburing 2.3
// (Debian 12) lacks is defined here under names of our own, so that newer headers do not clash.
#ifndef CONFAB_BENCH_URING_COMMON_H
#define CONFAB_BENCH_URING_COMMON_H

#include <errno.h>
#include <liburing.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum {
    ring_buffers_incremental = 2,        // IOU_PBUF_RING_INC (6.12): one buffer is filled by many receives
    ring_cqe_buffer_has_more = 1U << 4,  // IORING_CQE_F_BUF_MORE (6.12): the kernel will go on filling it
    ring_recvsend_bundle = 1U << 4,      // IORING_RECVSEND_BUNDLE (6.10)
    ring_exit_unsupported = 77,          // what the test harness takes as "skipped"
};

// DEFER_TASKRUN keeps completions until we ask for them, in batches, on our own stack: without it every
// arriving segment interrupts us. SINGLE_ISSUER is its condition. Exits with 77 where the kernel refuses
// io_uring.
static inline void ring_open(struct io_uring* ring, unsigned entries, unsigned completions) {
    struct io_uring_params params;
    memset(&params, 0, sizeof params);
    params.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_SUBMIT_ALL |
                   IORING_SETUP_CQSIZE | IORING_SETUP_CLAMP;
    params.cq_entries = completions;
    const int error = io_uring_queue_init_params(entries, ring, &params);
    if (error < 0) {
        fprintf(stderr, "io_uring: %s\n", strerror(-error));
        exit(error == -EPERM || error == -ENOSYS || error == -EINVAL ? ring_exit_unsupported : 1);
    }
    io_uring_register_ring_fd(ring);  // saves a descriptor look-up an enter; nothing is lost where it fails
}

// A ring of `count` (a power of two) provided buffers; the caller fills it with io_uring_buf_ring_add.
static inline struct io_uring_buf_ring* ring_open_buffers(struct io_uring* ring, unsigned count, int group,
                                                          unsigned flags) {
    void* memory = mmap(NULL, count * sizeof(struct io_uring_buf), PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    if (memory == MAP_FAILED) {
        perror("mmap");
        exit(1);
    }
    struct io_uring_buf_reg registration;
    memset(&registration, 0, sizeof registration);
    registration.ring_addr = (unsigned long long)(uintptr_t)memory;
    registration.ring_entries = count;
    registration.bgid = (unsigned short)group;
    // The flags follow `bgid`: liburing before 2.5 calls that field `pad`, later ones `flags`.
    const unsigned short flag_bits = (unsigned short)flags;
    memcpy((char*)&registration + offsetof(struct io_uring_buf_reg, bgid) + sizeof registration.bgid,
           &flag_bits, sizeof flag_bits);
    const int error = io_uring_register_buf_ring(ring, &registration, 0);
    if (error != 0) {
        fprintf(stderr, "provided buffers: %s\n", strerror(-error));
        exit(error == -EINVAL ? ring_exit_unsupported : 1);
    }
    struct io_uring_buf_ring* buffers = (struct io_uring_buf_ring*)memory;
    io_uring_buf_ring_init(buffers);
    return buffers;
}

// The next free submission entry; submits what there is when all are taken.
static inline struct io_uring_sqe* ring_next(struct io_uring* ring) {
    struct io_uring_sqe* entry = io_uring_get_sqe(ring);
    while (entry == NULL) {
        const int error = io_uring_submit(ring);
        if (error < 0 && error != -EINTR && error != -EAGAIN && error != -EBUSY) {
            fprintf(stderr, "io_uring_enter: %s\n", strerror(-error));
            exit(1);
        }
        entry = io_uring_get_sqe(ring);
    }
    return entry;
}

// A receive that stays armed and takes its buffers from the group.
static inline void ring_receive(struct io_uring* ring, int fd, int group, unsigned long long user_data) {
    struct io_uring_sqe* entry = ring_next(ring);
    io_uring_prep_recv_multishot(entry, fd, NULL, 0, 0);
    entry->flags |= IOSQE_BUFFER_SELECT;
    entry->buf_group = (unsigned short)group;
    io_uring_sqe_set_data64(entry, user_data);
}

#endif
