#!/usr/bin/env python3
"""What the example prints: ticket_sale_test.py PROGRAM"""

import os
import subprocess
import sys
import tempfile
import unittest

PROGRAM = None
LIMIT_S = 60  # generous: it only bounds how long a failing test takes


class TicketSale(unittest.TestCase):
    def test_five_tickets_are_sold_ten_times_without_a_lock_and_five_times_with_one(self):
        with tempfile.TemporaryDirectory() as directory:
            output = subprocess.run([PROGRAM], capture_output=True, text=True, check=True, timeout=LIMIT_S,
                                    cwd=directory).stdout
            self.assertEqual(os.listdir(directory), [])
        without, locked = output.removeprefix("without a lock:\n").split("with a lock:\n")
        self.assertEqual((without.count(": got one\n"), without.count(": sold out\n")), (10, 0), output)
        self.assertEqual((locked.count(": got one\n"), locked.count(": sold out\n")), (5, 5), output)
        self.assertEqual(without.splitlines()[-1], "4 left")
        self.assertEqual(locked.splitlines()[-1], "0 left")


if __name__ == "__main__":
    PROGRAM = os.path.abspath(sys.argv.pop(1))  # it runs elsewhere
    unittest.main()
