#!/usr/bin/env python3
"""What ./dev installs, when, and how it starts things: run in a tree of its own, with stand-ins for apt and the build."""

import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

# Each stand-in notes its call. The machine's packages are files of state/: installed/NAME, available/NAME; what
# `apt-get update` makes known is in upstream/.
STAND_INS = {
    "dpkg-query": 'test -e "$state/installed/${!#}" && echo -n installed',
    "apt-cache": 'test -e "$state/available/$2" && echo "  Candidate: 1.0" || echo "  Candidate: (none)"',
    "apt-get": """note "apt-get $*"
case $1 in
    update) cp -r "$state/upstream/." "$state/available" ;;
    install) for name; do if [[ $name != -* && $name != install ]]; then
        test -e "$state/available/$name" || exit 100
        touch "$state/installed/$name"; fi; done ;;
esac""",
    "sudo": 'note "sudo"; exec "$@"',
    "meson": 'note "meson $1 CC=$CC"; mkdir -p "$2"; touch "$2/build.ninja"',
    "ninja": 'for last; do :; done; if [[ $* == *" -n"* ]]; then echo "one thing to do"; else note "ninja $last"; fi',
}


class Dev(unittest.TestCase):
    source_root = None

    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.tree = pathlib.Path(directory.name)
        self.state = self.tree / "state"
        shutil.copy(pathlib.Path(self.source_root) / "dev", self.tree / "dev")
        for folder in ("cli", "bin", "state/installed", "state/available", "state/upstream"):
            (self.tree / folder).mkdir(parents=True)
        (self.tree / "cli/main.cpp").write_text('program.add_subcommand("serve", "runs a server");\n', encoding="utf-8")
        for name, body in STAND_INS.items():
            self.write_program(f"bin/{name}", f'state={self.state}\nnote() {{ echo "$*" >>"$state/calls"; }}\n{body}')

    def write_program(self, file, body):
        path = self.tree / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"#!/bin/bash\n{body}\n", encoding="utf-8")
        path.chmod(0o755)

    def dev(self, *arguments):
        return subprocess.run(
            [self.tree / "dev", *arguments], capture_output=True, text=True, check=False,
            env=os.environ | {"PATH": f"{self.tree}/bin:{os.environ['PATH']}"})

    def calls(self, first_word):
        calls = self.state / "calls"
        lines = calls.read_text(encoding="utf-8").splitlines() if calls.exists() else []
        return [line for line in lines if line.split()[0] == first_word]

    def know_packages(self, place, *but):
        """Puts the packages of the build into installed/, available/ or upstream/, some left out."""
        for line in (self.tree / "dev").read_text(encoding="utf-8").replace("$llvm", "19").splitlines():
            name = line.split("  ")[0]
            if "  " in line and not line.startswith((" ", "#")) and "=" not in name:
                for alternative in name.split("|"):
                    if alternative not in but:
                        (self.state / place / alternative).touch()

    def test_with_everything_there_apt_is_not_called(self):
        self.know_packages("installed")
        self.assertEqual(self.dev("build").returncode, 0)
        self.assertEqual(self.calls("apt-get"), [])

    def test_only_what_is_missing_is_installed_and_named_with_its_reason(self):
        self.know_packages("installed", "liburing-dev")
        self.know_packages("available")
        done = self.dev("build")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertRegex(done.stderr, r"liburing-dev +io_uring")
        self.assertEqual(self.calls("apt-get"), ["apt-get install --yes --no-install-recommends liburing-dev"])

    def test_the_package_lists_are_fetched_once_when_they_know_too_little(self):
        self.know_packages("upstream")
        done = self.dev("build")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual([call.split()[1] for call in self.calls("apt-get")], ["update", "install"])

    def test_either_of_two_packages_will_do(self):
        self.know_packages("installed", "libllhttp-dev")
        self.assertEqual(self.dev("build").returncode, 0)
        self.assertEqual(self.calls("apt-get"), [])

    def test_of_two_packages_the_one_there_is_gets_installed(self):
        self.know_packages("installed", "libllhttp-dev", "node-llhttp")
        self.know_packages("available", "libllhttp-dev")
        self.assertEqual(self.dev("build").returncode, 0)
        self.assertRegex(self.calls("apt-get")[0], " node-llhttp$")

    def test_a_package_that_does_not_exist_is_named(self):
        self.know_packages("installed", "clang-19")
        done = self.dev("build")
        self.assertEqual(done.returncode, 1)
        self.assertIn("no package clang-19", done.stderr)
        self.assertEqual(self.calls("meson"), [])

    def test_what_only_some_tests_need_is_installed_where_there_is_such_a_package(self):
        self.know_packages("installed", "chromium")
        self.dev("test")
        self.assertEqual(self.calls("apt-get"), [])
        self.know_packages("available")
        self.dev("test")
        self.assertRegex(self.calls("apt-get")[0], " chromium$")

    def test_sudo_is_for_those_who_are_not_root(self):
        self.know_packages("installed", "meson")
        self.know_packages("available")
        self.assertEqual(self.dev("build").returncode, 0)
        self.assertEqual(len(self.calls("sudo")), 0 if os.geteuid() == 0 else 1)

    def test_the_build_is_configured_once_with_clang(self):
        self.know_packages("installed")
        self.dev("build")
        self.dev("build")
        self.assertEqual(self.calls("meson"), ["meson setup CC=clang-19"])

    def test_a_command_of_the_program_gets_its_arguments_and_a_clean_standard_output(self):
        self.know_packages("installed")
        self.write_program("build/cli/confab", 'printf "%s," "$@"; exit 7')
        done = self.dev("serve", "--app", "two words")
        self.assertEqual((done.stdout, done.returncode), ("serve,--app,two words,", 7))
        self.assertEqual(self.calls("ninja"), ["ninja cli/confab"])

    def test_an_unknown_command_installs_and_builds_nothing(self):
        done = self.dev("swerve")
        self.assertEqual(done.returncode, 2)
        self.assertIn("swerve", done.stderr)
        self.assertFalse((self.state / "calls").exists())

    def test_help_names_the_commands_of_the_program(self):
        done = self.dev("help")
        self.assertEqual(done.returncode, 0)
        self.assertRegex(done.stdout, r"\./dev serve ")


if __name__ == "__main__":
    Dev.source_root = sys.argv[1]
    unittest.main(argv=sys.argv[:1])
