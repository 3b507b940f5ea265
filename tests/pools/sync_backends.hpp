// Internal to tests: the toolbox between threads and between processes, under one set of names.
#pragma once

#include <doctest/doctest.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <exception>
#include <functional>
#include <memory>
#include <thread>
#include <vector>

#include "pools/processes/barrier.hpp"
#include "pools/processes/condition.hpp"
#include "pools/processes/event.hpp"
#include "pools/processes/mutex.hpp"
#include "pools/processes/semaphore.hpp"
#include "pools/processes/shared_memory.hpp"
#include "pools/threads/barrier.hpp"
#include "pools/threads/condition.hpp"
#include "pools/threads/event.hpp"
#include "pools/threads/mutex.hpp"
#include "pools/threads/recursive_mutex.hpp"
#include "pools/threads/semaphore.hpp"
#include "tests/support/child.hpp"

namespace confab {

/// A thread that runs `body`; see Child.
class ThreadParty {
  public:
    explicit ThreadParty(std::function<int()> body) : state_(std::make_unique<State>()) {
        thread_ = std::jthread([state = state_.get(), body = std::move(body)] {
            state->id = ::gettid();
            try {
                state->result = body();
            } catch (const std::exception& error) {
                std::fprintf(stderr, "thread: %s\n", error.what());
                state->result = 99;
            }
        });
    }
    int join() {
        thread_.join();
        return state_->result;
    }
    void until_asleep() const {
        until([this] { return state_->id != 0 && is_asleep(state_->id); });
    }

  private:
    struct State {
        std::atomic<pid_t> id = 0;
        int result = 0;
    };
    std::unique_ptr<State> state_;
    std::jthread thread_;
};

struct Threads {
    using mutex = threads::mutex;
    using recursive_mutex = threads::recursive_mutex;
    using semaphore = threads::semaphore;
    using bounded_semaphore = threads::bounded_semaphore;
    using event = threads::event;
    using condition = threads::condition;
    using barrier = threads::barrier;
    using Party = ThreadParty;

    /// Where an object lies that all parties use.
    template <class T>
    class Place {
      public:
        template <class... Arguments>
        explicit Place(Arguments&&... arguments)
            : value_(std::make_unique<T>(std::forward<Arguments>(arguments)...)) {}
        T& operator*() const { return *value_; }
        T* operator->() const { return value_.get(); }

      private:
        std::unique_ptr<T> value_;
    };
};

struct Processes {
    using mutex = processes::mutex;
    using recursive_mutex = processes::recursive_mutex;
    using semaphore = processes::semaphore;
    using bounded_semaphore = processes::bounded_semaphore;
    using event = processes::event;
    using condition = processes::condition;
    using barrier = processes::barrier;
    using Party = Child;
    template <class T>
    using Place = processes::shared<T>;
};

/// So many parties that all run `body(number)`.
template <class Backend>
std::vector<typename Backend::Party> start(int count, const std::function<int(int)>& body) {
    std::vector<typename Backend::Party> parties;
    parties.reserve(static_cast<std::size_t>(count));
    for (int number = 0; number < count; ++number)
        parties.emplace_back([body, number] { return body(number); });
    return parties;
}

/// What they gave.
template <class Party>
std::vector<int> join(std::vector<Party>& parties) {
    std::vector<int> results;
    for (Party& party : parties) results.push_back(party.join());
    return results;
}

}  // namespace confab

TYPE_TO_STRING(confab::Threads);
TYPE_TO_STRING(confab::Processes);
