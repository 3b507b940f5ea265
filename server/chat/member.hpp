// Public: a member of the chat, and what he can do - the chat's verbs.
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "reactor/outbox.hpp"
#include "server/chat/chat.hpp"
#include "server/chat/face.hpp"
#include "server/chat/session.hpp"
#include "server/chat/session_state.hpp"

namespace confab::chat {

class Hub;

/// A member on the reactor that his connection belongs to. He has not come in before `enter`, and is out
/// again after `leave` or when the hub drops him (`ended`); what is in the outbox then is still
/// his.
///
/// Names that are given to verbs have been checked (names.hpp), and texts as well (text.hpp). Verbs other
/// than questions should wait for Hub::has_room first.
///
/// Threads: the hub's. Lifetime: dies before the hub and before its outbox. The hub holds its address.
class Member {
  public:
    /// `outbox` gets what `face` makes of the chat; `send_limit` is how long the peer may take nothing of it.
    Member(Hub& hub, Outbox& outbox, const Face& face, Duration send_limit);
    Member(const Member&) = delete;
    Member& operator=(const Member&) = delete;
    /// Leaves, if that has not happened.
    virtual ~Member();

    Hub& hub() { return hub_; }
    Outbox& outbox() { return outbox_; }
    Session& session() { return session_; }
    /// Why he is out; none while he is in.
    Reason ended() const { return ended_; }

    /// Queues something for this member alone; it is flushed at the end of the turn.
    void reply(SharedBytes bytes);
    void reply(std::string_view text);
    /// The same, ahead of all that waits (Outbox::push_urgent).
    void reply_urgently(std::string_view text);
    void notify(const Notice& notice);

    /// Comes in as a guest, to the lobby. Once; again when he was refused.
    std::expected<Place, Refusal> enter();
    /// The same, to no room.
    std::expected<void, Refusal> enter_no_room();
    /// Leaves all rooms and the chat. Without effect when he is out.
    void leave(Reason reason);

    /// Writes him out, to arrive on another hub of this chat, and is out here (Reason::moved). Nothing: he is
    /// not in, or about to be dropped; then he stays as he is. What is in the outbox is not part of it.
    std::optional<SessionState> depart();
    /// Comes in as who was written out; what happened on the way is queued. False: he has died on the way.
    bool arrive(const SessionState& state);

    /// Into `room`, which becomes the current one; opened when there is none of that name. `since`: see
    /// Chat::join; who is there already misses nothing.
    std::expected<Place, Refusal> join(const Name& room, std::optional<Position> since = std::nullopt);
    /// Out of `room`, or of the current one when it is empty; its name. The room joined last becomes the
    /// current one.
    std::expected<Name, Refusal> part(std::string_view room);
    std::expected<void, Refusal> rename(const Name& nick);

    // `room`: one that he is in; empty: the current one.

    /// `kind`: said, emote or topic. Gives the message's number. `once`: see Chat::say.
    std::expected<Position, Refusal> say(Kind kind, std::string_view text, std::string_view room = {},
                                         std::uint64_t once = 0);
    std::expected<void, Refusal> tell(std::string_view nick, std::string_view text);

    /// The room as it is.
    std::expected<Place, Refusal> look(std::string_view room = {}) const;
    /// Who is in `room`, which may be any; at most `most` nicks.
    std::expected<Roll, Refusal> who(std::string_view room, std::size_t most) const;
    /// The last messages of the room.
    std::expected<Recalled, Refusal> recall(std::size_t count, std::string_view room = {});

  protected:
    /// The hub has dropped this member: whoever waits for his connection should stop waiting.
    virtual void dropped() = 0;

  private:
    friend class Hub;
    static constexpr std::uint32_t nowhere = 0xFFFFFFFF;

    Session::Seat* seat_in(RoomId room);
    std::expected<RoomId, Refusal> own_room(std::string_view name) const;

    Hub& hub_;
    Outbox& outbox_;
    const Face& face_;
    const Duration send_limit_;
    Session session_;
    std::uint32_t touched_at_ = nowhere;  // place among the hub's members with something to flush
    Reason ended_ = Reason::none;
    Reason dropping_ = Reason::none;  // will be dropped at the end of the turn
    bool in_ = false;
    bool said_some_ = false;  // of the batch that is being handed out
};

}  // namespace confab::chat
