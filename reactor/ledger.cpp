#include "reactor/ledger.hpp"

#include <numeric>

#include "reactor/thread_counts.hpp"

namespace confab {

constinit thread_local ThreadCounts thread_counts;

namespace {

struct Total {
    const char* name;
    std::uint64_t Ledger::* member;
};

constexpr std::array totals{
    Total{"turns", &Ledger::turns},
    Total{"events", &Ledger::events},
    Total{"receives", &Ledger::receives},
    Total{"bytes_received", &Ledger::bytes_received},
    Total{"bytes_sent", &Ledger::bytes_sent},
    Total{"allocations", &Ledger::allocations},
    Total{"frames_alive", &Ledger::frames_alive},
    Total{"buffers_exhausted", &Ledger::buffers_exhausted},
    Total{"overflows", &Ledger::overflows},
};

constexpr std::array<const char*, system_call_kinds> system_call_names{
    "accept", "connect", "receive", "send", "shutdown", "close", "wait", "enter", "control", "wake",
};

}  // namespace

const char* name(SystemCall kind) { return system_call_names[static_cast<std::size_t>(kind)]; }

std::uint64_t Ledger::all_system_calls() const {
    return std::accumulate(system_calls.begin(), system_calls.end(), std::uint64_t{0});
}

Ledger& Ledger::operator+=(const Ledger& other) {
    for (const Total& total : totals) this->*total.member += other.*total.member;
    for (std::size_t i = 0; i < system_calls.size(); ++i) system_calls[i] += other.system_calls[i];
    return *this;
}

std::string Ledger::json() const {
    std::string text = "{";
    for (const Total& total : totals) {
        text += '"' + std::string(total.name) + "\":" + std::to_string(this->*total.member) + ',';
    }
    text += "\"system_calls\":{";
    for (std::size_t i = 0; i < system_calls.size(); ++i) {
        if (i > 0) text += ',';
        text += '"' + std::string(system_call_names[i]) + "\":" + std::to_string(system_calls[i]);
    }
    return text + "}}";
}

}  // namespace confab
