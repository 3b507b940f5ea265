#include "pools/annotated_mutex.hpp"

#include <doctest/doctest.h>

#include <condition_variable>
#include <thread>
#include <vector>

namespace confab {
namespace {

class Counter {
  public:
    void add() CONFAB_EXCLUDES(mutex_) {
        MutexLock lock{mutex_};
        const int seen = count_;
        std::this_thread::yield();  // invites another thread in between: without the lock counts are lost
        count_ = seen + 1;
    }
    int count() CONFAB_EXCLUDES(mutex_) {
        MutexLock lock{mutex_};
        return count_;
    }

  private:
    Mutex mutex_;
    int count_ CONFAB_GUARDED_BY(mutex_) = 0;
};

bool another_thread_can_lock(Mutex& mutex) {
    bool locked = false;
    std::thread other{[&] {
        if (mutex.try_lock()) {
            locked = true;
            mutex.unlock();
        }
    }};
    other.join();
    return locked;
}

}  // namespace

TEST_CASE("a mutex lets one thread at a time change what it guards") {
    constexpr int threads = 4;
    constexpr int rounds = 1000;
    Counter counter;
    std::vector<std::thread> adders;
    adders.reserve(threads);
    for (int i = 0; i < threads; ++i) {
        adders.emplace_back([&counter] {
            for (int round = 0; round < rounds; ++round) counter.add();
        });
    }
    for (std::thread& adder : adders) adder.join();
    CHECK(counter.count() == threads * rounds);
}

TEST_CASE("a lock holds its mutex to the end of the block") {
    Mutex mutex;
    {
        MutexLock lock{mutex};
        CHECK_FALSE(another_thread_can_lock(mutex));
    }
    CHECK(another_thread_can_lock(mutex));
}

TEST_CASE("a lock given back early is not given back twice") {
    Mutex mutex;
    {
        MutexLock lock{mutex};
        lock.unlock();
        CHECK(another_thread_can_lock(mutex));
        lock.lock();
        CHECK_FALSE(another_thread_can_lock(mutex));
        lock.unlock();
    }
    CHECK(another_thread_can_lock(mutex));
}

TEST_CASE("a condition variable waits with a lock") {
    Mutex mutex;
    std::condition_variable_any changed;
    bool ready = false;
    std::thread setter{[&] {
        MutexLock lock{mutex};
        ready = true;
        changed.notify_one();
    }};
    {
        MutexLock lock{mutex};
        while (!ready) changed.wait(lock);
    }
    setter.join();
    CHECK(ready);
}

}  // namespace confab
