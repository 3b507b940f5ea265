#!/usr/bin/env python3
"""What the example prints: orphan_and_zombie_test.py PROGRAM"""

import subprocess
import sys
import unittest

PROGRAM = None
LIMIT_S = 60  # generous: it only bounds how long a failing test takes

EXPECTED = """\
fork: the child has ended, and is a zombie
fork: its parent has asked how, and it is gone
process: the child has ended, and is gone, with exit code 0
fork: the parent was killed, and its child is alive: an orphan
process: the parent was killed (exit code -9), and its child died with it
"""


class OrphanAndZombie(unittest.TestCase):
    def test_fork_leaves_both_behind_and_process_neither(self):
        output = subprocess.run([PROGRAM], capture_output=True, text=True, check=True, timeout=LIMIT_S).stdout
        self.assertEqual(output, EXPECTED)


if __name__ == "__main__":
    PROGRAM = sys.argv.pop(1)
    unittest.main()
