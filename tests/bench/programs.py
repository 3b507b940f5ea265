"""What the tests of the bench share: TEST SOURCE_ROOT BUILD_ROOT names the trees; servers are started from there."""

import pathlib
import sys
import unittest

SOURCE_ROOT, BUILD_ROOT = (pathlib.Path(path) for path in sys.argv[1:3])
sys.path.insert(0, str(SOURCE_ROOT / "bench"))

import harness  # noqa: E402  (found by the path above)

LIMIT_S = 60


class ServerTest(unittest.TestCase):
    def serve(self, program):
        """One of the bench's servers, ended with the test."""
        return self.start(program, str(BUILD_ROOT / "bench" / program))

    def start(self, name, *command):
        try:
            server = harness.Server(harness.Contender(name, command, name), min(harness.two_cores()))
        except harness.Refused as reason:
            if f"exit {harness.UNSUPPORTED}" in str(reason):
                self.skipTest(str(reason))
            raise
        self.addCleanup(server.end)
        return server
