// Internal to bench: what the baseline servers share: a listener, the ready line, and the way out.
#ifndef CONFAB_BENCH_BASELINE_COMMON_H
#define CONFAB_BENCH_BASELINE_COMMON_H

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

// Bytes asked for by one receive: past this, more system calls no longer cost a visible share of the copying.
enum { receive_size = 64 * 1024 };

// Bytes that may wait for a peer who does not read. Past it the peer is dropped: a baseline has bounds, too.
enum { debt_limit = 1024 * 1024 };

_Noreturn static inline void die(const char* what) {
    perror(what);
    exit(1);
}

static inline void leave(int signal_number) {
    (void)signal_number;
    _exit(0);
}

// As many descriptors as we may have; returns how many that is.
static inline unsigned raise_descriptor_limit(void) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0) die("getrlimit");
    limit.rlim_cur = limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0) die("setrlimit");
    return (unsigned)limit.rlim_cur;
}

// Listens on 127.0.0.1, on the port of the command line or any free one, and says so. `extra_flags` are
// socket(2)'s. TCP_NODELAY is set here because Linux hands it down to every accepted socket: one system call
// a connection less.
static inline int listen_and_announce(int argc, char** argv, int extra_flags) {
    const long port = argc > 1 ? strtol(argv[1], NULL, 10) : 0;
    if (argc > 2 || port < 0 || port > 65535) {
        fprintf(stderr, "usage: %s [PORT]\n", argv[0]);
        exit(2);
    }
    // TERM is the ordinary end of a run, so it is success. PIPE would be the death of a server by one rude
    // client.
    if (signal(SIGTERM, leave) == SIG_ERR || signal(SIGINT, leave) == SIG_ERR) die("signal");
    if (signal(SIGPIPE, SIG_IGN) == SIG_ERR) die("signal");

    const int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | extra_flags, 0);
    if (listener < 0) die("socket");
    const int on = 1;
    if (setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0) die("SO_REUSEADDR");
    if (setsockopt(listener, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) != 0) die("TCP_NODELAY");
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((unsigned short)port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof address;
    if (bind(listener, (struct sockaddr*)&address, length) != 0) die("bind");
    if (listen(listener, 4096) != 0) die("listen");
    if (getsockname(listener, (struct sockaddr*)&address, &length) != 0) die("getsockname");
    fprintf(stderr, "listening on 127.0.0.1:%u\n", (unsigned)ntohs(address.sin_port));
    return listener;
}

#endif
