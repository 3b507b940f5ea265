// Waiting at a bank, in four ways. Synchronous or asynchronous: do I ask whether it is my turn, or am I
// called? Blocking or not: can I do something else meanwhile - here, talk on the phone?
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <confab/confab.hpp>
#include <cstdio>
#include <semaphore>
#include <system_error>
#include <thread>

// The counter of the bank: calls the customer, through a socket, when the customer before him is done.
class Counter {
  public:
    Counter() {
        if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets_) != 0) {
            throw std::system_error(errno, std::generic_category(), "socketpair");
        }
        clerk_ = std::jthread([this] {
            before_is_done_.acquire();
            const ssize_t sent = ::send(sockets_[1], "!", 1, MSG_NOSIGNAL);
            if (sent != 1) std::perror("send");
        });
    }
    Counter(const Counter&) = delete;
    Counter& operator=(const Counter&) = delete;
    ~Counter() {
        clerk_.join();
        for (const int socket : sockets_) ::close(socket);
    }

    int call() const { return sockets_[0]; }
    void customer_before_is_done() { before_is_done_.release(); }

  private:
    int sockets_[2]{};
    std::binary_semaphore before_is_done_{0};
    std::jthread clerk_;
};

// What the customer did until it was his turn. The customer before him is done in the fifth minute of a phone
// call.
struct Wait {
    int asked = 0;
    int minutes_talked = 0;

    void talk(Counter& counter) {
        if (++minutes_talked == 5) counter.customer_before_is_done();
    }
};

bool ask(Counter& counter, Wait& wait, int flags) {
    char call = 0;
    ++wait.asked;
    return ::recv(counter.call(), &call, 1, flags) == 1;
}

// Stands in the queue and does nothing else.
Wait synchronous_blocking() {
    Counter counter;
    Wait wait;
    counter.customer_before_is_done();
    ask(counter, wait, 0);
    return wait;
}

// Has a number, and sits there listening for it to be called.
Wait asynchronous_blocking() {
    Counter counter;
    Wait wait;
    counter.customer_before_is_done();
    pollfd number{.fd = counter.call(), .events = POLLIN, .revents = 0};
    while (::poll(&number, 1, -1) != 1) {
    }
    ask(counter, wait, MSG_DONTWAIT);
    return wait;
}

// Talks on the phone, and looks up every minute: is it my turn? Is it now?
Wait synchronous_nonblocking() {
    Counter counter;
    Wait wait;
    while (!ask(counter, wait, MSG_DONTWAIT)) wait.talk(counter);
    return wait;
}

// Has a number and talks on the phone; the call interrupts it.
confab::task<void> hear_the_call(Counter& counter, Wait& wait) {
    const auto events = co_await confab::poll_events(counter.call(), POLLIN);
    if (events) ask(counter, wait, MSG_DONTWAIT);
}

confab::task<Wait> asynchronous_nonblocking() {
    Counter counter;
    Wait wait;
    confab::scope tasks;
    const auto call = tasks.spawn(hear_the_call(counter, wait));
    while (!call.ready()) {
        wait.talk(counter);
        co_await confab::sleep(confab::Duration::zero());
    }
    co_await tasks.join();
    co_return wait;
}

void print(const char* way, const char* what, const Wait& wait) {
    std::printf("%-26s  %-32s  asked: %s  talked: %s\n", way, what, wait.asked == 1 ? "once" : "many times",
                wait.minutes_talked == 0 ? "no" : "yes");
}

int main() {
    print("synchronous, blocking", "stands in the queue", synchronous_blocking());
    print("asynchronous, blocking", "has a number, sits and listens", asynchronous_blocking());
    print("synchronous, non-blocking", "talks, and keeps looking up", synchronous_nonblocking());
    confab::Reactor reactor({});
    print("asynchronous, non-blocking", "talks until called",
          confab::run(reactor, asynchronous_nonblocking()));
}
