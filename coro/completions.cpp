#include "coro/completions.hpp"

namespace confab {

CompletionSet::Entry::Entry(CompletionSet& owner, ChildBase& watched)
    : ChildLink(&child_over), set(owner), child(watched) {}

void CompletionSet::Entry::child_over(ChildLink& link) noexcept {
    auto& self = static_cast<Entry&>(link);
    CompletionSet& set = self.set;
    (self.previous_entry == nullptr ? set.running_entries_ : self.previous_entry->next_entry) =
        self.next_entry;
    if (self.next_entry != nullptr) self.next_entry->previous_entry = self.previous_entry;
    --set.running_;
    self.next_entry = nullptr;
    *set.last_over_ = &self;
    set.last_over_ = &self.next_entry;
    ++set.over_;
    set.waiters_.wake_one();
}

CompletionSet::~CompletionSet() {
    while (running_entries_ != nullptr)
        discard(std::exchange(running_entries_, running_entries_->next_entry));
    while (first_over_ != nullptr) discard(std::exchange(first_over_, first_over_->next_entry));
}

void CompletionSet::discard(Entry* entry) {
    entry->child.base().remove(*entry);
    block_cache::destroy(entry);
}

void CompletionSet::add_child(ChildBase& child) {
    auto* const entry = block_cache::make<Entry>(*this, child);
    entry->next_entry = running_entries_;
    if (running_entries_ != nullptr) running_entries_->previous_entry = entry;
    running_entries_ = entry;
    ++running_;
    if (child.over()) {
        Entry::child_over(*entry);
    } else {
        child.add(*entry);
    }
}

any_child CompletionSet::take_first() {
    Entry* const entry = std::exchange(first_over_, first_over_->next_entry);
    if (first_over_ == nullptr) last_over_ = &first_over_;
    --over_;
    any_child child = std::move(entry->child);
    block_cache::destroy(entry);
    return child;
}

}  // namespace confab
