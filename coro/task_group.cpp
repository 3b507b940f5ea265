#include "coro/task_group.hpp"

namespace confab {

task_group::task_group(std::ptrdiff_t size, OnFailure on_failure)
    : Watcher{&task_gone}, tasks_(on_failure), free_(static_cast<std::size_t>(size)) {
    if (size < 0) throw std::invalid_argument("a group of tasks has a size of 0 or more");
    tasks_.watch(this);
}

task_group::~task_group() { tasks_.watch(nullptr); }

void task_group::task_gone(scope::Watcher& watcher) noexcept {
    auto& self = static_cast<task_group&>(watcher);
    if (self.spawners_.wake_one()) return;  // and has the place
    ++self.free_;
    if (self.tasks_.size() == 0) self.joiners_.wake_all();
}

bool task_group::contains_current() const {
    const TaskContext* context = TaskContext::current();
    while (context != nullptr) {
        const scope& around = static_cast<const ScopedTask*>(context)->owner_scope();
        if (&around == &tasks_) return true;
        context = around.owner();
    }
    return false;
}

}  // namespace confab
