#include "server/chat/chat_app.hpp"

#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "server/chat/chat.hpp"
#include "server/chat/hub.hpp"
#include "server/chat/json_conversation.hpp"
#include "server/chat/json_face.hpp"
#include "server/chat/line_conversation.hpp"
#include "server/chat/line_face.hpp"
#include "server/chat/member.hpp"
#include "server/chat/opening.hpp"
#include "server/chat/web_site.hpp"
#include "server/http_service.hpp"

namespace confab::chat {

namespace {

class ConnectedMember final : public Member {
  public:
    ConnectedMember(Hub& hub, Stream& stream, const Face& face)
        : Member(hub, stream.outbox(), face, stream.limits().send), task_(*TaskContext::current()) {}

  private:
    void dropped() override { task_.request_stop(StopReason::canceled); }

    TaskContext& task_;
};

/// What a connection's conversation begins with, when it is not nothing: few bytes in the frame of those who
/// have begun.
struct Beginning {
    std::optional<Traveller> traveller{};  // it comes from elsewhere
    std::string heard{};                   // or: has been received already
};

std::unique_ptr<Beginning> begin_with(std::string heard) {
    return heard.empty() ? nullptr
                         : std::make_unique<Beginning>(Beginning{.traveller = {}, .heard = std::move(heard)});
}

const Face& face_of(const LineConversation* /*spoken*/) { return line_face(); }
const Face& face_of(const JsonConversation* /*spoken*/) { return json_face(false); }
const Face& face_of(const CompressedJsonConversation* /*spoken*/) { return json_face(true); }

// One connection's conversation, here from the beginning or come from elsewhere.
template <class Conversation>
class Handler {
  public:
    Handler(Hub& hub, Worker& worker, Stream& stream)
        : worker_(worker),
          stream_(stream),
          member_(hub, stream, face_of(static_cast<const Conversation*>(nullptr))),
          conversation_(member_) {}

    Next begin(std::unique_ptr<Beginning> beginning);
    Next received(const Received& bytes);
    Next input_failed(std::error_code error);
    Next go_on();
    Duration patience() const { return conversation_.patience(stream_.receive_limit()); }
    bool has_departed() const { return member_.ended() == Reason::moved; }

  private:
    Next resume(Traveller& traveller);
    bool depart();

