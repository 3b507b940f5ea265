#!/usr/bin/env python3
"""What the example prints: ten_thousand_calls_test.py PROGRAM"""

import re
import subprocess
import sys
import unittest

PROGRAM = None
LIMIT_S = 60  # generous: it only bounds how long a failing test takes


class TenThousandCalls(unittest.TestCase):
    def test_either_way_every_call_has_created_its_job(self):
        output = subprocess.run([PROGRAM], capture_output=True, text=True, check=True, timeout=LIMIT_S).stdout
        self.assertEqual(re.sub(r"\d+\.\d\d s$", "T s", output, flags=re.M),
                         "one by one: 10000 jobs in T s\na hundred at a time: 10000 jobs in T s\n")


if __name__ == "__main__":
    PROGRAM = sys.argv.pop(1)
    unittest.main()
