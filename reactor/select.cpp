#include "reactor/select.hpp"

#include <poll.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <system_error>

#include "reactor/system_calls.hpp"
#include "reactor/time_left.hpp"

namespace confab {

using system_calls::once;

SelectMechanism::SelectMechanism(Ledger& ledger, std::size_t receive_size)
    : ReadinessMechanism(ledger, receive_size, {.descriptor_limit = FD_SETSIZE}),
      wake_(make_wake_descriptor()) {
    if (wake_.get() >= FD_SETSIZE) {
        throw std::system_error(EMFILE, std::system_category(), "select: descriptors below FD_SETSIZE");
    }
    put(wanted_.readable, wake_.get(), true);
    end_ = wake_.get() + 1;
}

void SelectMechanism::wait(Instant deadline, bool /*posts_expected*/) {
    Sets ready = wanted_;
    const auto set = [](Set& words) { return reinterpret_cast<fd_set*>(words.data()); };
    timespec left{};
    const timespec* const limit = time_left(anything_due() ? Instant::min() : deadline, left);
    const int count = once(ledger(), SystemCall::wait, [&] {
        return ::pselect(end_, set(ready.readable), set(ready.writable), set(ready.exceptional), limit,
                         nullptr);
    });
    if (count == 0 || count == -EINTR) return;
    if (count < 0) {  // EBADF: one of them is no descriptor any more, and select does not say which
        ready = wanted_;
        put(ready.readable, wake_.get(), false);
    }
    tell(ready);
}

void SelectMechanism::tell(const Sets& ready) {
    for (std::size_t i = 0; i * word_bits < static_cast<std::size_t>(end_); ++i) {
        Word any = ready.readable[i] | ready.writable[i] | ready.exceptional[i];
        for (; any != 0; any &= any - 1) {
            const Word bit = any & -any;
            const int fd = static_cast<int>(i * word_bits) + std::countr_zero(any);
            if (fd == wake_.get()) {
                ledger().count(SystemCall::wake);
                clear_wake_descriptor(wake_);
                continue;
            }
            const int events = ((ready.readable[i] & bit) != 0 ? POLLIN : 0) |
                               ((ready.writable[i] & bit) != 0 ? POLLOUT : 0) |
                               ((ready.exceptional[i] & bit) != 0 ? POLLPRI : 0);
            became_ready(fd, static_cast<short>(events));
        }
    }
}

// select tells of an end of stream or an error as readable. So that is what stands for whatever else a poll
// may ask for.
int SelectMechanism::interest_changed(int fd) {
    const Watched& watched = this->watched(fd);
    const bool any = watched.parked != nullptr;
    const short events = events_wanted(watched);
    put(wanted_.readable, fd, any && (events == 0 || (events & ~(POLLOUT | POLLPRI)) != 0));
    put(wanted_.writable, fd, (events & POLLOUT) != 0);
    put(wanted_.exceptional, fd, (events & POLLPRI) != 0);
    if (any) end_ = std::max(end_, fd + 1);
    return 0;
}

void SelectMechanism::put(Set& set, int fd, bool present) {
    Word& word = set[static_cast<std::size_t>(fd) / word_bits];
    const Word bit = Word{1} << (static_cast<std::size_t>(fd) % word_bits);
    word = present ? word | bit : word & ~bit;
}

}  // namespace confab
