"""Programs under test: started on loopback, waited for by what they print, ended by their own id."""

import re
import select
import signal
import subprocess
import time

# Generous: it only bounds how long a failing test takes.
LIMIT_S = 60


class Reader:
    """What comes out of a descriptor, waited for by content."""

    def __init__(self, stream):
        self.stream = stream
        self.text = ""

    def until(self, pattern):
        """Everything up to and including the first match of `pattern`; fails when it does not come."""
        end = time.monotonic() + LIMIT_S
        while not (match := re.search(pattern, self.text)):
            readable, _, _ = select.select([self.stream], [], [], max(0, end - time.monotonic()))
            assert readable, f"waited in vain for {pattern!r}; there was {self.text!r}"
            data = self.read()
            assert data, f"ended before {pattern!r}; there was {self.text!r}"
            self.text += data.decode("utf-8", "replace")
        seen, self.text = self.text[:match.end()], self.text[match.end():]
        return seen

    def read(self):
        try:
            return self.stream.raw.read(65536) if hasattr(self.stream, "raw") else self.stream.read1(65536)
        except OSError:  # the other end of a pseudo-terminal is gone
            return b""


class Server:
    """A server on a port of its own; a context manager."""

    def __init__(self, *command, address="127.0.0.1:0", environment=None):
        self.command = [*command]
        self.address = address
        self.environment = environment  # None: ours

    def __enter__(self):
        self.process = subprocess.Popen(self.command, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL,
                                        env=self.environment)
        self.errors = Reader(self.process.stderr)
        self.line = self.errors.until(r"listening on .*\n")
        self.address = re.search(r"listening on (\S+) \(", self.line).group(1)
        return self

    def stop(self):
        """Ends it with SIGTERM; its exit status."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(LIMIT_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise

    def __exit__(self, *_):
        self.stop()
        self.process.stderr.close()
