// Internal to server: the one log that carries every event of the chat, in the reach of one process.
//
// Publishers append to it; each reactor is a reader with a cursor of its own. A publisher says which readers
// an entry is for. A reader that has nothing to read is *idle*: it is not woken for what does not concern it,
// and holds nobody up. It becomes active with the first entry for it, is woken once, and is active until it
// has read all there is; while active it meets other readers' entries, too, and skips them.
//
// The log is bounded in bytes. When an active reader is far behind, the bus is *paced*: who can wait before
// it publishes should (`has_room`), and is woken when the reader has caught up half-way. What cannot wait
// (somebody left) has the last quarter to itself. When waiting lasts too long, or that quarter is full, the
// slowest reader is *overrun*: it will skip what it has not read, and has to say so to its members.
//
// This class is the seam for other reaches: between processes the same ring lies in shared memory, under a
// robust lock.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "reactor/reactor.hpp"
#include "server/chat/entry.hpp"
#include "server/chat/record.hpp"

namespace confab::chat {

/// A reader's place in the bus. All but `take_news` belongs to the bus, under its lock.
class BusReader {
  public:
    BusReader(Reactor& reactor, Job& news) : reactor_(reactor), news_(news) {}
    BusReader(const BusReader&) = delete;
    BusReader& operator=(const BusReader&) = delete;

    /// The news job has run: it may be posted again. Reader's thread, first thing in that job.
    void take_news() { posted_.store(false, std::memory_order_seq_cst); }
    /// True while the news job is on its way.
    bool news_posted() const { return posted_.load(std::memory_order_seq_cst); }

  private:
    friend class Bus;

    Reactor& reactor_;
    Job& news_;
    std::uint64_t cursor_ = 0;     // while active
    bool active_ = false;          // true exactly when there may be something to read
    bool overrun_ = false;         // true exactly when it has to skip ahead
    bool waits_for_room_ = false;  // true exactly when it is to be woken once the bus is not paced any more
    std::atomic<bool> posted_{false};
};

/// Threads: every member function needs the lock that guards the bus, except `has_room`.
class Bus {
  public:
    /// `capacity`: bytes, a power of two.
    explicit Bus(std::size_t capacity);

    /// Adds a reader that has read all there is; its news job is posted when that changes. It lives until
    /// `detach`, and longer if its job is still on its way then.
    void attach(BusReader& reader) { readers_.push_back(&reader); }
    void detach(BusReader& reader);

    /// Appends `entry` for nobody yet, and gives its place. Never fails: see overrun, above.
    std::uint64_t append(const Entry& entry);
    /// `reader` is to read the entry at `place`, the last one appended. It is woken with the next
    /// `wake_readers`, unless it is `publisher`, who knows.
    void offer(BusReader& reader, std::uint64_t place, const BusReader& publisher);
    /// Posts the news to those who do not know of any yet. Once for a batch of entries: readers then find a
    /// batch.
    void wake_readers();

    struct Read {
        std::size_t size = 0;    ///< bytes of whole records that were copied
        std::size_t needed = 0;  ///< when not zero: the next record alone takes this much, nothing was copied
        bool more = false;       ///< there is more to read
        bool overrun = false;    ///< it fell behind and must `skip_ahead`; nothing was copied
    };
    /// Copies the next records that fit into `into`, and moves on behind them.
    Read read(BusReader& reader, std::span<std::byte> into);
    /// True when `reader` has read all that is for it.
    static bool caught_up(const BusReader& reader) { return !reader.active_; }
    /// Moves an overrun reader to the end.
    void skip_ahead(BusReader& reader);

    /// False: who can wait before it publishes should. Any thread.
    bool has_room() const { return !paced_.load(std::memory_order_relaxed); }
    /// Asks that `reader` be woken when there is room again, and gives the number of this shortage; 0: there
    /// is room.
    std::uint64_t wait_for_room(BusReader& reader);
    /// Ends shortage number `shortage`, if it still lasts, at the cost of the readers that cause it.
    void give_up_on_laggards(std::uint64_t shortage);

  private:
    std::uint64_t slowest() const;
    std::uint64_t backlog() const { return head_ - tail_; }
    void overrun_slowest();
    void relieve();

    ByteRing ring_;
    const std::size_t paced_from_;   // bytes of backlog
    const std::size_t paced_until_;  // less than `from`, so that waiters get a stretch and not a line
    std::uint64_t head_ = 0;
    std::uint64_t tail_ = 0;  // at or before the slowest reader
    std::uint64_t shortages_ = 0;
    std::vector<BusReader*> readers_;
    std::vector<BusReader*> to_wake_;
    std::atomic<bool> paced_{false};
};

}  // namespace confab::chat
