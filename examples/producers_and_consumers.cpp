// Three cooks, two guests, a counter with little room between them. The guests eat whatever comes: how do
// they learn that nothing more will? Four ways, the last of which is why a channel can be closed.
#include <chrono>
#include <confab/pools/processes/channel.hpp>
#include <confab/pools/processes/process.hpp>
#include <csignal>
#include <cstdio>
#include <optional>
#include <string>
#include <thread>
#include <vector>

namespace processes = confab::processes;

using Counter = processes::channel<std::optional<std::string>>;
using Staff = std::vector<processes::process>;

const std::vector<std::string> dishes{"bun", "bone", "soup"};
const std::vector<std::string> guests{"alex", "egon"};
constexpr int portions = 4;
constexpr std::size_t room = 5;
constexpr auto meal_time = std::chrono::milliseconds(5);

Staff start_cooks(Counter& counter) {
    Staff cooks;
    for (const std::string& dish : dishes) {
        cooks
            .emplace_back([&counter, dish] {
                for (int i = 0; i < portions; ++i) (void)counter.put(dish + std::to_string(i));
            })
            .start();
    }
    return cooks;
}

// Eats until there is no more, or until an end signal, which is not eaten.
void eat(Counter& counter, const std::string& guest) {
    while (true) {
        const auto dish = counter.take();
        if (!dish || !**dish) return;
        std::printf("%s eats %s\n", guest.c_str(), (**dish)->c_str());
        std::fflush(stdout);
        std::this_thread::sleep_for(meal_time);  // or the first guest to sit down would eat everything
    }  // here the guard says that this dish is eaten
}

Staff start_guests(Counter& counter, bool as_daemons = false) {
    Staff staff;
    for (const std::string& guest : guests) {
        staff
            .emplace_back(processes::process_options{.daemon = as_daemons},
                          [&counter, guest] { eat(counter, guest); })
            .start();
    }
    return staff;
}

void join(Staff& staff) {
    for (processes::process& each : staff) each.join();
}

// 1. When the cooks are done, an end signal for each guest. Somebody has to know how many guests there are.
void with_end_signals() {
    Counter counter(room);
    Staff eating = start_guests(counter);
    Staff cooks = start_cooks(counter);
    join(cooks);
    for (std::size_t i = 0; i < guests.size(); ++i) (void)counter.put(std::nullopt);
    join(eating);
}

// 2. When the cooks are done, and all is eaten, the guests are sent away. Between the two, join waits.
void with_join() {
    Counter counter(room);
    Staff eating = start_guests(counter);
    Staff cooks = start_cooks(counter);
    join(cooks);
    counter.join();
    for (processes::process& guest : eating) guest.terminate();
    join(eating);
}

// 3. The guests are daemons: they go with those they serve. Join, or they would go hungry.
void with_daemons() {
    Counter counter(room);
    const Staff eating = start_guests(counter, true);
    Staff cooks = start_cooks(counter);
    join(cooks);
    counter.join();
}

// 4. The counter is closed: everybody sees that nothing more will come, when there is nothing left.
void with_close() {
    Counter counter(room);
    Staff eating = start_guests(counter);
    Staff cooks = start_cooks(counter);
    join(cooks);
    counter.close();
    join(eating);
}

int main() {
    // Who reads this may leave early (`| head -3`): that must not kill the guests, or nobody would eat.
    std::signal(SIGPIPE, SIG_IGN);
    std::puts("end signals");
    with_end_signals();
    std::puts("join");
    with_join();
    std::puts("daemons");
    with_daemons();
    std::puts("close");
    with_close();
}
