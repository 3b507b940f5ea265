#!/usr/bin/env python3
"""What the example prints: plate_and_chopsticks_test.py PROGRAM"""

import re
import subprocess
import sys
import unittest

PROGRAM = None
LIMIT_S = 60  # generous: it only bounds how long a failing test takes


class PlateAndChopsticks(unittest.TestCase):
    def test_the_deadlock_is_shown_named_and_left(self):
        output = subprocess.run([PROGRAM], capture_output=True, text=True, check=True, timeout=LIMIT_S).stdout
        lines = output.splitlines()
        self.assertEqual(set(lines[:2]), {"Ann has the plate", "Bob has the chopsticks"})
        self.assertLessEqual({"Ann stays hungry", "Bob stays hungry"}, set(lines))

        report = lines.index("deadlock: each thread waits for the next")
        line = r'  thread \d+ holds "the {}" \(\S+plate_and_chopsticks.cpp:\d+\) and waits for "the {}" \(\S+:\d+\)'
        steps = [re.compile(line.format(*pair)) for pair in (("plate", "chopsticks"), ("chopsticks", "plate"))]
        for step in steps:
            self.assertTrue(any(step.fullmatch(said) for said in lines[report + 1:report + 3]), output)

        back = next(said for said in lines if " puts " in said)
        polite, other = ("Ann", "Bob") if back.startswith("Ann") else ("Bob", "Ann")
        self.assertIn(f"{other} eats first", lines)
        self.assertEqual(lines[-1], f"{polite} eats next")
        self.assertLess(lines.index(back), lines.index(f"{other} eats first"))


if __name__ == "__main__":
    PROGRAM = sys.argv.pop(1)
    unittest.main()
