// Public: one reactor's part of the chat - its members, and the delivery of news to them.
//
// A room here is a dense array of members. News is read from the bus in batches, once a turn, when everything
// that was ready has run. Each entry is encoded once, into its room's arena, so that what a batch brings for
// a room is mostly one stretch of memory: that stretch is pushed to each member's outbox whole (only a member
// who said some of it gets it in pieces, without his own), and each outbox is flushed once at the end of the
// turn. No delivery looks anything up or allocates.
//
// Every member sees events in the order of the bus. Handing out whole stretches keeps that for members of one
// room; for the rooms of members who are in several, at most one at a time has a stretch waiting.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <expected>
#include <memory>
#include <optional>
#include <source_location>
#include <span>
#include <string_view>
#include <vector>

#include "coro/wait_list.hpp"
#include "reactor/reactor.hpp"
#include "server/chat/chat.hpp"
#include "server/chat/counters.hpp"
#include "server/chat/face.hpp"
#include "server/chat/session_state.hpp"

namespace confab::chat {

class Member;

/// Threads: its reactor's, except `counters`.
class Hub {
  public:
    /// Both outlive it. Throws std::system_error when there are no descriptors, std::runtime_error when there
    /// are as many hubs as can be.
    Hub(Chat& chat, Reactor& reactor);
    Hub(const Hub&) = delete;
    Hub& operator=(const Hub&) = delete;
    /// Requires: no members, and the reactor is not in `run`; it may make some turns here.
    ~Hub();

    Chat& chat() { return chat_; }
    const Limits& limits() const { return chat_.limits(); }
    Reactor& reactor() { return reactor_; }
    Counters& counters() { return counters_; }

    /// How many members there are.
    std::size_t size() const { return size_; }

    /// Tells all members that the server is going down, and drops them.
    void drain();

    /// False: a publisher should wait before its next verb, because some reactor is behind.
    bool has_room() const { return chat_.has_room(); }
    /// `while (!hub.has_room()) co_await hub.room();` waits until there may be room, or until the reactor
    /// that is behind has been waited for long enough (Limits::publisher_patience).
    [[nodiscard]] WaitList::Awaiter room(std::source_location where = std::source_location::current());

    /// How far `room` has been delivered to the members here.
    Position delivered(RoomId room) const;

  private:
    friend class Member;

    struct Piece {
        SharedBytes bytes;
        Member* sender;  // null when he is not of this hub
    };
    // The members of one room that speak the same protocol.
    struct Audience {
        explicit Audience(const Face& spoken) : face(&spoken) {}
        const Face* face;
        Arena arena;
        std::vector<Member*> members;
        std::vector<Piece> batch;  // encoded, and not yet pushed
    };
    struct LocalRoom {
        explicit LocalRoom(const Place& place) : id(place.room), name(place.name), last(place.position) {}
        RoomId id;
        Name name;
        Position last;                // delivered
        std::uint32_t wanderers = 0;  // members here who are in other rooms as well
        bool pending = false;         // true exactly when a batch is not empty
        std::size_t pending_bytes = 0;
        bool warm = false;  // true exactly when in `warm_`: arenas may hold a chunk
        std::vector<std::unique_ptr<Audience>> audiences;
    };

    // What members do.
    std::expected<Place, Refusal> enter(Member& member);
    std::expected<void, Refusal> enter_no_room(Member& member);
    void leave(Member& member, Reason reason);
    std::optional<SessionState> depart(Member& member);
    bool arrive(Member& member, const SessionState& state);
    void install(Member& member, MemberId id, const Name& nick);
    void remove(Member& member, Reason reason);
    void catch_up(Member& member, const SessionState& state, const Chat::Arrived& arrived);
    std::expected<Place, Refusal> join(Member& member, const Name& room, std::optional<Position> since);
    void part(Member& member, RoomId room);
    std::expected<Recalled, Refusal> recall(RoomId room, std::size_t count);
    template <class Verb>
    auto when_caught_up(Verb verb);
    void sit_down(Member& member, const Place& place);
    void stand_up(Member& member, RoomId room);
    std::string_view room_name(RoomId room) const { return rooms_[room]->name.view(); }
    void forget(Member& member);

    // News.
    static void run_news(Job& job) noexcept;
    static void rung(Operation& operation) noexcept;
    void listen();
    void close_bell();
    static void run_turn(Job& job) noexcept;
    void schedule_turn();
    void turn();
    bool read_piece();
    void deliver_all(std::span<const std::byte> records);
    void deliver(const Entry& entry);
    void deliver_told(const Entry& entry);
    void hand_out(LocalRoom& room);
    void hand_out(Audience& audience);
    void hand_out_all();
    void push(Member& member, const SharedBytes& bytes);
    void touch(Member& member);
    void flush();
    void note_gap(LocalRoom& room, std::uint64_t messages);
    void skip_ahead();
    void keep_warm(LocalRoom& room);

    // Waits and ends.
    void check_shortage();
    void run_out_of_patience();
    void mark(Member& member, Reason reason);
    void drop(Member& member, Reason reason);
    void drop_marked();
    static void patience_over(Operation& operation) noexcept;

    LocalRoom* local_room(RoomId id) const { return id < rooms_.size() ? rooms_[id].get() : nullptr; }
    Member* local_member(MemberId id) const;

    struct HubJob : Job {
        HubJob(Hub& owner, Run function) : Job(function), hub(owner) {}
        Hub& hub;
    };
    struct Ear : Operation {
        explicit Ear(Hub& owner) : Operation(Kind::receive, -1, &rung), hub(owner) {}
        Hub& hub;
    };
    struct Patience : Operation {
        explicit Patience(Hub& owner) : Operation(Kind::sleep, -1, &patience_over), hub(owner) {}
        Hub& hub;
    };

    Chat& chat_;
    Reactor& reactor_;
    Counters counters_;
    HubJob news_{*this, &run_news};
    HubJob turn_{*this, &run_turn};
    std::optional<Bell> bell_;  // when there are other processes
    Ear ear_{*this};            // while there are members
    BusReader reader_;
    bool turn_scheduled_ = false;

    std::vector<Member*> members_;  // by slot of their id
    std::size_t size_ = 0;
    std::vector<std::unique_ptr<LocalRoom>> rooms_;  // by id
    std::vector<LocalRoom*> pending_;
    LocalRoom* pending_with_wanderers_ = nullptr;
    bool crowded_ = false;  // true exactly when a room has enough pending for this turn
    std::deque<LocalRoom*> warm_;
    std::vector<SharedBytes> stretches_;
    std::vector<Member*> touched_;  // with something to flush; null where one has left
    std::vector<Member*> marked_;   // to be dropped at the end of the turn; null where one has left

    WaitList waiting_for_room_;
    std::uint64_t shortage_ = 0;
    Patience patience_{*this};
};

}  // namespace confab::chat
