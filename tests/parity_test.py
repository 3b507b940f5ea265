#!/usr/bin/env python3
"""Every item of the parity list (docs/toolbox.md) has a test that is named by its number: parity_test.py SOURCE_ROOT"""

import pathlib
import re
import sys
import unittest

ITEMS = range(1, 121)
# As a C++ test's name begins, or a Python test's case: "parity 88 and 89: callbacks are called ...".
NAME = re.compile(r'"parity (\d+)(?: and (\d+))?: \w')


class Parity(unittest.TestCase):
    source_root = None

    def test_every_item_has_a_test(self):
        tested = set()
        for path in (self.source_root / "tests").rglob("*_test.*"):
            for numbers in NAME.findall(path.read_text(encoding="utf-8")):
                tested.update(int(number) for number in numbers if number)
        self.assertEqual(sorted(set(ITEMS) - tested), [])
        self.assertEqual(sorted(tested - set(ITEMS)), [])


if __name__ == "__main__":
    Parity.source_root = pathlib.Path(sys.argv.pop(1))
    unittest.main()
