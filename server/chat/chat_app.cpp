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

// Says goodbye to a member whose input failed. One who was dropped has heard it.
Next input_failed(Member& member, std::error_code error) {
    if (member.ended() != Reason::none) return Next::end;
    if (error == std::errc::timed_out) {
        member.notify({.kind = Notice::Kind::idle});
        member.leave(Reason::idle);
    } else {
        member.leave(error == std::errc::operation_canceled ? Reason::drain : Reason::lost);
    }
    return Next::end;
}

task<void> converse(Hub& hub, Stream& stream) {
    LineMember member(hub, stream);
    LineConversation conversation(member);
    Next next = conversation.begin();
    while (next != Next::end) {
        if (next == Next::receive) {
            const Received bytes = co_await stream.receive();
            if (!bytes) {
                next = input_failed(member, bytes.error());
            } else {
                next = bytes->empty() ? conversation.finish() : conversation.receive(*bytes);
            }
            continue;
        }
        if (next == Next::await_room) {
            co_await hub.room();
        } else {
            stream.outbox().flush(stream.limits().send);
            const Sent sent = co_await stream.flush();
            if (!sent) {
                next = input_failed(member, sent.error());
                continue;
            }
        }
        next = stream.at_end() ? conversation.finish() : conversation.go_on();
    }
    stream.outbox().flush(stream.limits().send);
}

class ChatWorker final : public Worker {
  public:
    ChatWorker(Chat& chat, Reactor& reactor) : hub_(chat, reactor) {}
    task<void> serve(Stream& stream) override { return converse(hub_, stream); }
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
