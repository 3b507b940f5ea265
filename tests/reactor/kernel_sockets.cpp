#include "tests/reactor/kernel_sockets.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <system_error>

namespace confab::testing {

namespace {

template <class T>
T must(std::expected<T, std::error_code> result) {
    if (!result) throw std::system_error(result.error());
    return std::move(*result);
}

int must(int result, const char* call) {
    if (result < 0) throw std::system_error(errno, std::system_category(), call);
    return result;
}

class KernelSockets final : public Sockets {
  public:
    explicit KernelSockets(Family family) : family_(family) {}
    ~KernelSockets() override {
        if (limit_changed_) ::setrlimit(RLIMIT_NOFILE, &limit_before_);
    }

    std::string_view name() const override {
        return family_ == Family::tcp4 ? "tcp4" : family_ == Family::tcp6 ? "tcp6" : "unix";
    }
    bool is_unix() const override { return family_ == Family::unix_path; }

    Pair pair() override {
        const int listening = listener();
        const Endpoint there = endpoint(listening);
        Fd one = must(make_socket(there));
        if (::connect(one.get(), there.address(), there.size()) < 0 && errno != EINPROGRESS) {
            throw std::system_error(errno, std::system_category(), "connect");
        }
        pollfd queue{.fd = listening, .events = POLLIN, .revents = 0};
        must(::poll(&queue, 1, -1), "poll");
        Fd other(must(::accept4(listening, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK), "accept4"));
        close(listening);
        return {one.release(), other.release()};
    }

    int listener() override { return must(listen_on(new_endpoint())).release(); }

    Endpoint endpoint(int listener) override { return must(Endpoint::of_socket(listener)); }

    int socket() override { return must(make_socket(new_endpoint())).release(); }

    Endpoint nowhere() override {
        const int listening = listener();
        const Endpoint endpoint = this->endpoint(listening);
        close(listening);
        return endpoint;
    }

    void reset(int fd) override {
        const linger now{.l_onoff = 1, .l_linger = 0};
        must(::setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now), "setsockopt");
        close(fd);
    }

    void close(int fd) override { must(::close(fd), "close"); }

    void leave_descriptors(int count) override {
        std::vector<Fd> next(static_cast<std::size_t>(count) + 1);
        for (Fd& fd : next) fd = Fd(must(::fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 0), "fcntl"));
        if (!limit_changed_) must(::getrlimit(RLIMIT_NOFILE, &limit_before_), "getrlimit");
        limit_changed_ = true;
        rlimit limit = limit_before_;
        limit.rlim_cur = static_cast<rlim_t>(next.back().get());
        must(::setrlimit(RLIMIT_NOFILE, &limit), "setrlimit");
    }

  private:
    // A port, or a path, that is free.
    Endpoint new_endpoint() {
        if (!is_unix())
            return Endpoint::resolve(family_ == Family::tcp4 ? "127.0.0.1:0" : "[::1]:0")->front();
        return Endpoint::resolve("unix:" + directory_.path + '/' + std::to_string(++paths_))->front();
    }

    // Where the socket files are; goes with them.
    struct Directory {
        Directory() { must(::mkdtemp(path.data()) == nullptr ? -1 : 0, "mkdtemp"); }
        Directory(const Directory&) = delete;
        Directory& operator=(const Directory&) = delete;
        ~Directory() {
            std::error_code ignored;
            std::filesystem::remove_all(path, ignored);
        }
        std::string path = "/tmp/confab-test-XXXXXX";
    };

    const Family family_;
    Directory directory_;
    int paths_ = 0;
    bool limit_changed_ = false;
    rlimit limit_before_{};
};

}  // namespace

bool available(Family family) {
    if (family != Family::tcp6) return true;
    return listen_on(Endpoint::resolve("[::1]:0")->front()).has_value();
}

std::unique_ptr<Sockets> make_kernel_sockets(Family family) {
    return std::make_unique<KernelSockets>(family);
}

}  // namespace confab::testing
