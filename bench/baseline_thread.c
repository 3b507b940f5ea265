// Baseline: an echo server with a thread a connection and blocking calls, as the textbook has it: two system
// calls a message. The measure of confab's `thread` strategy.
#include <pthread.h>

#include "bench/baseline_common.h"

// Room for the buffer of one message and libc's frames; the default of 8 MiB is only address space, but a
// small stack keeps thousands of threads inside every limit.
enum { stack_size = 128 * 1024, message_buffer = 16 * 1024 };

static void* serve(void* argument) {
    const int fd = *(int*)argument;
    free(argument);
    char buffer[message_buffer];
    for (;;) {
        const ssize_t got = recv(fd, buffer, sizeof buffer, 0);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) break;
        for (ssize_t sent = 0; sent < got;) {
            const ssize_t step = send(fd, buffer + sent, (size_t)(got - sent), MSG_NOSIGNAL);
            if (step < 0 && errno != EINTR) goto end;
            if (step > 0) sent += step;
        }
    }
end:
    close(fd);
    return NULL;
}

int main(int argc, char** argv) {
    raise_descriptor_limit();
    const int listener = listen_and_announce(argc, argv, 0);
    pthread_attr_t attributes;
    if (pthread_attr_init(&attributes) != 0 || pthread_attr_setstacksize(&attributes, stack_size) != 0 ||
        pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED) != 0) {
        die("pthread_attr");
    }
    for (;;) {
        const int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        if (fd < 0) {
            if (errno == EINTR || errno == ECONNABORTED) continue;
            die("accept");
        }
        int* const argument = malloc(sizeof *argument);
        if (argument == NULL) die("malloc");
        *argument = fd;
        pthread_t thread;
        errno = pthread_create(&thread, &attributes, serve, argument);
        if (errno != 0) die("pthread_create");
    }
}
