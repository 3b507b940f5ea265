#include "tests/reactor/kernel_sockets.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
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
    KernelSockets(Family family, const char* uring_features)
        : family_(family), uring_features_(uring_features) {
        must(::getrlimit(RLIMIT_NOFILE, &limit_before_), "getrlimit");
        rlimit limit = limit_before_;
        limit.rlim_cur = std::min<rlim_t>(limit.rlim_cur, 1024);
        must(::setrlimit(RLIMIT_NOFILE, &limit), "setrlimit");
    }
    ~KernelSockets() override { ::setrlimit(RLIMIT_NOFILE, &limit_before_); }

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

    // A listener whose queue is full: the kernel drops the requests of more.
    Endpoint silence() override {
        const Endpoint endpoint = new_endpoint();
        silent_.push_back(must(listen_on(endpoint, {.backlog = 0})));
        const Endpoint there = this->endpoint(silent_.back().get());
        silent_.push_back(must(make_socket(there)));
        if (::connect(silent_.back().get(), there.address(), there.size()) < 0 && errno != EINPROGRESS) {
            throw std::system_error(errno, std::system_category(), "connect");
        }
        pollfd connected{.fd = silent_.back().get(), .events = POLLOUT, .revents = 0};
        must(::poll(&connected, 1, -1), "poll");
        return there;
    }

    void reset(int fd) override {
        const linger now{.l_onoff = 1, .l_linger = 0};
        must(::setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now), "setsockopt");
        close(fd);
    }

    void close(int fd) override { must(::close(fd), "close"); }

    void prepare(ReactorOptions& options) override { options.uring_features = uring_features_; }

    // Takes all the others. (The limit itself stays: an accept that is armed in a ring goes by the limit of
    // when it was armed.)
    void leave_descriptors(int count) override {
        while (true) {
            const int fd = ::fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 0);
            if (fd < 0) break;
            taken_.emplace_back(fd);
        }
        if (errno != EMFILE) throw std::system_error(errno, std::system_category(), "fcntl");
        taken_.resize(taken_.size() - static_cast<std::size_t>(count));
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
    const char* const uring_features_;
    Directory directory_;
    int paths_ = 0;
    std::vector<Fd> silent_;
    std::vector<Fd> taken_;
    rlimit limit_before_{};
};

}  // namespace

bool available(Family family) {
    if (family != Family::tcp6) return true;
    return listen_on(Endpoint::resolve("[::1]:0")->front()).has_value();
}

std::unique_ptr<Sockets> make_kernel_sockets(Family family, const char* uring_features) {
    return std::make_unique<KernelSockets>(family, uring_features);
}

}  // namespace confab::testing
