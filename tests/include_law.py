#!/usr/bin/env python3
"""Checks who includes whom: include_law.py [ROOT]

The law is the table of docs/architecture.md: a folder includes itself and the folders it stands on, by paths from the
root of the tree; a third-party header appears in the one place that wraps it; and the first line of each header says
whether it is for all ("// Public: ...", "// Public, for authors of awaitables: ...") or for one folder ("// Internal to
FOLDER: ..."). Prints each breach as file:line: reason, and exits 1 when there is any.
"""

import fnmatch
import pathlib
import re
import sys

# Folder: the folders it may include besides itself. A folder in a folder has a law of its own where it is named here.
LAW = {
    "pools": [],
    "reactor": ["pools"],
    "coro": ["pools", "reactor"],
    "server/wire": ["pools", "reactor"],
    "server": ["pools", "reactor", "coro", "server/wire"],
    "clients": ["pools", "reactor", "coro", "server/wire"],
    "bench": ["pools", "reactor", "coro", "server/wire", "server", "clients"],
    "cli": ["pools", "reactor", "coro", "server/wire", "server", "clients", "bench"],
    "examples": ["pools", "reactor", "coro", "server/wire", "server", "clients", "bench", "cli"],
    "tests": ["pools", "reactor", "coro", "server/wire", "server", "clients", "bench", "cli", "examples"],
}

# Third-party header: the files that may include it.
THIRD_PARTY = {
    "liburing.h": ["reactor/uring*", "bench/*uring*"],
    "liburing/*": ["reactor/uring*", "bench/*uring*"],
    "llhttp.h": ["server/wire/*", "tests/server/*"],
    "zlib.h": ["server/wire/deflate.cpp"],
    "doctest/*": ["tests/*"],
    "spdlog/*": ["server/*", "clients/*", "bench/*", "cli/*"],
    "nlohmann/*": ["bench/compare/*", "server/chat/json_request.cpp"],
    "CLI/*": ["cli/*"],
    "cereal/*": ["pools/serialise.hpp"],
    "editline/*": ["clients/*"],
    "tbb/*": ["bench/pools/*"],
    "confab/*": ["examples/*"],  # as users of the installed library write it
}

# C and Linux headers, open to all. A header without a dot is C++'s own.
SYSTEM_FOLDERS = ["arpa", "linux", "net", "netinet", "sanitizer", "sys"]
SYSTEM = """
    assert.h ctype.h cxxabi.h dirent.h dlfcn.h errno.h execinfo.h fcntl.h fnmatch.h ftw.h getopt.h glob.h grp.h ifaddrs.h
    inttypes.h langinfo.h limits.h link.h locale.h malloc.h math.h netdb.h poll.h pthread.h pty.h pwd.h sched.h
    semaphore.h signal.h spawn.h stdarg.h stdbool.h stddef.h stdint.h stdio.h stdlib.h string.h strings.h syscall.h
    syslog.h termios.h time.h ucontext.h unistd.h valgrind.h wchar.h wctype.h
""".split()

SUFFIXES = {".c", ".h", ".cpp", ".hpp"}
INCLUDE = re.compile(r'^\s*#\s*include\s*(?:"(?P<own>[^"]+)"|<(?P<angle>[^>]+)>)')
AUDIENCE = re.compile(r"^// (?:Public(?:, [^:]+)?|Internal to (?P<folder>[\w/]+)): \S")


def folder_of(file):
    """The folder of LAW that `file` is in; its outermost one when there is none."""
    inner = "/".join(file.parts[:2])
    return inner if inner in LAW else file.parts[0]


def own_breach(root, file, target):
    """Why `file` may not say #include "target", or None."""
    folder, target_folder = folder_of(file), folder_of(pathlib.PurePath(target))
    if target_folder not in LAW:
        return f'"{target}": name headers from the root of the tree'
    if target_folder != folder and target_folder not in LAW[folder]:
        return f'"{target}": {folder}/ may not include {target_folder}/'
    if not (root / target).is_file():
        return f'"{target}": no such file'
    audience = AUDIENCE.match(first_line(root / target))
    insiders = [audience["folder"], "tests"] if audience and audience["folder"] else list(LAW)
    if folder not in insiders:
        return f'"{target}": it is internal to {insiders[0]}/'
    return None


def angle_breach(file, target):
    """Why `file` may not say #include <target>, or None."""
    for pattern, places in THIRD_PARTY.items():
        if fnmatch.fnmatchcase(target, pattern):
            if any(fnmatch.fnmatchcase(file.as_posix(), place) for place in places):
                return None
            return f"<{target}>: only in {', '.join(places)}"
    if "." not in target or target in SYSTEM or target.split("/")[0] in SYSTEM_FOLDERS:
        return None
    return f"<{target}>: unknown; a third-party header needs a place in tests/include_law.py, ours are named in quotes"


def first_line(path):
    with open(path, encoding="utf-8") as lines:
        return lines.readline()


def breaches(root):
    """All breaches in the tree at `root`, as `file:line: reason`."""
    for folder in LAW:
        for path in sorted((root / folder).rglob("*")):
            if folder_of(path.relative_to(root)) != folder:
                continue
            if path.suffix not in SUFFIXES or not path.is_file():
                continue
            file = path.relative_to(root)
            if path.suffix in (".h", ".hpp") and not AUDIENCE.match(first_line(path)):
                yield f'{file}:1: a header starts with "// Public: ..." or "// Internal to FOLDER: ..."'
            for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
                include = INCLUDE.match(line)
                if not include:
                    continue
                own, angle = include["own"], include["angle"]
                reason = own_breach(root, file, own) if own else angle_breach(file, angle)
                if reason:
                    yield f"{file}:{number}: {reason}"


def main(root):
    found = list(breaches(root))
    for breach in found:
        print(breach, file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else ".").resolve()))
