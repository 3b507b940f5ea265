#!/usr/bin/env python3
"""Where the value of an option of `confab serve` comes from: the command line, the environment, a file, or nowhere.

Usage: configuration_test.py CONFAB
"""

import os
import pathlib
import re
import socket
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "support"))
from programs import LIMIT_S, Server  # noqa: E402

CONFAB = None
SOURCES = ("flag", "environment", "file")  # the strongest first


def environment_name(option):
    return "CONFAB_" + option.removeprefix("--").upper().replace("-", "_")


def first_line_longer_than(server, lengths):
    """The length of the first of these lines that the chat finds too long."""
    host, port = server.address.rsplit(":", 1)
    with socket.create_connection((host, int(port)), LIMIT_S) as peer, peer.makefile("r", encoding="utf-8") as lines:
        for length in lengths:
            peer.sendall(b"/ping " + b"x" * (length - len("/ping ")) + b"\n")
        return next(length for length, line in zip(lengths, (line for line in lines if "welcome" not in line))
                    if "too long" in line)


class Configuration(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.file = pathlib.Path(directory.name) / "confab.toml"

    def write(self, *lines):
        self.file.write_text("\n".join(lines) + "\n", encoding="utf-8")

    def command(self, *flags):
        return [CONFAB, "serve", *(["--config", str(self.file)] if self.file.exists() else []), *flags]

    def environment(self, **values):
        """Ours, with these values of confab's and no others."""
        return {name: value for name, value in os.environ.items() if not name.startswith("CONFAB_")} | values

    def server(self, *flags, **environment):
        return Server(*self.command(*flags), environment=self.environment(**environment))

    def assert_refused(self, *named, flags=(), **environment):
        """The start ends with exit code 2 and one line on stderr that has all of `named` in it."""
        done = subprocess.run(self.command("--listen", "127.0.0.1:0", *flags), env=self.environment(**environment),
                              capture_output=True, text=True, timeout=LIMIT_S, check=False)
        self.assertEqual(done.returncode, 2, done.stderr)
        self.assertEqual(done.stdout, "")
        self.assertEqual(done.stderr.count("\n"), 1, done.stderr)
        for text in named:
            self.assertIn(text, done.stderr)

    def check_precedence(self, option, values, seen, others=()):
        """Of each choice of sources the strongest counts: `seen` says which of `values` a server has."""
        for given in range(1 << len(SOURCES)):
            chosen = [source for bit, source in enumerate(SOURCES) if given >> bit & 1]
            with self.subTest(option=option, given=chosen):
                self.file.unlink(missing_ok=True)
                if "file" in chosen:
                    self.write("[serve]", f"{option.removeprefix('--')} = {values['file']!r}")
                environment = {environment_name(option): values["environment"]} if "environment" in chosen else {}
                flags = [option, values["flag"]] if "flag" in chosen else []
                with self.server(*flags, *others, **environment) as server:
                    self.assertEqual(seen(server), values[(chosen or ["default"])[0]])

    # --- Precedence ---

    def test_the_application_is_the_flags_the_environments_the_files_or_chat(self):
        values = {"flag": "upper", "environment": "echo", "file": "upper", "default": "chat"}
        for one, other in (("upper", "echo"), ("echo", "upper")):
            values |= {"flag": one, "environment": other, "file": one}
            self.check_precedence("--app", values, lambda server: re.search(r"app (\w+)", server.line)[1],
                                  ("--strategy", "epoll", "--listen", "127.0.0.1:0"))

    def test_the_strategy_is_the_flags_the_environments_the_files_or_percore(self):
        values = {"flag": "poll", "environment": "select", "file": "epoll", "default": "percore"}
        self.check_precedence("--strategy", values, lambda server: re.search(r"strategy (\w+)", server.line)[1],
                              ("--listen", "127.0.0.1:0"))

    def test_a_number_is_the_flags_the_environments_the_files_or_the_default(self):
        values = {"flag": "100", "environment": "200", "file": "300", "default": "4096"}
        lengths = [int(values[source]) + 1 for source in (*SOURCES, "default")]
        self.check_precedence("--max-line", values, lambda server: str(first_line_longer_than(server, lengths) - 1),
                              ("--strategy", "epoll", "--listen", "127.0.0.1:0"))

    def test_a_switch_is_the_environments_or_the_files_too(self):
        for expected, lines, environment in ((True, ["ledger = true"], {}),
                                             (True, ["ledger = false"], {"CONFAB_LEDGER": "true"}),
                                             (False, ["ledger = true"], {"CONFAB_LEDGER": "false"}),
                                             (False, [], {})):
            with self.subTest(lines=lines, environment=environment):
                self.write("[serve]", *lines)
                with self.server("--listen", "127.0.0.1:0", **environment) as server:
                    self.assertEqual(server.stop(), 0)
                    self.assertEqual("system_calls" in server.errors.read().decode(), expected)

    # --- What is repeatable ---

    def assert_listens(self, hosts, *flags, **environment):
        with self.server(*flags, "--strategy", "epoll", **environment) as server:
            said = server.line
            while said.count("\n") < len(hosts):
                said += server.errors.until(r"listening on .*\n")
            self.assertEqual(re.findall(r"listening on (\S+):\d+ ", said), hosts)
            self.assertEqual(server.stop(), 0)
            self.assertNotIn("listening", server.errors.read().decode())

    def test_listen_is_repeatable_on_the_command_line(self):
        self.assert_listens(["127.0.0.1", "127.0.0.2"], "--listen", "127.0.0.1:0", "--listen", "127.0.0.2:0")

    def test_listen_is_a_list_in_a_file_and_separated_by_commas_in_the_environment(self):
        self.write("[serve]", 'listen = ["127.0.0.3:0", "127.0.0.4:0"]')
        self.assert_listens(["127.0.0.3", "127.0.0.4"])
        self.assert_listens(["127.0.0.5", "127.0.0.6"], CONFAB_LISTEN="127.0.0.5:0,127.0.0.6:0")

    def test_a_stronger_list_replaces_a_weaker_one_and_does_not_add_to_it(self):
        self.write("[serve]", 'listen = ["127.0.0.3:0", "127.0.0.4:0"]')
        self.assert_listens(["127.0.0.7"], "--listen", "127.0.0.7:0", CONFAB_LISTEN="127.0.0.5:0,127.0.0.6:0")
        self.assert_listens(["127.0.0.5"], CONFAB_LISTEN="127.0.0.5:0")

    # --- The file ---

    def test_the_environment_names_the_file_and_the_command_line_another(self):
        elsewhere = self.file.with_name("elsewhere.toml")
        elsewhere.write_text('[serve]\napp = "upper"\n', encoding="utf-8")
        with self.server("--listen", "127.0.0.1:0", CONFAB_CONFIG=str(elsewhere)) as server:
            self.assertIn("app upper", server.line)
        self.write("[serve]", 'app = "echo"')
        with self.server("--listen", "127.0.0.1:0", CONFAB_CONFIG=str(elsewhere)) as server:
            self.assertIn("app echo", server.line)

    def test_an_empty_variable_is_none(self):
        self.write("[serve]", 'app = "echo"')
        with self.server("--listen", "127.0.0.1:0", CONFAB_APP="", CONFAB_CONFIG="") as server:
            self.assertIn("app echo", server.line)

    def test_sections_of_other_commands_and_comments_are_left_alone(self):
        self.write("# Ours", "[chat]", 'nick = "bert"', "", "[serve]", 'app = "echo"  # not chat')
        with self.server("--listen", "127.0.0.1:0") as server:
            self.assertIn("app echo", server.line)

    def test_a_name_in_a_file_that_nobody_knows_is_named(self):
        for lines, named in ((["[serve]", "max-lines = 100"], "serve.max-lines"),
                             (["[serving]", 'app = "echo"'], "[serving]"),
                             (['app = "echo"'], "app"),
                             (["[serve", 'app = "echo"'], "[serve"),
                             (["[serve]", 'config = "other.toml"'], "config")):
            with self.subTest(lines=lines):
                self.write(*lines)
                self.assert_refused(named)

    def test_a_file_that_is_not_there_is_named_whoever_names_it(self):
        missing = str(self.file.with_name("missing.toml"))
        self.assert_refused(missing, flags=("--config", missing))
        self.assert_refused(missing, CONFAB_CONFIG=missing)

    # --- Bad values ---

    def test_a_bad_value_is_named_with_what_is_allowed_wherever_it_comes_from(self):
        for option, value, *named in (("--app", "whisper", "chat,echo,upper"),
                                      ("--strategy", "magic", "percore"),
                                      ("--threads", "several", "`each` or a number from 1 to"),
                                      ("--waiting", "patiently", "epoll"),
                                      ("--uring-features", "speed", "multishot"),
                                      ("--max-connections", "0", "range", "100000000"),
                                      ("--max-connections", "many", "whole number"),
                                      ("--max-line", "many", "whole number from 0 up"),
                                      ("--max-line", "-1", "whole number from 0 up"),
                                      ("--max-line", "9" * 30, "too large"),
                                      ("--max-line", "1", "not from 64 to"),
                                      ("--rate", "0.5", "whole number from 0 up"),
                                      ("--drain-timeout", "soon", "whole number from 0 up"),
                                      ("--idle-timeout", "-1", "seconds from 0 to"),
                                      ("--send-timeout", "nan", "seconds from 0 to"),
                                      ("--first-byte-timeout", "inf", "seconds from 0 to"),
                                      ("--ledger", "perhaps", "true or false")):
            with self.subTest(option=option, value=value):
                self.file.unlink(missing_ok=True)
                self.assert_refused(option, *named, flags=(f"{option}={value}",))
                self.assert_refused(option, *named, **{environment_name(option): value})
                self.write("[serve]", f'{option.removeprefix("--")} = "{value}"')
                self.assert_refused(option, *named)

    def test_a_bad_address_is_named_with_the_forms_there_are(self):
        for flags, environment in ((("--listen", "nowhere"), {}), ((), {"CONFAB_LISTEN": "nowhere"})):
            done = subprocess.run(self.command(*flags), env=self.environment(**environment), capture_output=True,
                                  text=True, timeout=LIMIT_S, check=False)
            self.assertEqual(done.returncode, 2)
            self.assertRegex(done.stderr, r"^confab: --listen: nowhere: .*host:port, \[v6\]:port or unix:PATH\n$")

    def test_a_value_with_commas_in_a_file_is_one_value(self):
        self.write("[serve]", 'uring-features = "all,-incremental"', 'app = "echo"')
        with self.server("--listen", "127.0.0.1:0") as server:
            self.assertIn("app echo", server.line)

    def test_an_option_that_takes_one_value_takes_no_second(self):
        self.assert_refused("--max-line", flags=("--max-line", "100", "--max-line", "200"))


if __name__ == "__main__":
    CONFAB = sys.argv.pop(1)
    unittest.main(argv=sys.argv[:1])