    Worker& worker_;
    Stream& stream_;
    ConnectedMember member_;
    Conversation conversation_;
    bool came_to_its_end_ = false;  // the peer's stream had ended before it came here
};

std::span<std::byte> bytes_of(std::string& text) { return std::as_writable_bytes(std::span(text)); }

template <class Conversation>
Next Handler<Conversation>::begin(std::unique_ptr<Beginning> beginning) {
    if (beginning && beginning->traveller) return resume(*beginning->traveller);
    Next next = conversation_.begin();
    if (next == Next::receive && beginning) next = conversation_.receive(bytes_of(beginning->heard));
    if (next == Next::receive && stream_.at_end()) next = conversation_.finish();
    return next;
}

template <class Conversation>
Next Handler<Conversation>::resume(Traveller& traveller) {
    came_to_its_end_ = traveller.at_end;
    Next next = conversation_.resume(SessionState::read(traveller.state));
    if (next == Next::receive && !traveller.received.empty()) {
        next = conversation_.receive(bytes_of(traveller.received));
    } else if (next != Next::end) {
        member_.session().unhandled += traveller.received;
    }
    if (next == Next::receive && came_to_its_end_) next = conversation_.finish();
    return next;
}

template <class Conversation>
Next Handler<Conversation>::received(const Received& bytes) {
    if (!bytes) return input_failed(bytes.error());
    return bytes->empty() ? conversation_.finish() : conversation_.receive(*bytes);
}

template <class Conversation>
Next Handler<Conversation>::go_on() {
    return stream_.at_end() || came_to_its_end_ ? conversation_.finish() : conversation_.go_on();
}

// Says goodbye to a member whose input failed, or sends him on. One who was dropped has heard it.
template <class Conversation>
Next Handler<Conversation>::input_failed(std::error_code error) {
    if (member_.ended() != Reason::none) return Next::end;
    if (error == std::errc::timed_out) return conversation_.silence();
    if (error != std::errc::operation_canceled) {
        member_.leave(Reason::lost);
    } else if (!depart()) {
        member_.leave(Reason::drain);
    }
    return Next::end;
}

template <class Conversation>
bool Handler<Conversation>::depart() {
    if (TaskContext::current()->stop_reason() != StopReason::moved) return false;
    auto state = member_.depart();
    if (!state) return false;
    state->protocol = Conversation::protocol;
    conversation_.write(*state);
    worker_.give_away(stream_, state->write());
    return true;
}

template <class Conversation>
task<void> converse(Hub& hub, Worker& worker, Stream& stream, std::unique_ptr<Beginning> beginning) {
    Handler<Conversation> handler(hub, worker, stream);
    Next next = handler.begin(std::move(beginning));
    try {
        while (next != Next::end) {
            if (next == Next::receive) {
                const Received bytes = co_await stream.receive(handler.patience());
                next = handler.received(bytes);
            } else if (next == Next::await_room) {
                co_await hub.room();
                next = handler.go_on();
            } else {
                stream.outbox().flush(stream.limits().send);
                const Sent sent = co_await stream.flush();
                next = sent ? handler.go_on() : handler.input_failed(sent.error());
            }
        }
    } catch (const task_canceled&) {
        handler.input_failed(std::make_error_code(std::errc::operation_canceled));
    }
    if (!handler.has_departed()) stream.outbox().flush(stream.limits().send);
}

// The conversation that is called so.
task<void> converse_in(std::string_view protocol, Hub& hub, Worker& worker, Stream& stream,
                       std::unique_ptr<Beginning> beginning) {
    if (protocol == JsonConversation::protocol)
        return converse<JsonConversation>(hub, worker, stream, std::move(beginning));
    if (protocol == CompressedJsonConversation::protocol)
        return converse<CompressedJsonConversation>(hub, worker, stream, std::move(beginning));
    return converse<LineConversation>(hub, worker, stream, std::move(beginning));
}

// One who has not shown yet what he speaks, and is asked to go, goes as he is.
void give_away_unheard(Worker& worker, Stream& stream, std::string heard) {
    if (TaskContext::current()->stop_reason() != StopReason::moved) return;
    SessionState state;
    state.unhandled = std::move(heard);
    worker.give_away(stream, state.write());
}

// A connection whose first bytes, or more of them than `heard`, are still to come.
task<void> open(Hub& hub, HttpSite& site, Worker& worker, Stream& stream, std::string heard) {
    Opening opening = co_await hear_opening(stream, std::move(heard));
    if (opening.speaks == Speaks::unknown) {
        give_away_unheard(worker, stream, std::move(opening.heard));
    } else if (opening.speaks == Speaks::line) {
        worker.go_on_with(converse_in(LineConversation::protocol, hub, worker, stream,
                                      begin_with(std::move(opening.heard))));
    } else {
        auto switched = co_await serve_http(stream, site, std::move(opening.heard));
        if (!switched) co_return;
        worker.go_on_with(
            converse_in(switched->to, hub, worker, stream, begin_with(std::move(switched->rest))));
    }
}

// A connection that comes from elsewhere.
task<void> go_on(Hub& hub, HttpSite& site, Worker& worker, Stream& stream, Traveller traveller) {
    stream.outbox().flush(stream.limits().send);
    SessionState state = SessionState::read(traveller.state);
    if (state.protocol.empty()) {
        worker.go_on_with(open(hub, site, worker, stream, state.unhandled + traveller.received));
        co_return;
    }
    auto beginning = std::make_unique<Beginning>();
    beginning->traveller = std::move(traveller);
    worker.go_on_with(converse_in(state.protocol, hub, worker, stream, std::move(beginning)));
}

class ChatWorker final : public Worker {
  public:
    ChatWorker(Chat& chat, const WebOptions& web, Reactor& reactor) : hub_(chat, reactor), site_(chat, web) {}
    task<void> serve(Stream& stream) override { return open(hub_, site_, *this, stream, {}); }
    task<void> resume(Stream& stream, Traveller traveller) override {
        return go_on(hub_, site_, *this, stream, std::move(traveller));
    }
    void drain() override { hub_.drain(); }

  private:
    Hub hub_;
    WebSite site_;
};

class ChatApp final : public Application {
  public:
    ChatApp(std::shared_ptr<const ChatMemory> memory, WebOptions web)
        : memory_(std::move(memory)), chat_(*memory_), web_(std::move(web)) {}
    ChatApp(std::shared_ptr<const ChatMemory> memory, std::uint32_t process, WebOptions web)
        : memory_(std::move(memory)), chat_(*memory_, process), web_(std::move(web)) {}
    std::unique_ptr<Worker> make_worker(Reactor& reactor) override {
        return std::make_unique<ChatWorker>(chat_, web_, reactor);
    }
    bool travels() const override { return true; }
    void lost(const std::string& state) override {
        const SessionState session = SessionState::read(state);
        chat_.abandon({.slot = session.slot, .tenant = session.tenant}, session.courier, Clock::now());
    }

  private:
    const std::shared_ptr<const ChatMemory> memory_;
    Chat chat_;
    const WebOptions web_;
};

}  // namespace

std::unique_ptr<Application> make_chat_app(const Limits& limits, WebOptions web) {
    return std::make_unique<ChatApp>(std::make_shared<ChatMemory>(limits), std::move(web));
}

std::unique_ptr<Application> make_chat_app(std::shared_ptr<const ChatMemory> memory, std::uint32_t process,
                                           WebOptions web) {
    return std::make_unique<ChatApp>(std::move(memory), process, std::move(web));
}

}  // namespace confab::chat
