#!/usr/bin/env python3
"""What a Mutex guards cannot be touched without it: the compiler refuses.

Usage: thread_safety_test.py SOURCE_ROOT COMPILER [FLAG ...], with Clang.
"""

import re
import subprocess
import sys
import unittest

# What a member function says, and what the compiler says to it (None: nothing).
CASES = {
    "the lock is held": ("MutexLock lock{mutex_}; ++count_; add_locked();", None),
    "the lock was got by trying": ("if (mutex_.try_lock()) { ++count_; mutex_.unlock(); }", None),
    "a function takes the lock itself": ("add_alone();", None),
    "a guarded member without the lock": ("++count_;", "requires holding mutex 'mutex_'"),
    "a function that requires the lock, without it": ("add_locked();", "requires holding mutex 'mutex_'"),
    "a function that takes the lock, with it": ("MutexLock lock{mutex_}; add_alone();", "is held"),
    "the lock was given back early": ("MutexLock lock{mutex_}; lock.unlock(); ++count_;", "requires holding mutex"),
    "trying failed": ("if (!mutex_.try_lock()) { ++count_; } else { mutex_.unlock(); }", "requires holding mutex"),
    "the lock is never given back": ("mutex_.lock();", "still held"),
    "the lock is taken twice": ("MutexLock one{mutex_}; MutexLock two{mutex_};", "already held"),
}

CLASS = """
#include "pools/annotated_mutex.hpp"
using namespace confab;

class Counter {
  public:
%s
    void add_locked() CONFAB_REQUIRES(mutex_) { ++count_; }
    void add_alone() CONFAB_EXCLUDES(mutex_) { MutexLock lock{mutex_}; ++count_; }

  private:
    Mutex mutex_;
    int count_ CONFAB_GUARDED_BY(mutex_) = 0;
};
"""


class ThreadSafety(unittest.TestCase):
    source_root = compiler = None

    def test_the_compiler_sees_what_is_wrong_and_nothing_else(self):
        functions = [f"    void case_{number}() {{ {body} }}" for number, (body, _) in enumerate(CASES.values())]
        text = CLASS % "\n".join(functions)
        done = subprocess.run(
            [*self.compiler, "-std=c++23", "-Wthread-safety", f"-I{self.source_root}", "-fsyntax-only", "-xc++", "-"],
            input=text, capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        warnings = dict(re.findall(r"<stdin>:(\d+):\d+: warning: (.*)", done.stderr))

        lines = text.splitlines()
        for function, (case, (_, expected)) in zip(functions, CASES.items()):
            with self.subTest(case):
                warning = warnings.pop(str(lines.index(function) + 1), None)
                if expected:
                    self.assertIn(expected, warning or "no warning")
                else:
                    self.assertIsNone(warning)
        self.assertEqual(warnings, {})


if __name__ == "__main__":
    ThreadSafety.source_root, *ThreadSafety.compiler = sys.argv[1:]
    unittest.main(argv=sys.argv[:1])
