#include "server/chat/chat_app.hpp"

#include <utility>

#include "server/chat/chat.hpp"
#include "server/chat/hub.hpp"
#include "server/chat/line_conversation.hpp"
#include "server/chat/line_face.hpp"
#include "server/chat/member.hpp"

namespace confab::chat {

namespace {

using Next = LineConversation::Next;

class LineMember final : public Member {
  public:
    LineMember(Hub& hub, Stream& stream)
        : Member(hub, stream.outbox(), line_face(), stream.limits().send), task_(*TaskContext::current()) {}

  private:
    void dropped() override { task_.request_stop(StopReason::canceled); }

    TaskContext& task_;
};

// One connection's conversation, here from the beginning or come from elsewhere.
class LineHandler {
  public:
    LineHandler(Hub& hub, Worker& worker, Stream& stream)
        : worker_(worker), stream_(stream), member_(hub, stream), conversation_(member_) {}

    Next begin() { return conversation_.begin(); }
    Next resume(const Traveller& traveller);
    Next received(const Received& bytes);
    Next input_failed(std::error_code error);
    Next go_on();
    bool has_departed() const { return member_.ended() == Reason::moved; }

  private:
    bool depart();

    Worker& worker_;
    Stream& stream_;
    LineMember member_;
    LineConversation conversation_;
    bool came_to_its_end_ = false;  // the peer's stream had ended before it came here
};

Next LineHandler::resume(const Traveller& traveller) {
    came_to_its_end_ = traveller.at_end;
    Next next = conversation_.resume(SessionState::read(traveller.state));
    if (next == Next::receive && !traveller.received.empty())
        next = conversation_.receive(as_bytes(traveller.received));
    else if (next != Next::end)
        member_.session().unhandled += traveller.received;
    if (next == Next::receive && came_to_its_end_) next = conversation_.finish();
    return next;
}

Next LineHandler::received(const Received& bytes) {
    if (!bytes) return input_failed(bytes.error());
    return bytes->empty() ? conversation_.finish() : conversation_.receive(*bytes);
}

Next LineHandler::go_on() {
    return stream_.at_end() || came_to_its_end_ ? conversation_.finish() : conversation_.go_on();
}

// Says goodbye to a member whose input failed, or sends him on. One who was dropped has heard it.
Next LineHandler::input_failed(std::error_code error) {
    if (member_.ended() != Reason::none) return Next::end;
    if (error == std::errc::timed_out) {
        member_.notify({.kind = Notice::Kind::idle});
        member_.leave(Reason::idle);
    } else if (error != std::errc::operation_canceled) {
        member_.leave(Reason::lost);
    } else if (!depart()) {
        member_.leave(Reason::drain);
    }
    return Next::end;
}

bool LineHandler::depart() {
    if (TaskContext::current()->stop_reason() != StopReason::moved) return false;
    const auto state = member_.depart();
    if (!state) return false;
    worker_.give_away(stream_, state->write());
    return true;
}

// A connection's handler. `traveller`: null for one that begins here.
task<void> converse(Hub& hub, Worker& worker, Stream& stream, std::unique_ptr<Traveller> traveller) {
    if (traveller) stream.outbox().flush(stream.limits().send);
    LineHandler handler(hub, worker, stream);
    Next next = traveller ? handler.resume(*traveller) : handler.begin();
    traveller.reset();
    try {
        while (next != Next::end) {
            if (next == Next::receive) {
                const Received bytes = co_await stream.receive();
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

class ChatWorker final : public Worker {
  public:
    ChatWorker(Chat& chat, Reactor& reactor) : hub_(chat, reactor) {}
    task<void> serve(Stream& stream) override { return converse(hub_, *this, stream, nullptr); }
    task<void> resume(Stream& stream, Traveller traveller) override {
        return converse(hub_, *this, stream, std::make_unique<Traveller>(std::move(traveller)));
    }
    void drain() override { hub_.drain(); }

  private:
    Hub hub_;
};

class ChatApp final : public Application {
  public:
    explicit ChatApp(std::shared_ptr<const ChatMemory> memory)
        : memory_(std::move(memory)), chat_(*memory_) {}
    ChatApp(std::shared_ptr<const ChatMemory> memory, std::uint32_t process)
        : memory_(std::move(memory)), chat_(*memory_, process) {}
    std::unique_ptr<Worker> make_worker(Reactor& reactor) override {
        return std::make_unique<ChatWorker>(chat_, reactor);
    }
    bool travels() const override { return true; }

  private:
    const std::shared_ptr<const ChatMemory> memory_;
    Chat chat_;
};

}  // namespace

std::unique_ptr<Application> make_chat_app(const Limits& limits) {
    return std::make_unique<ChatApp>(std::make_shared<ChatMemory>(limits));
}

std::unique_ptr<Application> make_chat_app(std::shared_ptr<const ChatMemory> memory, std::uint32_t process) {
    return std::make_unique<ChatApp>(std::move(memory), process);
}

}  // namespace confab::chat
