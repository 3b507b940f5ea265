// Internal to server: the one log that carries every event of the chat, in memory that all processes share.
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
// A reactor of this process is woken by a post, one of another by its bell. Who is killed between offering an
// entry and waking leaves readers that do not know of it: whoever buries him wakes them (wake_all_active).
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "reactor/reactor.hpp"
#include "server/chat/bell.hpp"
#include "server/chat/entry.hpp"
#include "server/chat/record.hpp"
#include "server/chat/table.hpp"

namespace confab::chat {

/// A reader's side of the bus, in its process. All but `take_news` belongs to the bus, under its lock.
class BusReader {
  public:
    /// `bell`: what wakes the reactor from another process; 0 when there are none.
    BusReader(Reactor& reactor, Job& news, BellName bell = 0) : reactor_(reactor), news_(news), bell_(bell) {}
    BusReader(const BusReader&) = delete;
    BusReader& operator=(const BusReader&) = delete;

    /// The news job has run: it may be posted again. Reader's thread, first thing in that job.
    void take_news() { posted_.store(false, std::memory_order_seq_cst); }
    /// True while the news job is on its way.
    bool news_posted() const { return posted_.load(std::memory_order_seq_cst); }
    /// Its slot in the bus, while it is attached.
    Slot slot() const { return slot_; }

  private:
    friend class Bus;

    Reactor& reactor_;
    Job& news_;
    const BellName bell_;
    Slot slot_ = no_slot;
    std::atomic<bool> posted_{false};
};

/// A reader as all processes see it.
struct ReaderSlot {
    /// Changed through the journal.
    struct Owner {
        std::uint64_t bus;  ///< the number of its Bus: no two have the same, ever
        std::uint32_t process;
        bool attached;
    };
    Owner owner;
    Slot next_free;

    // The rest is not: whatever is half done here makes a reader look for news once too often at worst.
    std::atomic<BellName> bell;
    std::uint64_t cursor;    ///< while active
    bool active;             ///< true exactly when there may be something to read
    bool overrun;            ///< true exactly when it has to skip ahead
    bool waits_for_room;     ///< true exactly when it is to be woken once the bus is not paced any more
    std::atomic<bool> rung;  ///< true exactly when its bell has been rung and it has not heard it
    std::atomic<BusReader*> local;  ///< good for its own Bus only
};

/// Where a bus lies. Made of zeros.
struct BusMemory {
    struct Head {
        std::uint64_t end;  ///< of what was appended; changed through the journal
        std::uint64_t shortages;
        std::atomic<bool> paced;
        std::atomic<std::uint64_t> buses;  ///< made so far
        Pool<ReaderSlot>::Head readers;
    };
    Head& head;
    std::span<std::byte> ring;  ///< a power of two bytes
    std::span<ReaderSlot> readers;
};

/// Threads: every member function needs the lock that guards the bus, except `has_room` and `hear`.
class Bus {
  public:
    /// This process's side of the bus in `memory`; `process` is its number.
    Bus(const BusMemory& memory, Journal& journal, std::uint32_t process);

    /// Adds a reader that has read all there is; its news job is posted when that changes. It lives until
    /// `detach`, and longer if its job is still on its way then. False: there are as many as can be.
    bool attach(BusReader& reader);
    void detach(BusReader& reader);
    /// Adds a reader that nobody wakes: a courier, who keeps the place of a member who is on his way from one
    /// reader to another. no_slot: there are as many readers as can be.
    Slot attach_courier();
    /// False, too, for what was a courier: slots are given out again.
    bool is_courier(Slot slot) const {
        const ReaderSlot& reader = readers_[slot];
        return reader.owner.attached && reader.local.load(std::memory_order_relaxed) == nullptr;
    }
    /// What the courier has not read, which is empty when it was overrun, and that.
    struct Backlog {
        std::vector<std::byte> records{};
        bool overrun = false;
    };
    Backlog take_backlog(Slot courier);
    /// Detaches a courier, or a reader of a process that has died.
    void bury(Slot reader);
    /// Calls `what(slot, owner)` for every reader.
    template <class What>
    void for_readers(What what) const {
        for (Slot slot = 0; slot < readers_.end(); ++slot) {
            if (readers_[slot].owner.attached) what(slot, readers_[slot].owner);
        }
    }
    /// No two have the same, ever; not 0.
    std::uint64_t number() const { return number_; }

    /// Appends `entry` for nobody yet, and gives its place. Never fails: see overrun, above.
    std::uint64_t append(const Entry& entry);
    /// `reader` is to read the entry at `place`, the last one appended. It is woken with the next
    /// `wake_readers`, unless it is `publisher`, who knows.
    void offer(Slot reader, std::uint64_t place, const BusReader* publisher);
    /// Posts the news to those who do not know of any yet. Once for a batch of entries: readers then find a
    /// batch.
    void wake_readers();
    /// Entries have been taken back (Journal::roll_back): nobody is to read behind the end.
    void rolled_back();
    /// Wakes all that are active, whether or not they should know.
    void wake_all_active();

    struct Read {
        std::size_t size = 0;    ///< bytes of whole records that were copied
        std::size_t needed = 0;  ///< when not zero: the next record alone takes this much, nothing was copied
        bool more = false;       ///< there is more to read
        bool overrun = false;    ///< it fell behind and must `skip_ahead`; nothing was copied
    };
    /// Copies the next records that fit into `into`, and moves on behind them.
    Read read(BusReader& reader, std::span<std::byte> into);
    /// True when `reader` has read all that is for it.
    bool caught_up(const BusReader& reader) const { return !readers_[reader.slot()].active; }
    /// It has heard its bell: it may be rung again. Before it reads. Its own thread.
    void hear(const BusReader& reader);
    /// Moves an overrun reader to the end.
    void skip_ahead(BusReader& reader);

    /// False: who can wait before it publishes should. Any thread.
    bool has_room() const { return !head_.paced.load(std::memory_order_relaxed); }
    /// Asks that `reader` be woken when there is room again, and gives the number of this shortage; 0: there
    /// is room.
    std::uint64_t wait_for_room(BusReader& reader);
    /// Ends shortage number `shortage`, if it still lasts, at the cost of the readers that cause it.
    void give_up_on_laggards(std::uint64_t shortage);

  private:
    Slot attach(BusReader* local, BellName bell);
    ReaderSlot& at(Slot slot) { return readers_.unseen(slot); }
    ReaderSlot& at(const BusReader& reader) { return at(reader.slot()); }
    std::uint64_t slowest() const;
    std::uint64_t backlog() const { return head_.end - tail_; }
    void overrun_slowest();
    void relieve();
    bool wake(Slot slot);

    BusMemory::Head& head_;
    Journal& journal_;
    const std::uint64_t number_;
    const std::uint32_t process_;
    BellRinger ringer_;
    ByteRing ring_;
    Pool<ReaderSlot> readers_;
    const std::size_t paced_from_;   // bytes of backlog
    const std::size_t paced_until_;  // less than `from`, so that waiters get a stretch and not a line
    std::uint64_t tail_ = 0;         // at or before the slowest reader
    std::vector<Slot> to_wake_;
};

}  // namespace confab::chat
