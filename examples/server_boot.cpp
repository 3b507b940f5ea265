// One thread waits until another has come so far: an event. A client tries a server that is still booting,
// three times, each time more patiently. One server is up in time for the last try, the other is not.
#include <chrono>
#include <confab/pools/threads/event.hpp>
#include <confab/pools/threads/semaphore.hpp>
#include <cstdio>
#include <functional>
#include <thread>

namespace threads = confab::threads;
using namespace std::chrono_literals;

constexpr int tries = 3;

// Boots for as long as it takes the client to fail so many times.
void boot(threads::semaphore& failed, int failures, threads::event& up) {
    std::puts("the server boots");
    for (int i = 0; i < failures; ++i) failed.acquire();
    up.set();
}

bool connect(threads::event& up, threads::semaphore& failed, confab::Duration last_limit) {
    for (int attempt = 1; attempt <= tries; ++attempt) {
        if (up.wait_for(attempt < tries ? attempt * 10ms : last_limit)) {
            std::printf("try %d: connected\n", attempt);
            return true;
        }
        std::printf("try %d: not yet\n", attempt);
        failed.release();
    }
    std::puts("the client gives up");
    return false;
}

void meet(int failures, confab::Duration last_limit) {
    threads::event up;
    threads::semaphore failed(0);
    const std::jthread server(boot, std::ref(failed), failures, std::ref(up));
    if (connect(up, failed, last_limit)) return;
    up.wait();
    std::puts("the server is up");
}

int main() {
    meet(2, 1min);
    meet(3, 30ms);
}
