#!/usr/bin/env python3
"""What the example prints: interleaving_test.py PROGRAM"""

import subprocess
import sys
import unittest

PROGRAM = None
LIMIT_S = 60  # generous: it only bounds how long a failing test takes


def output():
    return subprocess.run([PROGRAM], capture_output=True, text=True, check=True, timeout=LIMIT_S).stdout.splitlines()


class Interleaving(unittest.TestCase):
    def test_the_two_take_turns_and_the_spawner_goes_first(self):
        self.assertEqual(output(), [
            "neither has begun: a task starts when the one that spawned it waits",
            "first: step 0", "second: step 0",
            "first: step 1", "second: step 1",
            "first: step 2", "second: step 2",
            "both are over",
        ])


if __name__ == "__main__":
    PROGRAM = sys.argv.pop(1)
    unittest.main()
