// Public: the chat as a whole - what its reactors share, in this process and in others.
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "pools/processes/mutex.hpp"
#include "server/chat/bus.hpp"
#include "server/chat/chat_memory.hpp"
#include "server/chat/directory.hpp"
#include "server/chat/entry.hpp"
#include "server/chat/limits.hpp"
#include "server/chat/names.hpp"

namespace confab::chat {

/// Why a verb was refused.
enum class Refusal : std::uint8_t {
    behind,  ///< there is news that has to be read first (see Chat); hubs never pass this on
    nick_taken,
    no_such_member,
    no_such_room,
    in_no_room,
    not_in_room,
    too_many_rooms,  ///< of this member's
    too_many_rooms_in_all,
    too_many_members,
    topic_too_long,
};

/// A room as a member finds it.
struct Place {
    RoomId room = no_room;
    Name name;
    Position position;  ///< of the last message
    std::uint32_t members = 0;
    std::string topic;
    /// For who says how far he knows the room: the messages from there to `position`, as many as are kept,
    /// for take_record, oldest first.
    std::vector<std::byte> missed{};
};

/// Who is in a room.
struct Roll {
    Name room;
    std::size_t members = 0;
    std::vector<Name> nicks;  ///< the first of them, when they are many
};

/// The rooms with members.
struct RoomList {
    std::size_t all = 0;
    std::vector<Directory::Listed> largest;  ///< the largest first, of the same size by name
};

/// The last messages of a room.
struct Recalled {
    Name room;
    Position last;
    std::size_t messages = 0;
    std::vector<std::byte> records;  ///< for take_record, oldest first
};

/// The directory and the bus, changed together under one lock: what the one says and the order of the other
/// always agree. Everything here is short; no call waits for more than the lock.
///
/// The lock is one between processes. Who gets it from a process that died in the middle of a change puts
/// that back first; who finds that a process has ended has its members leave, as lost.
///
/// Verbs are for hubs, which see to it that what a member may do is asked only by members who may. A verb
/// that changes what a reader's own members are to hear from then on is refused as `behind` until that reader
/// has caught up: so the change takes effect between what came before and what comes after it.
///
/// Threads: any.
class Chat {
  public:
    /// The chat in `memory`, which outlives it, for a process that has it alone.
    explicit Chat(const ChatMemory& memory) : Chat(memory, 0, false) {}
    /// For one of several: `process` is a number below ChatMemory::most_processes that no other one has.
    Chat(const ChatMemory& memory, std::uint32_t process) : Chat(memory, process, true) {}
    Chat(const Chat&) = delete;
    Chat& operator=(const Chat&) = delete;
    /// Requires: its readers are detached.
    ~Chat();

    const Limits& limits() const { return limits_; }
    /// True when readers need a bell: others share this chat.
    bool spans_processes() const { return spans_processes_; }

    // Reading.

    /// Throws std::runtime_error when there are as many readers as can be.
    void attach(BusReader& reader);
    void detach(BusReader& reader);
    /// See Bus::read. Other readers are woken for what was published since the last time.
    Bus::Read read(BusReader& reader, std::span<std::byte> into);
    /// See Bus.
    void hear(const BusReader& reader) CONFAB_NO_THREAD_SAFETY_ANALYSIS { bus_.hear(reader); }  // an atomic

    /// What an overrun reader has to know of each of its rooms and members; the answers are filled in.
    struct RoomNow {
        RoomId room;
        Position last;
    };
    struct MemberNow {
        MemberId member;
        std::uint32_t tells;
    };
    void skip_ahead(BusReader& reader, std::span<RoomNow> rooms, std::span<MemberNow> members);

    /// See Bus.
    bool has_room() const CONFAB_NO_THREAD_SAFETY_ANALYSIS { return bus_.has_room(); }  // an atomic
    std::uint64_t wait_for_room(BusReader& reader);
    void give_up_on_laggards(std::uint64_t shortage);

    // Members.

