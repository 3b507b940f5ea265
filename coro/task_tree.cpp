#include "coro/task_tree.hpp"

#include <cstring>
#include <source_location>
#include <string>
#include <vector>

#include "coro/scope.hpp"

namespace confab {

namespace {

std::string place(const std::source_location& location) {
    const char* const slash = std::strrchr(location.file_name(), '/');
    const char* const file = slash != nullptr ? slash + 1 : location.file_name();
    return std::string(file) + ':' + std::to_string(location.line());
}

void print(std::string& text, const scope* scopes, int depth);

void print_task(std::string& text, const TaskContext& context, int depth) {
    text.append(static_cast<std::size_t>(depth) * 2, ' ');
    text += context.name()[0] != '\0' ? context.name() : "task";
    text += " (" + place(context.origin()) + ") ";
    if (const Waiter* const waiter = context.waiter()) {
        text += "waits in " + std::string(waiter->wait_kind->name) + " at " + place(waiter->where);
    } else {
        text += &context == TaskContext::current() ? "is running" : "is ready";
    }
    text += '\n';
    print(text, context.first_scope(), depth + 1);
}

// Lists grow at the front; people read from the oldest on.
void print(std::string& text, const scope* scopes, int depth) {
    std::vector<const scope*> oldest_first;
    for (; scopes != nullptr; scopes = scopes->next_scope())
        oldest_first.insert(oldest_first.begin(), scopes);
    for (const scope* const each : oldest_first) {
        std::vector<const TaskContext*> children;
        for (const TaskContext* child = each->first_child(); child != nullptr;
             child = child->next_sibling()) {
            children.push_back(child);
        }
        for (auto child = children.rbegin(); child != children.rend(); ++child)
            print_task(text, **child, depth);
    }
}

}  // namespace

std::string task_tree() {
    std::string text;
    print(text, scope::first_without_task(), 0);
    return text.empty() ? "no tasks\n" : text;
}

}  // namespace confab
