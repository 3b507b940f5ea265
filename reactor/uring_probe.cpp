#include "reactor/uring_probe.hpp"

#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <system_error>

#include "pools/fd.hpp"

namespace confab {

namespace {

// A stream that holds two bytes and its end.
Fd two_bytes() {
    std::array<int, 2> ends{};
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) < 0) {
        throw std::system_error(errno, std::system_category(), "socketpair");
    }
    Fd reader(ends[0]);
    const Fd writer(ends[1]);
    if (::send(writer.get(), "ab", 2, MSG_NOSIGNAL) != 2) {
        throw std::system_error(errno, std::system_category(), "send");
    }
    return reader;
}

// True exactly when one armed receive brings "ab" in pieces of `piece` bytes, each announcing more, and then
// the end of the stream.
bool works(UringRing& ring, UringBuffers& buffers, std::uint32_t cap, int piece) {
    const Fd reader = two_bytes();
    io_uring_sqe& entry = ring.next_entry();
    io_uring_prep_recv_multishot(&entry, reader.get(), nullptr, cap, 0);
    entry.flags |= IOSQE_BUFFER_SELECT;
    entry.buf_group = UringBuffers::group;
    io_uring_sqe_set_data64(&entry, 0);
    bool over = false;
    bool as_it_should = true;
    int received = 0;
    while (!over) {
        buffers.publish();
        ring.submit_and_wait(never);
        ring.take_completions([&](const io_uring_cqe& completion) {
            over = (completion.flags & IORING_CQE_F_MORE) == 0;
            const auto index = static_cast<std::uint16_t>(completion.flags >> IORING_CQE_BUFFER_SHIFT);
            if (completion.res > 0) {
                const auto size = static_cast<std::uint32_t>(completion.res);
                const std::byte* const bytes = buffers.take(index, size);
                as_it_should = as_it_should && completion.res == piece && !over &&
                               std::to_integer<char>(*bytes) == "ab"[received];
                buffers.give_back(index, bytes, size);
                received += completion.res;
            } else if ((completion.flags & IORING_CQE_F_BUFFER) != 0) {
                buffers.give_back_unused(index);
            }
            if (over) as_it_should = as_it_should && completion.res == 0;
        });
    }
    return as_it_should && received == 2;
}

}  // namespace

UringFeatures probe_receive(UringRing& ring, UringBuffers& buffers, UringFeatures allowed) {
    UringFeatures found;
    if (!allowed.has(UringFeature::multishot_receive)) return found;
    if (allowed.has(UringFeature::receive_cap) && works(ring, buffers, 1, 1)) {
        found.add(UringFeature::receive_cap);
        found.add(UringFeature::multishot_receive);
    } else if (works(ring, buffers, 0, 2)) {
        found.add(UringFeature::multishot_receive);
    }
    return found;
}

}  // namespace confab
