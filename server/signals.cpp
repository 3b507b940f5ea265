#include "server/signals.hpp"

#include <pthread.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

namespace confab {

namespace {

sigset_t heard_signals() {
    sigset_t set;
    sigemptyset(&set);
    for (const int signal : {SIGTERM, SIGINT, SIGQUIT, SIGHUP, SIGUSR1, SIGUSR2, SIGTTIN, SIGTTOU, SIGCHLD}) {
        sigaddset(&set, signal);
    }
    return set;
}

}  // namespace

Signals::Signals() {
    struct sigaction hangup{};
    ::sigaction(SIGHUP, nullptr, &hangup);
    ignores_hangup_ = hangup.sa_handler == SIG_IGN;
    const sigset_t heard = heard_signals();
    ::pthread_sigmask(SIG_BLOCK, &heard, nullptr);
    descriptor_ = Fd(::signalfd(-1, &heard, SFD_CLOEXEC | SFD_NONBLOCK));
    if (!descriptor_) throw std::system_error(errno, std::generic_category(), "signalfd");
}

std::optional<Asked> Signals::next() {
    signalfd_siginfo heard{};
    while (::read(descriptor_.get(), &heard, sizeof heard) == sizeof heard) {
        const auto asked = meaning_of(static_cast<int>(heard.ssi_signo), heard.ssi_code);
        if (asked) return asked;
    }
    return std::nullopt;
}

std::optional<Asked> Signals::meaning_of(int signal, int code) const {
    switch (signal) {
        case SIGUSR1:
            return Asked::to_report;
        case SIGQUIT:
            return Asked::to_quit;
        case SIGUSR2:
            return Asked::to_upgrade;
        case SIGTTIN:
            return Asked::for_more;
        case SIGTTOU:
            return Asked::for_fewer;
        case SIGCHLD:
            return Asked::about_child;
        case SIGHUP:
            // The kernel's own: the terminal is gone, and whoever sat there.
            if (code != SI_KERNEL) return Asked::to_reload;
            if (ignores_hangup_) return std::nullopt;
            return Asked::to_end;
        default:
            return Asked::to_end;
    }
}

void Signals::let_be() {
    const sigset_t heard = heard_signals();
    ::pthread_sigmask(SIG_UNBLOCK, &heard, nullptr);
}

void Signals::leave_to_parent() {
    descriptor_ = Fd();
    sigset_t child;
    sigemptyset(&child);
    sigaddset(&child, SIGCHLD);
    ::pthread_sigmask(SIG_UNBLOCK, &child, nullptr);
}

}  // namespace confab
