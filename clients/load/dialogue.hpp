// Internal to clients: what a connection says, and what has to come back.
#pragma once

#include <cstddef>
#include <memory>

#include "clients/load/faults.hpp"
#include "reactor/operation.hpp"

namespace confab::load {

/// One connection's side of a protocol of requests and answers, without any I/O. Reactor's thread only.
class Dialogue {
  public:
    Dialogue() = default;
    Dialogue(const Dialogue&) = delete;
    Dialogue& operator=(const Dialogue&) = delete;
    virtual ~Dialogue() = default;

    /// A new connection begins; what was under way on the one before will not come.
    virtual void begin() = 0;
    /// The bytes of the next `messages`, in one piece; valid as long as the dialogue. Requires: no more than
    /// are sent at once.
    virtual Bytes say(std::size_t messages) = 0;
    /// Takes what came, while `under_way` messages were unanswered. Gives how many of those are answered now,
    /// or are missing because a later one was: never more than `under_way`.
    virtual std::size_t take(Bytes bytes, std::size_t under_way) = 0;
    /// The connection has ended; takes that for the end of an answer, if that is how it ends. Gives as
    /// `take`.
    virtual std::size_t end(std::size_t under_way) = 0;
    /// What was wrong, on all connections so far; messages that a later one has overtaken are lost.
    virtual Faults faults() const = 0;
};

/// Makes the dialogues of one worker's connections, which it outlives.
class Dialogues {
  public:
    Dialogues() = default;
    Dialogues(const Dialogues&) = delete;
    Dialogues& operator=(const Dialogues&) = delete;
    virtual ~Dialogues() = default;

    /// Of the worker's `index`th connection. It has begun.
    virtual std::unique_ptr<Dialogue> make(std::size_t index) = 0;
};

}  // namespace confab::load
