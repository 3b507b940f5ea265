#!/usr/bin/env python3
"""What would go wrong at run time in Python does not compile here, and what is right beside it does.

Usage: does_not_compile_test.py SOURCE_ROOT COMPILER [FLAG ...]
"""

import re
import subprocess
import sys
import unittest

# Name: (what compiles, what does not). The two differ in what the name says, and in nothing else. Those that begin with
# a number are items of the parity list.
CASES = {
    "parity 16: a handle of a process has one owner": (
        "processes::process moved(processes::process it) { return processes::process(std::move(it)); }",
        "processes::process copied(processes::process it) { return processes::process(it); }"),
    "parity 39: who waits on a condition holds a lock": (
        "void waits(threads::condition& it, guard<threads::mutex>& held) { it.wait(held); }",
        "void waits(threads::condition& it, threads::mutex& mutex) { it.wait(mutex); }"),
    "parity 50: a channel does not shrink": (
        "std::size_t looks(threads::channel<int>& it) { return it.capacity(); }",
        "void shrinks(threads::channel<int>& it) { it.capacity(1); }"),
    "parity 52: what goes by priority has an order": (
        "threads::priority_channel<Job, ByNumber> ordered(1);",
        "threads::priority_channel<Job> unordered(1);"),
    "parity 59: a pointer does not go from process to process": (
        "void puts(processes::channel<int>& it) { static_cast<void>(it.put(1)); }",
        "void puts(processes::channel<int*>& it) { static_cast<void>(it.put(nullptr)); }"),
    "parity 59: nor does a view of text": (
        "processes::channel<std::string> texts(1);",
        "processes::channel<std::string_view> views(1);"),
    "parity 59: nor does a vector of pointers": (
        "void puts(processes::channel<std::vector<double>>& it) { static_cast<void>(it.put({})); }",
        "void puts(processes::channel<std::vector<Job*>>& it) { static_cast<void>(it.put({})); }"),
    "parity 59: nor does a type that does not say how": (
        "processes::channel<Said> said(1);",
        "processes::channel<Unsaid> unsaid(1);"),
    "parity 61: between processes work is done by the guard that was taken": (
        "void works(processes::channel<int>& it) { auto taken = it.take(); }",
        "void works(processes::channel<int>& it) { it.task_done(); }"),
    "parity 65: the reading end of a pipe does not send": (
        "void sends(writer& end) { static_cast<void>(end.send(std::string_view())); }",
        "void sends(reader& end) { static_cast<void>(end.send(std::string_view())); }"),
    "parity 65: the writing end does not receive": (
        "void receives(reader& end) { static_cast<void>(end.receive()); }",
        "void receives(writer& end) { static_cast<void>(end.receive()); }"),
    "parity 65: nor is there anything to poll": (
        "bool looks(reader& end) { return end.poll(); }",
        "bool looks(writer& end) { return end.poll(); }"),
    "parity 74: a copy out of a map is not changed in vain": (
        'void adds(Lists& it) { it.update("a", [](auto& list) { list.push_back(1); }); }',
        'void adds(Lists& it) { it.get("a")->push_back(1); }'),
    "parity 74: nor is one out of a list": (
        "void adds(Texts& it) { it.update(0, [](auto& text) { text += 'a'; }); }",
        "void adds(Texts& it) { it.get(0) += 'a'; }"),
    "parity 77: nothing is counted through a getter": (
        'void counts(Counts& it) { it.update("a", [](int& count) { ++count; }); }',
        'void counts(Counts& it) { *it.get("a") += 1; }'),
    "parity 82: what owns memory is not shared": (
        "processes::shared<std::array<char, 8>> shared_text;",
        "processes::shared<std::string> own_text;"),
    "parity 82: nor is a pointer": (
        "processes::shared<long> number;",
        "processes::shared<long*> pointer;"),
    "a task for a process brings nothing from where it was made": (
        "void submits(process_pool& it, int n) { it.submit([](int number) { return number; }, n); }",
        "void submits(process_pool& it, int n) { it.submit([n](int number) { return number; }, n); }"),
    "a task for a process is given no pointer": (
        "void submits(process_pool& it) { it.submit([](float number) { return number; }, 1.0F); }",
        "void submits(process_pool& it) { it.submit([](float* number) { return number != nullptr; }, new float); }"),
    "a task for a process gives no pointer back": (
        "void submits(process_pool& it) { it.submit([] { return short{}; }); }",
        "void submits(process_pool& it) { it.submit([] { return static_cast<short*>(nullptr); }); }"),
    "a process of a launcher is given no pointer": (
        "void starts(processes::launcher& it) { it.start([](char) {}, 'a'); }",
        "void starts(processes::launcher& it) { it.start([](char*) {}, new char); }"),
}

BEFORE = """
#include <array>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "pools/connection.hpp"
#include "pools/process_pool.hpp"
#include "pools/processes/channel.hpp"
#include "pools/processes/shared_list.hpp"
#include "pools/processes/shared_map.hpp"
#include "pools/threads/channel.hpp"
#include "pools/threads/condition.hpp"
#include "pools/threads/mutex.hpp"
#include "pools/threads/thread.hpp"

using namespace confab;

struct Job {
    int number;
};
struct ByNumber {
    bool operator()(const Job& one, const Job& other) const { return one.number < other.number; }
};
struct Unsaid {
    std::string text;
};
struct Said {
    std::string text;
    template <class Archive>
    void serialize(Archive& archive) {
        archive(text);
    }
};
using Lists = processes::shared_map<std::string, std::vector<int>>;
using Counts = processes::shared_map<std::string, int>;
using Texts = processes::shared_list<std::string>;
"""


class DoesNotCompile(unittest.TestCase):
    source_root = compiler = None

    def compile(self, snippets):
        """What the compiler said, and the numbers of the snippets that it names."""
        namespaces = [f"namespace case_{number} {{ {snippet} }}" for number, snippet in enumerate(snippets)]
        text = BEFORE + "\n".join(namespaces) + "\n"
        done = subprocess.run(
            [*self.compiler, "-std=c++23", "-w", "-ferror-limit=0", "-fsyntax-only", f"-I{self.source_root}", "-xc++", "-"],
            input=text, capture_output=True, text=True, check=False)
        # An error of a template is in a header; where it is asked for is in a note, or above it.
        first = BEFORE.count("\n") + 1
        named = {int(line) - first for line in re.findall(r"<stdin>:(\d+):", done.stderr)}
        return done, named

    def test_what_is_right_compiles(self):
        done, _ = self.compile([right for right, _ in CASES.values()])
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_what_is_wrong_does_not_each_of_them(self):
        done, named = self.compile([wrong for _, wrong in CASES.values()])
        self.assertNotEqual(done.returncode, 0)
        for number, name in enumerate(CASES):
            with self.subTest(name):
                self.assertIn(number, named, done.stderr)


if __name__ == "__main__":
    DoesNotCompile.source_root, *DoesNotCompile.compiler = sys.argv[1:]
    unittest.main(argv=sys.argv[:1])
