// Ten customers want the last five tickets. How many are left stands in a file, and each customer is a
// process: it reads the number, and writes one less. Without a lock all of them may have read before the
// first one writes, and everybody gets the same ticket. With a lock that the processes share, one at a time
// reads and writes.
#include <confab/pools/processes/barrier.hpp>
#include <confab/pools/processes/mutex.hpp>
#include <confab/pools/processes/process.hpp>
#include <confab/pools/processes/shared_memory.hpp>
#include <cstdio>
#include <fstream>
#include <functional>
#include <mutex>
#include <vector>

namespace processes = confab::processes;

constexpr int customers = 10;
constexpr int tickets = 5;
constexpr const char* file = "tickets.txt";

int read_left() {
    int left = 0;
    std::ifstream(file) >> left;
    return left;
}

void write_left(int left) { std::ofstream(file) << left << '\n'; }

// What the customers have in common besides the file.
struct Office {
    processes::mutex lock;
    processes::barrier all_have_read{customers};
};

void buy(Office& office, int customer, bool with_lock) {
    std::unique_lock turn(office.lock, std::defer_lock);
    if (with_lock) turn.lock();
    const int left = read_left();
    // The unlucky moment, which otherwise comes once in a while, and never in a test.
    if (!with_lock) (void)office.all_have_read.wait();
    if (left > 0) write_left(left - 1);
    std::printf("customer %d: %s\n", customer, left > 0 ? "got one" : "sold out");
}

void sell(bool with_lock) {
    std::printf("%s a lock:\n", with_lock ? "with" : "without");
    write_left(tickets);
    const processes::shared<Office> office;
    std::vector<processes::process> crowd;
    for (int customer = 1; customer <= customers; ++customer) {
        crowd.emplace_back(buy, std::ref(*office), customer, with_lock).start();
    }
    for (processes::process& customer : crowd) customer.join();
    std::printf("%d left\n", read_left());
    std::remove(file);
}

int main() {
    sell(false);
    sell(true);
}
