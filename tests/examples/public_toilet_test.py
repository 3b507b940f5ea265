#!/usr/bin/env python3
"""What the example prints: public_toilet_test.py PROGRAM"""

import re
import subprocess
import sys
import unittest

PROGRAM = None
LIMIT_S = 60  # generous: it only bounds how long a failing test takes


class PublicToilet(unittest.TestCase):
    def test_ten_go_in_five_at_once_and_all_come_out(self):
        output = subprocess.run([PROGRAM], capture_output=True, text=True, check=True, timeout=LIMIT_S).stdout
        moves = re.findall(r"^person (\d+) (goes in|comes out), (\d+) inside$", output, re.M)
        self.assertEqual(len(moves), len(output.splitlines()))
        for move in ("goes in", "comes out"):
            self.assertEqual(sorted(int(who) for who, how, _ in moves if how == move), list(range(1, 11)))
        inside = [int(number) for _, _, number in moves]
        self.assertEqual(max(inside), 5)
        self.assertEqual(inside[-1], 0)


if __name__ == "__main__":
    PROGRAM = sys.argv.pop(1)
    unittest.main()
