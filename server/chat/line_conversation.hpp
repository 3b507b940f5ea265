// Public: what a member says in the line protocol, and what becomes of it (docs/protocol.md).
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "reactor/operation.hpp"
#include "server/chat/conversation.hpp"
#include "server/chat/line_splitter.hpp"
#include "server/chat/member.hpp"

namespace confab::chat {

/// Turns the bytes of one connection into the verbs of its member, and answers him. It has no state of its
/// own: all there is lies in the member's session.
///
/// Threads: the member's.
class LineConversation {
  public:
    using Next = chat::Next;

    /// As it is called in what is written out of a conversation.
    static constexpr std::string_view protocol = "line";

    /// `member` may be in already.
    explicit LineConversation(Member& member) : member_(member), session_(member.session()) {}

    /// He comes in and is welcomed, or is told why not: `end`.
    Next begin();

    /// Goes on with a conversation that was written out elsewhere; `end`: he has died on the way.
    Next resume(const SessionState& state);
    /// Adds what is this conversation's own to what was written out of its member: nothing.
    void write(SessionState& /*state*/) const {}

    /// `bytes` have come. They are used or copied when this returns. Requires: the last answer was `receive`.
    Next receive(Bytes bytes);
    /// Goes on with what came behind a line that had to wait.
    Next go_on();
    /// Nothing more will come. An unfinished line counts; `end`, once all lines have been handled and he has
    /// left.
    Next finish();
    /// Nothing has come for `patience`: he is told, and is out.
    Next silence();
    /// How long to wait for him to say something, where the connection's own limit is `idle`.
    Duration patience(Duration idle) const { return idle; }

  private:
    struct Command;
    static const Command commands[];

    Next obey(std::string_view input);
    Next ready() const;
    void obey(const SplitLine& line);
    void obey_command(std::string_view line);
    bool is_text(std::string_view line);

    void nick(std::string_view argument);
    void join(std::string_view argument);
    void part(std::string_view argument);
    void msg(std::string_view argument);
    void me(std::string_view argument);
    void who(std::string_view argument);
    void rooms(std::string_view argument);
    void history(std::string_view argument);
    void topic(std::string_view argument);
    void ping(std::string_view argument);
    void help(std::string_view argument);
    void quit(std::string_view argument);

    void say(Kind kind, std::string_view text);
    void refuse(Refusal refusal, std::string_view what);
    void refuse_name(NameFault fault, std::string_view what, std::string_view name);
    template <class... Parts>
    void reply(const Parts&... parts);

    Member& member_;
    Session& session_;
};

}  // namespace confab::chat
