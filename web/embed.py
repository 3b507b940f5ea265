#!/usr/bin/env python3
"""Writes files as C++: embed.py OUTPUT FILE...

The program then carries the page in itself. A file is served under its name, index.html as "/".
"""

import hashlib
import pathlib
import sys

TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}


def main(output, *files):
    parts = ['#include "server/chat/web_files.hpp"\n', "namespace confab::chat {\n", "namespace {\n"]
    rows = []
    for number, path in enumerate(map(pathlib.Path, files)):
        data = path.read_bytes()
        bytes_ = ",".join(map(str, data))
        parts.append(f"constexpr unsigned char file_{number}[] = {{{bytes_}}};\n")
        name = "/" if path.name == "index.html" else f"/{path.name}"
        tag = hashlib.sha256(data).hexdigest()[:16]
        rows.append(f'    {{"{name}", "{TYPES[path.suffix]}", "\\"{tag}\\"", '
                    f"{{reinterpret_cast<const char*>(file_{number}), sizeof file_{number}}}}},\n")
    parts += ["const WebFile files[] = {\n", *rows, "};\n", "}  // namespace\n",
              "std::span<const WebFile> web_files() { return files; }\n", "}  // namespace confab::chat\n"]
    pathlib.Path(output).write_text("\n".join(parts), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
