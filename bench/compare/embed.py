#!/usr/bin/env python3
"""Makes files part of a program: embed.py OUTPUT NAME=FILE ...

Writes a C++ source that defines `const std::string_view confab::compare::NAME` for each.
"""

import pathlib
import sys


def definition(name, data):
    numbers = ",".join(map(str, data))
    return f"""
namespace {{
constexpr unsigned char {name}_bytes[] = {{{numbers}}};
}}
const std::string_view {name}(reinterpret_cast<const char*>({name}_bytes), sizeof {name}_bytes);
"""


def main(output, *assets):
    text = '#include "bench/compare/assets.hpp"\n\nnamespace confab::compare {\n'
    for asset in assets:
        name, file = asset.split("=", 1)
        text += definition(name, pathlib.Path(file).read_bytes())
    pathlib.Path(output).write_text(text + "\n}  // namespace confab::compare\n", encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
