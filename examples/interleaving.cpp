// Two coroutines on one thread. Each lets the other have its turn after every step, so their lines alternate;
// the order is the same in every run, since nothing but `co_await` can come between two steps.
#include <confab/confab.hpp>
#include <cstdio>

confab::task<void> run_steps(const char* name) {
    for (int step = 0; step < 3; ++step) {
        std::printf("%s: step %d\n", name, step);
        co_await confab::sleep(confab::Duration::zero());
    }
}

confab::task<void> both() {
    confab::scope tasks;
    const auto first = tasks.spawn(run_steps("first"));
    const auto second = tasks.spawn(run_steps("second"));
    std::puts("neither has begun: a task starts when the one that spawned it waits");
    co_await confab::join_all(first, second);
    std::puts("both are over");
    co_await tasks.join();
}

int main() {
    confab::Reactor reactor({});
    confab::run(reactor, both());
}
