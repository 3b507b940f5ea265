// Baseline: an echo server with a process a connection and blocking calls. The measure of confab's `fork`
// strategy.
#include <sys/prctl.h>
#include <sys/wait.h>

#include "bench/baseline_common.h"

enum { message_buffer = 16 * 1024 };

_Noreturn static void serve(int fd) {
    char buffer[message_buffer];
    for (;;) {
        const ssize_t got = recv(fd, buffer, sizeof buffer, 0);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) _exit(0);
        for (ssize_t sent = 0; sent < got;) {
            const ssize_t step = send(fd, buffer + sent, (size_t)(got - sent), MSG_NOSIGNAL);
            if (step < 0 && errno != EINTR) _exit(0);
            if (step > 0) sent += step;
        }
    }
}

// Children are reaped, not ignored: only a reaped child's CPU time counts for its parent, where the bench
// looks.
static void reap(int signal_number) {
    (void)signal_number;
    const int saved = errno;
    while (waitpid(-1, NULL, WNOHANG) > 0) continue;
    errno = saved;
}

int main(int argc, char** argv) {
    raise_descriptor_limit();
    const int listener = listen_and_announce(argc, argv, 0);
    struct sigaction on_child = {.sa_handler = reap, .sa_flags = SA_RESTART | SA_NOCLDSTOP};
    if (sigaction(SIGCHLD, &on_child, NULL) != 0) die("sigaction");
    const pid_t parent = getpid();
    for (;;) {
        const int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        if (fd < 0) {
            if (errno == EINTR || errno == ECONNABORTED) continue;
            die("accept");
        }
        const pid_t child = fork();
        if (child == 0) {
            // No child outlives the server; the second look closes the gap before prctl took effect.
            if (prctl(PR_SET_PDEATHSIG, SIGTERM) != 0 || getppid() != parent) _exit(1);
            close(listener);
            serve(fd);
        }
        if (child < 0) perror("fork");
        close(fd);
    }
}
