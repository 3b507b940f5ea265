// Ten processes each take one from a number that they share: 100 becomes 90, or does it? `--*number` is three
// steps, read, subtract and write, and another process may come in between. A lock around the three keeps it
// out; and for one number an std::atomic does it in a single step.
#include <atomic>
#include <confab/pools/guard.hpp>
#include <confab/pools/processes/barrier.hpp>
#include <confab/pools/processes/mutex.hpp>
#include <confab/pools/processes/process.hpp>
#include <confab/pools/processes/shared_memory.hpp>
#include <cstdio>
#include <functional>
#include <vector>

namespace processes = confab::processes;

constexpr int workers = 10;

// It lies in memory that parent and children share, so it holds no pointers, only what means the same in all.
struct Account {
    processes::mutex lock;
    processes::barrier all_have_read{workers};
    int unlocked = 100;
    int locked = 100;
    std::atomic<int> atomic = 100;
};

void take_one(Account& account) {
    const int read = account.unlocked;
    (void)account.all_have_read.wait();  // the unlucky moment, made certain
    account.unlocked = read - 1;

    {
        const confab::guard held(account.lock);
        --account.locked;
    }

    --account.atomic;
}

int main() {
    const processes::shared<Account> account;
    std::vector<processes::process> all;
    for (int i = 0; i < workers; ++i) all.emplace_back(take_one, std::ref(*account)).start();
    for (processes::process& worker : all) worker.join();
    std::printf("without a lock: %d\n", account->unlocked);
    std::printf("with a lock: %d\n", account->locked);
    std::printf("an atomic number: %d\n", account->atomic.load());
}
