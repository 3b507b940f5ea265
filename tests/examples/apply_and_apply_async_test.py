#!/usr/bin/env python3
"""What the example prints: apply_and_apply_async_test.py PROGRAM"""

import re
import subprocess
import sys
import unittest

PROGRAM = None
LIMIT_S = 60  # generous: it only bounds how long a failing test takes


class ApplyAndApplyAsync(unittest.TestCase):
    def test_both_give_all_results_in_order_and_one_by_one_takes_the_sum_of_the_times(self):
        output = subprocess.run([PROGRAM], capture_output=True, text=True, check=True, timeout=LIMIT_S).stdout
        squares = " ".join(str(n * n) for n in range(10))
        lines = re.findall(r"^(\w+): (\d+\.\d\d) s: (.*)$", output, re.M)
        self.assertEqual([(how, results) for how, _, results in lines], [("apply", squares), ("apply_async", squares)])
        # How long four at once take is up to the machine; ten waits in a row cannot take less than their sum.
        self.assertGreaterEqual(float(lines[0][1]), 1.0)
        self.assertGreaterEqual(float(lines[1][1]), 0.3)


if __name__ == "__main__":
    PROGRAM = sys.argv.pop(1)
    unittest.main()
