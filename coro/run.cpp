#include "coro/run.hpp"

#include <cstdio>
#include <cstdlib>

#include "coro/task_tree.hpp"

namespace confab {

void run_until_joined(Reactor& reactor, scope& root) {
    root.when_empty([&reactor] { reactor.stop(); });
    std::string deadlock;
    while (root.size() > 0) {
        if (reactor.run() == Reactor::End::stopped) continue;
        if (!deadlock.empty()) {
            std::fputs("confab: deadlock, and tasks that will not be stopped\n", stderr);
            std::abort();
        }
        deadlock = "deadlock: nothing can ever run again\n" + task_tree();
        std::fputs(deadlock.c_str(), stderr);
        root.request_stop();
    }
    if (!deadlock.empty()) throw deadlock_error(deadlock);
}

}  // namespace confab
