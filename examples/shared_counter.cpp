// Ten processes each take one from a number that they share: 100 becomes 90, or does it? `--*number` is three
// steps, read, subtract and write, and another process may come in between. A lock around the three keeps it
// out; for one number an std::atomic does it in a single step; and a shared map has its lock inside.
#include <atomic>
#include <confab/pools/guard.hpp>
#include <confab/pools/processes/barrier.hpp>
#include <confab/pools/processes/mutex.hpp>
#include <confab/pools/processes/process.hpp>
#include <confab/pools/processes/shared_map.hpp>
#include <confab/pools/processes/shared_memory.hpp>
#include <cstdio>
#include <functional>
#include <string>
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

using Accounts = processes::shared_map<std::string, int>;

void take_one(Account& account, Accounts& accounts) {
    const int read = account.unlocked;
    (void)account.all_have_read.wait();  // the unlucky moment, made certain
    account.unlocked = read - 1;

    {
        const confab::guard held(account.lock);
        --account.locked;
    }

    --account.atomic;

    accounts.update("count", [](int& count) { --count; });
}

int main() {
    const processes::shared<Account> account;
    Accounts accounts(1000);
    accounts.set("count", 100);
    std::vector<processes::process> all;
    for (int i = 0; i < workers; ++i)
        all.emplace_back(take_one, std::ref(*account), std::ref(accounts)).start();
    for (processes::process& worker : all) worker.join();
    std::printf("without a lock: %d\n", account->unlocked);
    std::printf("with a lock: %d\n", account->locked);
    std::printf("an atomic number: %d\n", account->atomic.load());
    std::printf("in a shared map: %d\n", *accounts.get("count"));
}
