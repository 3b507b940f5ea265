#!/usr/bin/env python3
"""Installs confab into an empty directory and builds a program against it as a user would, through pkg-config.

Usage: install_test.py BUILD_DIRECTORY PREFIX LIBDIR -- COMPILER [FLAG ...]
"""

import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

PROGRAM = """
#include <confab/coro/run.hpp>
#include <confab/coro/sleep.hpp>
#include <confab/pools/annotated_mutex.hpp>
#include <confab/reactor/reactor.hpp>
#include <iostream>

confab::task<int> answer() {
    co_await confab::sleep(std::chrono::milliseconds(1));
    co_return 42;
}

int main() {
    confab::Reactor reactor(confab::ReactorOptions{});
    std::cout << confab::run(reactor, answer()) << '\\n';
}
"""


def run(*command, **options):
    """Standard output of a command that must succeed; on failure the test shows all it said."""
    done = subprocess.run(command, capture_output=True, text=True, check=False, **options)
    assert done.returncode == 0, f"{' '.join(map(str, command))}\n{done.stdout}{done.stderr}"
    return done.stdout


class InstalledTree(unittest.TestCase):
    build_directory = prefix = libdir = compiler = None

    @classmethod
    def setUpClass(cls):
        directory = tempfile.TemporaryDirectory()
        cls.addClassCleanup(directory.cleanup)
        cls.work = pathlib.Path(directory.name)
        cls.root = cls.work / "root" / cls.prefix.lstrip("/")
        run("meson", "install", "-C", cls.build_directory, "--no-rebuild", "--destdir", cls.work / "root")

    def pkg_config(self, *arguments):
        path = self.root / self.libdir / "pkgconfig"
        output = run("pkg-config", f"--define-variable=prefix={self.root}", *arguments, "confab",
                     env=os.environ | {"PKG_CONFIG_PATH": str(path)})
        return output.split()

    def compile(self, text, *arguments):
        source = self.work / f"{self.id()}.cpp"
        source.write_text(text, encoding="utf-8")
        run(*self.compiler, "-std=c++23", "-Wall", "-Wextra", "-Werror", source, *arguments, cwd=self.work)

    def test_a_program_builds_and_runs_against_the_library(self):
        program = self.work / "program"
        self.compile(PROGRAM, "-o", program, *self.pkg_config("--cflags", "--libs"))
        output = run(program, env=os.environ | {"LD_LIBRARY_PATH": str(self.root / self.libdir)})
        self.assertEqual(output, "42\n")

    def test_every_installed_header_compiles(self):
        include = self.root / "include"
        headers = sorted(header.relative_to(include) for header in include.rglob("*.hpp"))
        self.assertIn(pathlib.Path("confab/pools/annotated_mutex.hpp"), headers)
        text = "".join(f"#include <{header}>\n" for header in headers)
        self.compile(text, "-fsyntax-only", *self.pkg_config("--cflags"))

    def test_the_installed_program_runs(self):
        version = run(self.root / "bin" / "confab", "--version",
                      env=os.environ | {"LD_LIBRARY_PATH": str(self.root / self.libdir)})
        self.assertEqual(version.split(), self.pkg_config("--modversion"))


if __name__ == "__main__":
    split = sys.argv.index("--")
    InstalledTree.build_directory, InstalledTree.prefix, InstalledTree.libdir = sys.argv[1:split]
    InstalledTree.compiler = sys.argv[split + 1:]
    unittest.main(argv=sys.argv[:1])
