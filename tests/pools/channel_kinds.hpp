// Internal to tests: the channels, under one set of names.
#pragma once

#include <functional>
#include <vector>

#include "pools/processes/channel.hpp"
#include "pools/threads/channel.hpp"
#include "tests/pools/sync_backends.hpp"

namespace confab {

struct ThreadFifo : Threads {
    template <class T>
    using Channel = threads::channel<T>;
};
struct ThreadLifo : Threads {
    template <class T>
    using Channel = threads::lifo_channel<T>;
};
struct ThreadPriority : Threads {
    template <class T, class Compare = std::less<>>
    using Channel = threads::priority_channel<T, Compare>;
    template <class T, class Compare>
    static Channel<T, Compare> make(std::size_t capacity, Compare compare) {
        return Channel<T, Compare>(capacity, Heap<T, Compare>(std::move(compare)));
    }
};

struct ProcessFifo : Processes {
    template <class T>
    using Channel = processes::channel<T>;
};
struct ProcessLifo : Processes {
    template <class T>
    using Channel = processes::lifo_channel<T>;
};
struct ProcessPriority : Processes {
    template <class T, class Compare = std::less<>>
    using Channel = processes::priority_channel<T, Compare>;
    template <class T, class Compare>
    static Channel<T, Compare> make(std::size_t capacity, Compare compare) {
        return Channel<T, Compare>(capacity, processes::delivery::at_most_once, sizeof(T),
                                   std::move(compare));
    }
};

#define CONFAB_EVERY_CHANNEL ThreadFifo, ThreadLifo, ThreadPriority, ProcessFifo, ProcessLifo, ProcessPriority
#define CONFAB_BETWEEN_PROCESSES ProcessFifo, ProcessLifo, ProcessPriority

/// All that can be got without waiting.
template <class Channel>
auto drain(Channel& channel) {
    std::vector<typename decltype(channel.try_get())::value_type> values;
    while (auto value = channel.try_get()) values.push_back(std::move(*value));
    return values;
}

}  // namespace confab

TYPE_TO_STRING(confab::ThreadFifo);
TYPE_TO_STRING(confab::ThreadLifo);
TYPE_TO_STRING(confab::ThreadPriority);
TYPE_TO_STRING(confab::ProcessFifo);
TYPE_TO_STRING(confab::ProcessLifo);
TYPE_TO_STRING(confab::ProcessPriority);
