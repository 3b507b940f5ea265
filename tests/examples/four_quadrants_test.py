#!/usr/bin/env python3
"""What the example prints: four_quadrants_test.py PROGRAM"""

import subprocess
import sys
import unittest

PROGRAM = None
LIMIT_S = 60  # generous: it only bounds how long a failing test takes


def output():
    return subprocess.run([PROGRAM], capture_output=True, text=True, check=True, timeout=LIMIT_S).stdout.splitlines()


class FourQuadrants(unittest.TestCase):
    def test_who_asks_and_who_can_do_something_else(self):
        found = [(line.split("  ")[0].strip(), line.split("asked: ")[1].split("  ")[0], line.split("talked: ")[1])
                 for line in output()]
        self.assertEqual(found, [
            ("synchronous, blocking", "once", "no"),
            ("asynchronous, blocking", "once", "no"),
            ("synchronous, non-blocking", "many times", "yes"),
            ("asynchronous, non-blocking", "once", "yes"),
        ])


if __name__ == "__main__":
    PROGRAM = sys.argv.pop(1)
    unittest.main()
