#!/usr/bin/env python3
"""What the example prints: scheduler_comparison_test.py PROGRAM"""

import re
import subprocess
import sys
import unittest

PROGRAM = None
LIMIT_S = 60  # generous: it only bounds how long a failing test takes


class SchedulerComparison(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        output = subprocess.run([PROGRAM], capture_output=True, text=True, check=True, timeout=LIMIT_S).stdout
        blocks = re.findall(r"^([a-z][^\n]*)\n\n(\|[^\n]*)\n([^\n]*)\n\n(.*?)\n\n", output + "\n", re.M | re.S)
        cls.charts = {name: (bars, times) for name, bars, times, _ in blocks}
        cls.averages = {name: [float(word) for word in table.splitlines()[-1].split()[1:]] for name, _, _, table in blocks}

    def test_every_policy_works_for_forty_ticks(self):
        self.assertEqual(list(self.charts), ["first come, first served", "shortest job first",
                                             "shortest remaining time first", "round robin", "multilevel feedback queues"])
        for name, (bars, times) in self.charts.items():
            self.assertEqual(times.split()[-1], "40", name)
            self.assertTrue(bars.endswith("|"), name)

    def test_the_textbooks_are_right(self):
        waiting = {name: averages[0] for name, averages in self.averages.items()}
        response = {name: averages[2] for name, averages in self.averages.items()}
        self.assertEqual(min(waiting, key=waiting.get), "shortest remaining time first")
        self.assertEqual(max(waiting, key=waiting.get), "first come, first served")
        self.assertLess(response["round robin"], response["shortest job first"])
        self.assertLess(response["multilevel feedback queues"], response["round robin"])
        self.assertLess(waiting["multilevel feedback queues"], waiting["round robin"])


if __name__ == "__main__":
    PROGRAM = sys.argv.pop(1)
    unittest.main()
