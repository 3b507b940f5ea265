#!/usr/bin/env python3
"""What the example prints: producers_and_consumers_test.py PROGRAM"""

import re
import subprocess
import sys
import unittest

PROGRAM = None
LIMIT_S = 60  # generous: it only bounds how long a failing test takes
DISHES = sorted(f"{dish}{number}" for dish in ("bun", "bone", "soup") for number in range(4))


class ProducersAndConsumers(unittest.TestCase):
    def test_in_all_four_endings_each_dish_is_eaten_once_and_the_program_ends(self):
        output = subprocess.run([PROGRAM], capture_output=True, text=True, check=True, timeout=LIMIT_S).stdout
        parts = re.split(r"^(end signals|join|daemons|close)$\n", output, flags=re.M)
        self.assertEqual(parts[0], "")
        self.assertEqual(parts[1::2], ["end signals", "join", "daemons", "close"])
        for ending, text in zip(parts[1::2], parts[2::2]):
            with self.subTest(ending):
                meals = re.findall(r"^(?:alex|egon) eats (\w+)$", text, re.M)
                self.assertEqual(sorted(meals), DISHES)
                self.assertEqual(len(text.splitlines()), len(meals))

    def test_when_nobody_reads_on_the_guests_eat_on_and_the_program_ends(self):
        with subprocess.Popen([PROGRAM], stdout=subprocess.PIPE) as process:
            self.assertEqual(process.stdout.readline(), b"end signals\n")
            process.stdout.close()
            try:
                self.assertEqual(process.wait(LIMIT_S), 0)
            finally:
                process.kill()  # no effect when it has ended


if __name__ == "__main__":
    PROGRAM = sys.argv.pop(1)
    unittest.main()
