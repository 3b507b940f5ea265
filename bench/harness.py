"""What the bench runners share: contenders, servers started and ended, pinned cores, samples in random order, and the
honest header.

A sample is one fresh server, one load, a fraction of a second. Samples go in rounds: each round has every contender
once, in a new random order, and only figures of the same round are compared, as a ratio. The median of those ratios
holds still where the figures themselves do not: a shared machine changes its speed by a third from one second to the
next.
"""

import contextlib
import dataclasses
import json
import os
import pathlib
import platform
import re
import resource
import select
import shutil
import signal
import statistics
import subprocess
import sys
import time

UNSUPPORTED = 77  # exit code of a program that needs something this kernel refuses
START_LIMIT_S = 20.0
END_LIMIT_S = 20.0
LOAD_LIMIT_S = 120.0


@dataclasses.dataclass(frozen=True)
class Contender:
    name: str
    command: tuple
    baseline: str  # the contender whose figures its own are divided by


class Refused(Exception):
    """A contender cannot run here; the text says why."""


def say(text):
    print(text, flush=True)


def warn(text):
    print(f"WARN  {text}", flush=True)


def raise_descriptor_limit(wanted=1 << 17):
    """As many descriptors as we may have, for us and for what we start; returns how many."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    for limit in (max(wanted, hard), hard):
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
            return limit
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def raise_priority():
    """Puts us and our children before the machine's other work, where we may. True when that worked.

    The kernel groups processes by session and shares the cores between groups, so being nice or not counts only within
    one: hence a session of our own, and the group's own niceness.
    """
    with contextlib.suppress(OSError):
        os.setsid()
    try:
        os.setpriority(os.PRIO_PROCESS, 0, -19)
    except OSError:
        return False
    with contextlib.suppress(OSError):
        pathlib.Path("/proc/self/autogroup").write_text("-19")
    return True


def two_cores():
    """(the server's, the load's); the same one twice where there is no other."""
    cores = sorted(os.sched_getaffinity(0))
    return cores[0], cores[1] if len(cores) > 1 else cores[0]


class Server:
    """One server process, from its ready line to its exit. Use it in a `with`."""

    def __init__(self, contender, core):
        self.contender = contender
        self.log = ""
        self.process = subprocess.Popen(
            contender.command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            preexec_fn=lambda: os.sched_setaffinity(0, {core}),
        )
        os.set_blocking(self.process.stderr.fileno(), False)
        try:
            self.port = self._await_port()
        except BaseException:
            self.end()
            raise

    @property
    def pid(self):
        return self.process.pid

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.end()

    def _read(self, limit_s):
        """One more piece of stderr into the log; False at its end. TimeoutError after the limit."""
        if not select.select([self.process.stderr], [], [], limit_s)[0]:
            raise TimeoutError(f"{self.contender.name}: silent for {limit_s:.0f} s")
        piece = os.read(self.process.stderr.fileno(), 65536)
        self.log += piece.decode(errors="replace")
        return bool(piece)

    def _await_port(self):
        ready = re.compile(r"^listening on \S*:(\d+)", re.MULTILINE)
        while not (found := ready.search(self.log)):
            if not self._read(START_LIMIT_S):
                self.process.wait(END_LIMIT_S)
                raise Refused(f"exit {self.process.returncode}: {self.log.strip() or 'no word why'}")
        return int(found[1])

    def end(self):
        """Ends the server with TERM and keeps what it said."""
        if self.process.stderr.closed:
            return
        self.process.terminate()
        try:
            while self._read(END_LIMIT_S):
                pass
            self.process.wait(END_LIMIT_S)
        except (TimeoutError, subprocess.TimeoutExpired):
            self.process.kill()
            self.process.wait()
            warn(f"{self.contender.name}: did not end within {END_LIMIT_S:.0f} s of TERM, killed")
        self.process.stderr.close()

    def ledger(self):
        """What `confab serve --ledger` prints at its end: the last line that is a JSON object; {} when there is none."""
        for line in reversed(self.log.splitlines()):
            if line.startswith("{"):
                with contextlib.suppress(ValueError):
                    return json.loads(line)
        return {}


def run_load(command, core):
    """The figures that a load driver prints; Refused when it finds an error."""
    done = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=LOAD_LIMIT_S,
        preexec_fn=lambda: os.sched_setaffinity(0, {core}),
    )
    if done.returncode != 0:
        complaint = done.stderr.strip().splitlines()
        raise Refused(f"load: exit {done.returncode}: {complaint[0] if complaint else done.stdout.strip()}")
    return json.loads(done.stdout)


# --- System calls, counted from outside ----------------------------------------------------------------------------


class PerfCounter:
    """Counts the system calls of a process and its threads and children while it is open."""

    name = "perf stat -e raw_syscalls:sys_enter"

    def __init__(self, pid):
        self.process = subprocess.Popen(
            ["perf", "stat", "-x,", "-e", "raw_syscalls:sys_enter", "-p", str(pid), "--", "sleep", "infinity"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.sleeper = self._await_attached()

    def _await_attached(self):
        """perf runs its command once it counts, and stops counting when the command ends. Returns the command's pid."""
        children = pathlib.Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        limit = time.monotonic() + START_LIMIT_S
        while time.monotonic() < limit and self.process.poll() is None:
            for child in children.read_text().split():
                with contextlib.suppress(OSError):
                    if pathlib.Path(f"/proc/{child}/comm").read_text().strip() == "sleep":
                        return int(child)
            os.sched_yield()
        self.process.kill()
        raise Refused(f"perf did not start: {self.process.communicate()[1].strip()}")

    def close(self):
        """Ends the count and returns it."""
        os.kill(self.sleeper, signal.SIGTERM)
        _, report = self.process.communicate(timeout=END_LIMIT_S)
        for line in report.splitlines():
            fields = line.split(",")
            if len(fields) > 2 and fields[2] == "raw_syscalls:sys_enter" and fields[0] != "<not supported>":
                return int(fields[0]) if fields[0].isdigit() else 0  # "<not counted>": it never ran
        raise Refused(f"perf: {report.strip()}")