    struct Entered {
        MemberId id;
        Name nick;
        Place place;
    };
    /// A new member comes into the lobby, as a guest.
    std::expected<Entered, Refusal> enter(BusReader& reader);
    /// A new member comes in as a guest, and is in no room yet: `place` says nothing.
    std::expected<Entered, Refusal> enter_no_room(BusReader& reader);
    /// He leaves all his rooms and is gone. Announced unless the reason is the drain: then all leave.
    void leave(BusReader& reader, MemberId id, Reason reason, Instant now);
    std::expected<void, Refusal> rename(BusReader& reader, MemberId id, const Name& nick);
    /// `since`: the last message of the room that he knows; of another epoch, he knows nothing of this one.
    std::expected<Place, Refusal> join(BusReader& reader, MemberId id, const Name& room, Instant now,
                                       std::optional<Position> since = std::nullopt);
    std::expected<void, Refusal> part(BusReader& reader, MemberId id, RoomId room, Instant now);

    // Moving house.

    /// He is on his way to another reader, and stays a member: what is for him from here on waits on the bus
    /// until `arrive`, within its bounds. Gives the courier, to be named there.
    std::expected<Slot, Refusal> depart(BusReader& reader, MemberId id);
    struct Arrived {
        Name nick;
        std::uint32_t tells = 0;           ///< sent to him so far
        std::vector<Place> rooms{};        ///< those he is in
        std::vector<std::byte> backlog{};  ///< what happened on the way, for take_record; not all for him
        bool overrun = false;              ///< it was too much, and is lost
    };
    /// He belongs to `reader` from here on. no_such_member: whoever was to bring him has died on the way.
    std::expected<Arrived, Refusal> arrive(BusReader& reader, MemberId id, Slot courier);
    /// Whoever was to bring him has died: if he has not arrived he leaves, as lost.
    void abandon(MemberId id, Slot courier, Instant now);

    // Talking. The sender sits in the room.

    /// `kind`: said, emote or topic. Gives the message's number. `once`: not 0, a message that has the same
    /// and is still in the room's history has been said already, and that is its number.
    Position say(BusReader& reader, Kind kind, MemberId id, std::string_view nick, RoomId room,
                 std::string_view text, std::uint64_t once = 0);
    std::expected<void, Refusal> tell(BusReader& reader, MemberId id, std::string_view nick,
                                      std::string_view target, std::string_view text);

    // Asking.

    /// `most`: nicks to list. Requires for the first: the room is open, since the caller sits in it.
    Roll who(RoomId room, std::size_t most);
    std::expected<Roll, Refusal> who(std::string_view room, std::size_t most);
    RoomList rooms(std::size_t most);
    Place look(RoomId room);
    /// All messages of the room that are kept, for who is no member.
    std::expected<Recalled, Refusal> messages(std::string_view room);
    /// The last `count` messages. Refused as `behind`, so that what is recalled has been delivered before.
    std::expected<Recalled, Refusal> recall(BusReader& reader, RoomId room, std::size_t count);

  private:
    class Held;

    Chat(const ChatMemory& memory, std::uint32_t process, bool spans_processes);
    void roll_back() CONFAB_REQUIRES(mutex_);
    void recover() CONFAB_REQUIRES(mutex_);
    void bury_ended(Instant now) CONFAB_REQUIRES(mutex_);
    void bury(std::uint32_t process, Instant now) CONFAB_REQUIRES(mutex_);
    std::expected<MemberId, Refusal> add_member(BusReader& reader) CONFAB_REQUIRES(mutex_);
    Place place(RoomId room) const CONFAB_REQUIRES(mutex_);
    Recalled last_messages(RoomId room, std::size_t count) const CONFAB_REQUIRES(mutex_);
    bool announces(RoomId room) const CONFAB_REQUIRES(mutex_);
    Roll roll(RoomId room, std::size_t most) const CONFAB_REQUIRES(mutex_);
    void publish(const Entry& entry, const BusReader* publisher) CONFAB_REQUIRES(mutex_);
    Place sit_down(BusReader& reader, MemberId id, RoomId room) CONFAB_REQUIRES(mutex_);
    void stand_up(const BusReader* reader, MemberId id, RoomId room, Reason reason, Instant now)
        CONFAB_REQUIRES(mutex_);
    void leave_all(MemberId id, Reason reason, Instant now, const BusReader* reader) CONFAB_REQUIRES(mutex_);

    const Limits& limits_;
    const ChatMemory::Parts& parts_;
    const bool spans_processes_;
    const std::uint32_t process_;
    processes::mutex& mutex_;
    Journal journal_ CONFAB_GUARDED_BY(mutex_);
    Bus bus_ CONFAB_GUARDED_BY(mutex_);
    Directory directory_ CONFAB_GUARDED_BY(mutex_);
};

}  // namespace confab::chat
