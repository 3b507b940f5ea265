#include "server/chat/chat_app.hpp"

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

/// What a connection's conversation begins with.
struct Beginning {
    std::unique_ptr<Traveller> traveller;  // null: it begins here
    std::string heard;                     // has been received already
};

const Face& face_of(const LineConversation* /*spoken*/) { return line_face(); }
const Face& face_of(const JsonConversation* /*spoken*/) { return json_face(); }

// One connection's conversation, here from the beginning or come from elsewhere.
template <class Conversation>
class Handler {
  public:
    Handler(Hub& hub, Worker& worker, Stream& stream)
        : worker_(worker),
          stream_(stream),
          member_(hub, stream, face_of(static_cast<const Conversation*>(nullptr))),
          conversation_(member_) {}

    Next begin(std::string& heard);
    Next resume(Traveller& traveller);
    Next received(const Received& bytes);
    Next input_failed(std::error_code error);
    Next go_on();
    Duration patience() const { return conversation_.patience(stream_.receive_limit()); }
    bool has_departed() const { return member_.ended() == Reason::moved; }

  private:
    bool depart();

    Worker& worker_;
    Stream& stream_;
    ConnectedMember member_;
    Conversation conversation_;
    bool came_to_its_end_ = false;  // the peer's stream had ended before it came here
};

std::span<std::byte> bytes_of(std::string& text) { return std::as_writable_bytes(std::span(text)); }

template <class Conversation>
Next Handler<Conversation>::begin(std::string& heard) {
    Next next = conversation_.begin();
    if (next == Next::receive && !heard.empty()) next = conversation_.receive(bytes_of(heard));
    if (next == Next::receive && stream_.at_end()) next = conversation_.finish();
    return next;
}

template <class Conversation>
Next Handler<Conversation>::resume(Traveller& traveller) {
    came_to_its_end_ = traveller.at_end;
    Next next = conversation_.resume(SessionState::read(traveller.state));
    if (next == Next::receive && !traveller.received.empty())
        next = conversation_.receive(bytes_of(traveller.received));
    else if (next != Next::end)
        member_.session().unhandled += traveller.received;
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
task<void> converse(Hub& hub, Worker& worker, Stream& stream, Beginning beginning) {
    Handler<Conversation> handler(hub, worker, stream);
    Next next = beginning.traveller ? handler.resume(*beginning.traveller) : handler.begin(beginning.heard);
    beginning = {};
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

// One who has not shown yet what he speaks, and is asked to go, goes as he is.
void give_away_unheard(Worker& worker, Stream& stream, std::string heard) {
    if (TaskContext::current()->stop_reason() != StopReason::moved) return;
    SessionState state;
    state.unhandled = std::move(heard);
    worker.give_away(stream, state.write());
}

// A connection's handler.
task<void> serve_faces(Hub& hub, HttpSite& site, Worker& worker, Stream& stream, Beginning beginning) {
    if (beginning.traveller) {
        stream.outbox().flush(stream.limits().send);
        SessionState state = SessionState::read(beginning.traveller->state);
        if (state.protocol == LineConversation::protocol) {
            co_await converse<LineConversation>(hub, worker, stream, std::move(beginning));
            co_return;
        }
        if (state.protocol == JsonConversation::protocol) {
            co_await converse<JsonConversation>(hub, worker, stream, std::move(beginning));
            co_return;
        }
        beginning = {.traveller = nullptr, .heard = state.unhandled + beginning.traveller->received};
    }
    Opening opening = co_await hear_opening(stream, std::move(beginning.heard));
    if (opening.speaks == Speaks::unknown) {
        give_away_unheard(worker, stream, std::move(opening.heard));
    } else if (opening.speaks == Speaks::line) {
        beginning.heard = std::move(opening.heard);
        co_await converse<LineConversation>(hub, worker, stream, std::move(beginning));
    } else {
        auto behind_switch = co_await serve_http(stream, site, std::move(opening.heard));
        if (!behind_switch) co_return;
        beginning.heard = *std::move(behind_switch);
        co_await converse<JsonConversation>(hub, worker, stream, std::move(beginning));
    }
}

class ChatWorker final : public Worker {
  public:
    ChatWorker(Chat& chat, const WebOptions& web, Reactor& reactor) : hub_(chat, reactor), site_(web) {}
    task<void> serve(Stream& stream) override { return serve_faces(hub_, site_, *this, stream, {}); }
    task<void> resume(Stream& stream, Traveller traveller) override {
        return serve_faces(hub_, site_, *this, stream,
                           {.traveller = std::make_unique<Traveller>(std::move(traveller)), .heard = {}});
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
