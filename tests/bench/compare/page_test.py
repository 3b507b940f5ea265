#!/usr/bin/env python3
"""The report of `confab compare` in a browser without a window: it draws everything and complains of nothing.

Usage: page_test.py CONFAB
"""

import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

CONFAB = None
LIMIT_S = 120
SKIPPED = 77  # Meson's exit status for a test that cannot be made here

# Added to the page: how many of its charts have ink on them.
LOOK = """<script>
document.documentElement.dataset.inked = [...document.querySelectorAll("canvas")].filter((canvas) =>
    canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data.some((byte) => byte > 0)).length;
</script></body>"""


def browser(*arguments):
    with tempfile.TemporaryDirectory() as profile:
        return subprocess.run(
            [shutil.which("chromium"), "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={profile}", *arguments],
            capture_output=True, text=True, timeout=LIMIT_S, check=False)


class Page(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.directory = tempfile.TemporaryDirectory()
        cls.addClassCleanup(cls.directory.cleanup)

    def report(self, name, strategies, workloads, blocks):
        path = pathlib.Path(self.directory.name) / name
        done = subprocess.run([CONFAB, "compare", "--quick", "--strategies", strategies, "--workloads", workloads, "--blocks", blocks,
                               "--seconds", "0.03", "--seed", "1", "--out", str(path)],
                              capture_output=True, text=True, timeout=LIMIT_S, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        return path

    def check(self, path):
        page = path.read_text(encoding="utf-8")
        self.assertNotRegex(page.split("<script>", 1)[0], r"""(src|href)=["']https?:""")
        path.write_text(page.replace("</body>", LOOK), encoding="utf-8")
        for scheme in ("0", "1"):  # dark, light
            with self.subTest(scheme=scheme):
                done = browser(f"--blink-settings=preferredColorScheme={scheme}", "--virtual-time-budget=10000", "--dump-dom",
                               f"file://{path}")
                self.assertEqual(done.returncode, 0, done.stderr)
                root = re.search(r"<html[^>]*>", done.stdout).group()
                self.assertNotIn("data-error", root)
                charts = done.stdout.count("<canvas")
                self.assertGreater(charts, 0)
                self.assertIn(f'data-drawn="{charts}"', root)
                self.assertIn(f'data-inked="{charts}"', root)
        return done.stdout

    def test_few_strategies_under_every_load(self):
        page = self.check(self.report("few.html", "epoll,sequential", "all", "1"))
        for number in range(1, 13):
            self.assertIn(f'<section id="W{number}">', page)
        self.assertIn("starved", page)
        self.assertIn("confab compare --quick", page)

    def test_all_strategies(self):
        page = self.check(self.report("many.html", "all", "W1,W5", "2"))
        self.assertIn("epoll again", page)
        self.assertIn("pick", page)

    def test_it_can_be_printed(self):
        path = self.report("print.html", "epoll,poll", "W1", "1")
        paper = path.with_suffix(".pdf")
        done = browser(f"--print-to-pdf={paper}", f"file://{path}")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertTrue(paper.read_bytes().startswith(b"%PDF"))


if __name__ == "__main__":
    CONFAB = sys.argv.pop(1)
    if shutil.which("chromium") is None:
        print("there is no chromium to look at the page with", file=sys.stderr)
        sys.exit(SKIPPED)
    unittest.main()
