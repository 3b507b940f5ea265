// Public: std::mutex with what it guards checked at compile time.
//
//     class Counter {
//       public:
//         void add() {
//             MutexLock lock{mutex_};
//             ++count_;
//         }
//       private:
//         Mutex mutex_;
//         int count_ CONFAB_GUARDED_BY(mutex_) = 0;   // touching it without the lock does not compile
//     };
//
// libstdc++ carries no such annotations, so std::mutex and std::lock_guard are invisible to -Wthread-safety.
#pragma once

#include <mutex>

#include "pools/thread_safety.hpp"

namespace confab {

/// A mutual exclusion lock, not recursive.
/// Threads: any. Lifetime: destroy it only when no thread holds it or waits for it.
class CONFAB_CAPABILITY("mutex") Mutex {
  public:
    Mutex() = default;
    Mutex(const Mutex&) = delete;
    Mutex& operator=(const Mutex&) = delete;

    /// Waits until no other thread holds the mutex, then holds it. Requires: this thread does not hold it.
    void lock() CONFAB_ACQUIRE() { mutex_.lock(); }

    /// Gives the mutex back. Requires: this thread holds it.
    void unlock() CONFAB_RELEASE() { mutex_.unlock(); }

    /// Holds the mutex and returns true, or returns false at once when another thread holds it.
    [[nodiscard]] bool try_lock() CONFAB_TRY_ACQUIRE(true) { return mutex_.try_lock(); }

  private:
    std::mutex mutex_;
};

/// Holds a Mutex from construction to the end of the block.
/// It also has lock() and unlock(), so that std::condition_variable_any can wait with it:
///
///     MutexLock lock{mutex_};
///     while (queue_.empty()) changed_.wait(lock);   // a loop, not a predicate lambda: the analysis cannot
///     see into one
class CONFAB_SCOPED_CAPABILITY [[nodiscard]] MutexLock {
  public:
    explicit MutexLock(Mutex& mutex) CONFAB_ACQUIRE(mutex) : mutex_(mutex) { mutex_.lock(); }
    ~MutexLock() CONFAB_RELEASE() {
        if (held_) mutex_.unlock();
    }
    MutexLock(const MutexLock&) = delete;
    MutexLock& operator=(const MutexLock&) = delete;

    /// Takes the mutex again. Requires: given back by unlock() before.
    void lock() CONFAB_ACQUIRE() {
        mutex_.lock();
        held_ = true;
    }

    /// Gives the mutex back before the end of the block. Requires: held.
    void unlock() CONFAB_RELEASE() {
        held_ = false;
        mutex_.unlock();
    }

  private:
    Mutex& mutex_;
    bool held_ = true;  // true exactly when this object holds mutex_
};

}  // namespace confab
