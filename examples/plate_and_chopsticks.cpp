// A deadlock, and three ways out. To eat takes the plate and the chopsticks. One takes the plate first, the
// other the chopsticks: each then waits for what the other has, for ever.
#include <chrono>
#include <confab/pools/guard.hpp>
#include <confab/pools/threads/barrier.hpp>
#include <confab/pools/threads/lock_order.hpp>
#include <confab/pools/threads/mutex.hpp>
#include <cstdio>
#include <mutex>
#include <system_error>
#include <thread>

namespace threads = confab::threads;
using confab::guard;

threads::mutex plate("the plate");
threads::mutex chopsticks("the chopsticks");

// Takes one thing, and then, when the other guest has one, too, the other thing.
void eat(const char* guest, threads::mutex& first, threads::mutex& second, threads::barrier& both_have_one) {
    {
        const guard one(first);
        std::printf("%s has %s\n", guest, first.name());
        (void)both_have_one.wait();
        // 1. A time limit shows the deadlock, and gets out of it by giving up.
        if (second.try_lock_for(std::chrono::milliseconds(20))) {
            second.unlock();
        } else {
            std::printf("%s stays hungry\n", guest);
        }
        (void)both_have_one.wait();
        // 2. Locks that are watched know who waits for whom. The wait that would close the circle throws.
        try {
            const guard other(second);
            std::printf("%s eats first\n", guest);
            return;
        } catch (const std::system_error& error) {
            if (error.code() != std::errc::resource_deadlock_would_occur) throw;
            std::printf("%s puts %s back\n", guest, first.name());
        }
    }
    // 3. Better that it cannot happen: this takes both or none. So would one order that all keep to.
    const std::scoped_lock both(first, second);
    std::printf("%s eats next\n", guest);
}

int main() {
    threads::watch_lock_order(true);
    threads::on_lock_problem(
        [](const threads::lock_problem& problem) { std::fputs(problem.text().c_str(), stdout); });

    threads::barrier both_have_one(2);
    std::jthread ann([&] { eat("Ann", plate, chopsticks, both_have_one); });
    std::jthread bob([&] { eat("Bob", chopsticks, plate, both_have_one); });
}
