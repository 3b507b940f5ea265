#!/usr/bin/env python3
"""What the example prints: shared_counter_test.py PROGRAM"""

import subprocess
import sys
import unittest

PROGRAM = None
LIMIT_S = 60  # generous: it only bounds how long a failing test takes


class SharedCounter(unittest.TestCase):
    def test_ten_take_one_each_and_without_a_lock_nine_of_that_are_lost(self):
        output = subprocess.run([PROGRAM], capture_output=True, text=True, check=True, timeout=LIMIT_S).stdout
        self.assertEqual(output, "without a lock: 99\nwith a lock: 90\nan atomic number: 90\nin a shared map: 90\n")


if __name__ == "__main__":
    PROGRAM = sys.argv.pop(1)
    unittest.main()
