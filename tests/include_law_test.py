#!/usr/bin/env python3
"""The include law, on good and bad trees."""

import pathlib
import tempfile
import unittest

import include_law

PUBLIC = "// Public: a header.\n"


class IncludeLaw(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.root = pathlib.Path(directory.name)
        for folder in include_law.LAW:
            self.write(f"{folder}/own.hpp", PUBLIC)

    def write(self, file, text):
        path = self.root / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def breaches_of(self, file, text):
        self.write(file, text)
        return list(include_law.breaches(self.root))

    def assert_breach(self, file, text, reason):
        found = self.breaches_of(file, text)
        self.assertEqual(len(found), 1, found)
        self.assertRegex(found[0], rf"^{file}:\d+: .*{reason}")

    def assert_lawful(self, file, text):
        self.assertEqual(self.breaches_of(file, text), [])

    def test_every_folder_may_include_what_it_stands_on_and_nothing_else(self):
        for folder, below in include_law.LAW.items():
            for other in include_law.LAW:
                with self.subTest(folder=folder, other=other):
                    file, text = f"{folder}/a.cpp", f'#include "{other}/own.hpp"\n'
                    if other == folder or other in below:
                        self.assert_lawful(file, text)
                    else:
                        self.assert_breach(file, text, f"{folder}/ may not include {other}/")
                    (self.root / file).unlink()

    def test_nobody_includes_tests(self):
        for folder in include_law.LAW:
            if folder != "tests":
                self.assertNotIn("tests", include_law.LAW[folder])

    def test_the_line_is_named(self):
        found = self.breaches_of("pools/a.cpp", '#include <mutex>\n\n  #  include "coro/own.hpp"\n')
        self.assertEqual(found, ['pools/a.cpp:3: "coro/own.hpp": pools/ may not include coro/'])

    def test_headers_are_named_from_the_root(self):
        self.assert_breach("pools/a.cpp", '#include "pools.hpp"\n', "from the root")

    def test_a_path_out_of_the_tree_is_a_breach(self):
        self.assert_breach("pools/a.cpp", '#include "../coro/coro.hpp"\n', "from the root")

    def test_own_headers_exist(self):
        self.assert_breach("pools/a.cpp", '#include "pools/absent.hpp"\n', "no such file")

    def test_own_headers_are_named_in_quotes(self):
        self.assert_breach("coro/a.cpp", "#include <pools/own.hpp>\n", "in quotes")

    def test_an_internal_header_stays_in_its_folder(self):
        self.write("reactor/wheel.hpp", "// Internal to reactor: the timers.\n")
        self.assert_breach("coro/a.cpp", '#include "reactor/wheel.hpp"\n', "internal to reactor/")

    def test_an_internal_header_is_open_to_its_folder_and_to_tests(self):
        self.write("reactor/wheel.hpp", "// Internal to reactor: the timers.\n")
        self.assert_lawful("reactor/a.cpp", '#include "reactor/wheel.hpp"\n')
        self.assert_lawful("tests/reactor/a.cpp", '#include "reactor/wheel.hpp"\n')

    def test_a_folder_in_a_folder_has_a_law_of_its_own(self):
        self.assert_breach("server/wire/a.cpp", '#include "server/own.hpp"\n', "server/wire/ may not include server/")
        (self.root / "server/wire/a.cpp").unlink()
        self.assert_lawful("clients/a.cpp", '#include "server/wire/own.hpp"\n')
        self.assert_breach("clients/a.cpp", '#include "server/own.hpp"\n', "clients/ may not include server/")

    def test_a_header_says_who_may_include_it(self):
        self.assert_breach("pools/a.hpp", "#pragma once\n", "starts with")

    def test_liburing_stays_in_its_mechanism(self):
        self.assert_breach("reactor/epoll.cpp", "#include <liburing.h>\n", "only in reactor/uring")
        self.assert_lawful("reactor/epoll.cpp", "")
        self.assert_lawful("reactor/uring.cpp", "#include <liburing.h>\n")

    def test_libraries_do_not_log(self):
        self.assert_breach("coro/a.cpp", "#include <spdlog/spdlog.h>\n", "only in server")

    def test_an_unknown_header_needs_a_place(self):
        self.assert_breach("server/a.cpp", "#include <boost/asio.hpp>\n", "needs a place")

    def test_headers_of_cpp_and_of_the_system_are_open_to_all(self):
        self.assert_lawful("pools/a.cpp", "#include <sys/socket.h>\n#include <unistd.h>\n#include <vector>\n")


if __name__ == "__main__":
    unittest.main()
