#!/usr/bin/env python3
"""What the example prints: writer_and_reader_test.py PROGRAM"""

import subprocess
import sys
import unittest

PROGRAM = None
LIMIT_S = 60  # generous: it only bounds how long a failing test takes

EXPECTED = """\
from the queue: A
from the queue: B
from the queue: C
the queue is closed
from the pipe: A
from the pipe: B
from the pipe: C
the pipe has ended
from the child: an answer to: a question
"""


class WriterAndReader(unittest.TestCase):
    def test_all_is_read_in_order_and_both_ends_come(self):
        output = subprocess.run([PROGRAM], capture_output=True, text=True, check=True, timeout=LIMIT_S).stdout
        self.assertEqual(output, EXPECTED)


if __name__ == "__main__":
    PROGRAM = sys.argv.pop(1)
    unittest.main()
