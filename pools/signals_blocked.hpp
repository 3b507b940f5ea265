// Internal to pools: a stretch of code in which this thread takes no signals.
#pragma once

#include <pthread.h>
#include <signal.h>

namespace confab {

/// While it lives, this thread, and so those it starts, takes no signals. They arrive afterwards.
class SignalsBlocked {
  public:
    SignalsBlocked() {
        sigset_t all;
        sigfillset(&all);
        pthread_sigmask(SIG_SETMASK, &all, &before_);
    }
    SignalsBlocked(const SignalsBlocked&) = delete;
    SignalsBlocked& operator=(const SignalsBlocked&) = delete;
    ~SignalsBlocked() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }

  private:
    sigset_t before_{};
};

}  // namespace confab
