#include "coro/run.hpp"

#include <cstdio>
#include <cstdlib>

#include "coro/task_tree.hpp"

namespace confab {

namespace {

struct StopAtEnd : scope::Watcher {
    Reactor& reactor;
    const scope& root;

    static void look(Watcher& watcher) noexcept {
        const auto& self = static_cast<StopAtEnd&>(watcher);
        if (self.root.size() == 0) self.reactor.stop();
    }
};

}  // namespace

void run_until_joined(Reactor& reactor, scope& root) {
    StopAtEnd at_end{{&StopAtEnd::look}, reactor, root};
    root.watch(&at_end);
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
    root.watch(nullptr);
    if (!deadlock.empty()) throw deadlock_error(deadlock);
}

}  // namespace confab
