"""Tries every kind of input of every area and prints the table of docs/reliability.md.

python tests/reliability/table.py                     # every area
python tests/reliability/table.py images folders      # some of them
"""

import importlib
import sys
from pathlib import Path

from kind import table, try_kinds

AREAS = sorted(path.stem for path in Path(__file__).parent.glob("*_kinds.py"))


def main() -> None:
    asked = [f"{name}_kinds" for name in sys.argv[1:]] or AREAS
    unknown = sorted(set(asked) - set(AREAS))
    if unknown:
        sys.exit(f"no area {', '.join(unknown)}; there are {', '.join(AREAS)}")
    found = {}
    for area in asked:
        module = importlib.import_module(area)
        found[area.removesuffix("_kinds")] = try_kinds(module.kinds())
    print(table(found))


if __name__ == "__main__":
    main()
