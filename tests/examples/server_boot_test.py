#!/usr/bin/env python3
"""What the example prints: server_boot_test.py PROGRAM"""

import subprocess
import sys
import unittest

PROGRAM = None
LIMIT_S = 90  # generous: it only bounds how long a failing test takes


class ServerBoot(unittest.TestCase):
    def test_one_server_is_up_for_the_third_try_and_one_is_not(self):
        output = subprocess.run([PROGRAM], capture_output=True, text=True, check=True, timeout=LIMIT_S).stdout
        lines = output.splitlines()
        # When the server says that it boots is its own affair.
        self.assertEqual(lines.count("the server boots"), 2)
        self.assertEqual([line for line in lines if line != "the server boots"], [
            "try 1: not yet", "try 2: not yet", "try 3: connected",
            "try 1: not yet", "try 2: not yet", "try 3: not yet", "the client gives up", "the server is up",
        ])


if __name__ == "__main__":
    PROGRAM = sys.argv.pop(1)
    unittest.main()
