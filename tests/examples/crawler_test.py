#!/usr/bin/env python3
"""What the example prints: crawler_test.py PROGRAM"""

import subprocess
import sys
import unittest

PROGRAM = None
LIMIT_S = 60  # generous: it only bounds how long a failing test takes


class Crawler(unittest.TestCase):
    def test_every_page_is_parsed_once_and_the_one_that_is_not_there_is_complained_of(self):
        output = subprocess.run([PROGRAM], capture_output=True, text=True, check=True, timeout=LIMIT_S).stdout
        self.assertEqual(sorted(output.splitlines()), [
            "/: 51 bytes, 2 links",
            "/docs: 19 bytes, 0 links",
            "/help: 63 bytes, 3 links",
            "/news: 35 bytes, 1 links",
            "failed: /nowhere: HTTP/1.0 404 Not Found",
        ])


if __name__ == "__main__":
    PROGRAM = sys.argv.pop(1)
    unittest.main()
