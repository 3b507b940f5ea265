// Public: what a member says in chat.v1 - JSON over WebSocket - and what becomes of it (docs/protocol.md).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "reactor/operation.hpp"
#include "server/chat/conversation.hpp"
#include "server/chat/json_face.hpp"
#include "server/chat/json_request.hpp"
#include "server/chat/member.hpp"
#include "server/wire/websocket_reader.hpp"

namespace confab::chat {

/// Turns the bytes of a WebSocket into the verbs of its member, and answers him. He comes in without a room,
/// so that a client that comes back can say how far it knows each.
///
/// A ping waits for nothing but what its sender himself said before, and a pong goes before all that is
/// queued.
///
/// Threads: the member's.
class JsonConversation {
  public:
    using Next = chat::Next;

    /// The name of the subprotocol.
    static constexpr std::string_view protocol = "chat.v1";

    explicit JsonConversation(Member& member) : JsonConversation(member, json_face(false)) {}

    /// He comes in and is welcomed, or is told why not: `end`.
    Next begin();
    /// Goes on with a conversation that was written out elsewhere; `end`: he has died on the way.
    Next resume(const SessionState& state);
    /// Adds what is this conversation's own to what was written out of its member.
    void write(SessionState& state) const;

    /// `bytes` have come. They are changed, and used or copied when this returns. Requires: the last answer
    /// was `receive`.
    Next receive(LentBytes bytes);
    /// Goes on with what came behind a message that had to wait.
    Next go_on();
    /// Nothing more will come: the connection was lost, since nobody has said goodbye.
    Next finish();
    /// Nothing has come for `patience`: he is asked for a sign; the second time he is lost.
    Next silence();
    /// How long to wait for him to say something, where the connection's own limit is `idle`.
    Duration patience(Duration idle) const;

  protected:
    JsonConversation(Member& member, const JsonFace& face)
        : member_(member), session_(member.session()), face_(face) {}

    wire::WebSocketReader& reader() { return reader_; }

  private:
    struct Verb;
    static const Verb verbs[];

    Next obey(LentBytes input);
    Next obey(const wire::WebSocketEvent& event);
    Next obey_message(std::string_view json);
    Next close(std::uint16_t code, std::string_view reason, Reason why);
    Next ready() const;
    bool is_text(const JsonRequest& request);

    void nick(const JsonRequest& request);
    void join(const JsonRequest& request);
    void part(const JsonRequest& request);
    void said(const JsonRequest& request);
    void emote(const JsonRequest& request);
    void topic(const JsonRequest& request);
    void tell(const JsonRequest& request);
    void who(const JsonRequest& request);
    void rooms(const JsonRequest& request);
    void history(const JsonRequest& request);
    void ping(const JsonRequest& request);

    void say(Kind kind, const JsonRequest& request);
    void refuse(const JsonRequest& request, Refusal refusal, std::string_view what);
    void refuse(const JsonRequest& request, std::string_view code, std::string_view text);
    bool is_name(const JsonRequest& request, NameFault fault, std::string_view what, std::string_view name);
    template <class... Parts>
    void answer(const JsonRequest& request, std::string_view type, const Parts&... parts);

    Member& member_;
    Session& session_;
    const JsonFace& face_;
    wire::WebSocketReader reader_;
    std::string waiting_;  // a message that has to wait; what came behind it is the session's
    bool asked_for_sign_ = false;
};

/// The same, where both sides may compress their messages.
class CompressedJsonConversation : public JsonConversation {
  public:
    /// As it is called in what is written out of a conversation.
    static constexpr std::string_view protocol = "chat.v1, compressed";

    explicit CompressedJsonConversation(Member& member) : JsonConversation(member, json_face(true)) {
        reader().expect_compressed();
    }
};

}  // namespace confab::chat