class StraceCounter:
    """The same by tracing, which slows the server: the batches that it sees may differ from those of a free run."""

    name = "strace -c"

    def __init__(self, pid):
        self.process = subprocess.Popen(
            ["strace", "-c", "-f", "-U", "calls,name", "-p", str(pid)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        attached = self.process.stderr.readline()
        if "attached" not in attached:
            self.process.terminate()
            self.process.wait()
            raise Refused(f"strace: {attached.strip()}")

    def close(self):
        self.process.send_signal(signal.SIGINT)
        _, report = self.process.communicate(timeout=END_LIMIT_S)
        total = re.search(r"^\s*(\d+)\s+total$", report, re.MULTILINE)
        if total is None and "detached" not in report:
            raise Refused(f"strace: {report.strip()}")
        return int(total[1]) if total else 0


def find_counter():
    """The way of counting system calls that works here, or None."""
    for kind in (PerfCounter, StraceCounter):
        if shutil.which(kind.name.split()[0]) is None:
            continue
        try:
            with subprocess.Popen(["sleep", "infinity"]) as probe:
                try:
                    kind(probe.pid).close()
                finally:
                    probe.terminate()
            return kind
        except (Refused, OSError, subprocess.TimeoutExpired):
            continue
    return None


# --- Memory --------------------------------------------------------------------------------------------------------


def process_tree(pid):
    """The process and all its descendants."""
    pids = [pid]
    for known in pids:
        for task in pathlib.Path(f"/proc/{known}/task").glob("*/children"):
            with contextlib.suppress(OSError):
                pids.extend(int(child) for child in task.read_text().split())
    return pids


def pss_bytes(pid):
    """Memory of a process and its descendants, shared pages divided among their users."""
    total = 0
    for member in process_tree(pid):
        with contextlib.suppress(OSError):
            rollup = pathlib.Path(f"/proc/{member}/smaps_rollup").read_text()
            total += int(re.search(r"^Pss:\s+(\d+) kB", rollup, re.MULTILINE)[1]) * 1024
    return total


# --- Figures -------------------------------------------------------------------------------------------------------


class Samples:
    """Figures by contender and workload; None where a contender could not give one."""

    def __init__(self):
        self.rounds = {}  # (contender, workload): a figure a round

    def add(self, contender, workload, figure):
        self.rounds.setdefault((contender, workload), []).append(figure)

    def median(self, contender, workload):
        figures = [figure for figure in self.rounds.get((contender, workload), []) if figure is not None]
        return statistics.median(figures) if figures else None

    def ratios(self, contender, other, workload):
        """One ratio for each round in which both have a figure."""
        pairs = zip(self.rounds.get((contender, workload), []), self.rounds.get((other, workload), []))
        return [mine / theirs for mine, theirs in pairs if mine is not None and theirs]

    def ratio(self, contender, other, workload):
        """(median, half the width of the middle half) of the ratios; None when there are none."""
        ratios = sorted(self.ratios(contender, other, workload))
        if not ratios:
            return None
        quarter = len(ratios) // 4
        return statistics.median(ratios), (ratios[-1 - quarter] - ratios[quarter]) / 2


def thousands(figure):
    if figure is None:
        return "-"
    return f"{figure / 1e6:.2f} M" if figure >= 1e6 else f"{figure / 1e3:.1f} k"


def print_table(head, rows):
    """A Markdown table with its columns aligned: the first to the left, the rest to the right."""
    widths = [max(len(str(row[column])) for row in [head, *rows]) for column in range(len(head))]

    def line(cells):
        first, *rest = (str(cell) for cell in cells)
        return "| " + " | ".join([first.ljust(widths[0])] + [c.rjust(w) for c, w in zip(rest, widths[1:])]) + " |"

    say(line(head))
    say("|" + "|".join("-" * (width + 1) + (":" if i else "-") for i, width in enumerate(widths)) + "|")
    for row in rows:
        say(line(row))
    say("")


# --- The header ----------------------------------------------------------------------------------------------------


def _meson_facts(build):
    """(compiler, the options that decide about speed) of a Meson build directory."""
    info = pathlib.Path(build) / "meson-info"
    options = {o["name"]: o["value"] for o in json.loads((info / "intro-buildoptions.json").read_text())}
    # How far the compilers are described depends on Meson's version.
    with contextlib.suppress(OSError, ValueError, KeyError):
        compiler = json.loads((info / "intro-compilers.json").read_text())["host"]["cpp"]
        return f"{compiler['id']} {compiler['version']}", options
    commands = json.loads((pathlib.Path(build) / "compile_commands.json").read_text())
    compiler = next(c["command"].split() for c in commands if c["file"].endswith(".cpp"))
    compiler = compiler[1] if "ccache" in compiler[0] else compiler[0]
    version = subprocess.run([compiler, "--version"], capture_output=True, text=True, check=False).stdout.splitlines()
    return version[0] if version else compiler, options


def print_machine(title, build):
    """Where and from what the figures come."""
    cpu = re.search(r"^model name\s*: (.*)$", pathlib.Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    compiler, options = _meson_facts(build)
    say(title)
    say(f"machine   {cpu[1] if cpu else platform.machine()}, {os.cpu_count()} cores, kernel {platform.release()}")
    say(
        f"build     {compiler}, -O{options['optimization']}, {options['buildtype']}, b_ndebug={options['b_ndebug']}, "
        f"b_lto={options['b_lto']}"
    )


def priority_text(is_raised):
    return f"priority {'raised' if is_raised else 'not raised'}; load average {os.getloadavg()[0]:.1f}"


def print_warnings(build, is_raised):
    """What makes the figures worth less; ends the header."""
    _, options = _meson_facts(build)
    if options["b_sanitize"] != "none":
        warn(f"built with sanitizers ({options['b_sanitize']}): the figures mean nothing")
    if str(options["optimization"]) not in ("2", "3"):
        warn(f"built with -O{options['optimization']}: the figures mean little")
    if not is_raised:
        warn("the priority is not raised: whatever else runs here is in the figures")
    say("")


def print_header(title, build, cores, seed, is_raised):
    """The header of a run with a server and a load."""
    server_core, load_core = cores
    print_machine(title, build)
    say(f"placing   server on core {server_core}, load on core {load_core}, {priority_text(is_raised)}; seed {seed}")
    congestion = pathlib.Path("/proc/sys/net/ipv4/tcp_congestion_control").read_text().strip()
    say(f"network   loopback, TCP_NODELAY, congestion control {congestion}; closed loop")
    if server_core == load_core:
        warn("only one core: server and load take turns on it")
    print_warnings(build, is_raised)


def fail(text, code=1):
    print(f"bench: {text}", file=sys.stderr)
    sys.exit(code)
