#include "clients/load/echo_dialogue.hpp"

#include <cassert>
#include <optional>
#include <utility>

#include "clients/load/echo_check.hpp"

namespace confab::load {

namespace {

// Neighbours begin at places far from each other.
constexpr std::size_t place_step = 4099;

class EchoDialogue final : public Dialogue {
  public:
    EchoDialogue(const Pattern& pattern, std::size_t size, std::size_t place)
        : pattern_(pattern), size_(size), place_(place), check_(std::in_place, pattern, size, place) {}

    // The messages of the next connection are those that come next.
    void begin() override {
        before_ = faults();
        check_.emplace(pattern_, size_, place_);
    }
    Bytes say(std::size_t messages) override {
        const std::size_t place = place_, size = messages * size_;
        place_ = (place_ + size) % Pattern::period;
        return pattern_.sent(place, size);
    }
    std::size_t take(Bytes bytes, std::size_t under_way) override { return check_->take(bytes, under_way); }
    std::size_t end(std::size_t /*under_way*/) override { return 0; }
    Faults faults() const override {
        Faults all = before_;
        all += check_->faults();
        all.lost += check_->missing();
        return all;
    }

  private:
    const Pattern& pattern_;
    const std::size_t size_;
    std::size_t place_;  // of the next byte to be sent
    std::optional<EchoCheck> check_;
    Faults before_;  // of earlier connections
};

class EchoDialogues final : public Dialogues {
  public:
    EchoDialogues(const Pattern& pattern, std::size_t size, std::size_t first)
        : pattern_(pattern), size_(size), first_(first) {
        assert(size % Pattern::period != 0);
    }
    std::unique_ptr<Dialogue> make(std::size_t index) override {
        return std::make_unique<EchoDialogue>(pattern_, size_,
                                              (first_ + index) * place_step % Pattern::period);
    }

  private:
    const Pattern& pattern_;
    const std::size_t size_, first_;
};

}  // namespace

std::unique_ptr<Dialogues> make_echo_dialogues(const Pattern& pattern, std::size_t size, std::size_t first) {
    return std::make_unique<EchoDialogues>(pattern, size, first);
}

}  // namespace confab::load
