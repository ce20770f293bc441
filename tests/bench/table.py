"""Prints the last figures of all or the named benchmarks as Markdown tables: `python table.py [NAME...]`."""

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from measure import RESULTS, spread

ORDER = ("cli", "sdk", "fan_out", "daemon", "gateway", "health", "store", "settings")


def lines(found: Mapping[str, Any]) -> Iterator[str]:
    """The rows of one benchmark."""
    for row in found["rows"]:
        floor, ratio = (spread(row["floor"]), f"**{spread(row['ratios'])}**") if row["floor"] else ("–", "–")
        target = row["target"] or "–"
        yield f"| {row['what']} | {row['unit']} | {spread(row['ours'])} | {floor} | {ratio} | {target} |"


def main(names: Sequence[str]) -> int:
    """Print them; 1 if there is nothing."""
    results = {
        name: json.loads(file.read_text())
        for name in names or ORDER
        if (file := RESULTS / f"{name}.json").exists()
    }
    if not results:
        print("there are no results yet; run: make bench", file=sys.stderr)
        return 1
    for name, found in results.items():
        machine = found["machine"]
        libraries = ", ".join(f"{library} {version}" for library, version in machine["libraries"].items())
        print(
            f"\n`bench_{name}.py`: {machine['cpu']}, {machine['cores']} cores, {machine['system']}, "
            f"Python {machine['python']}, {libraries}; load {machine['load'][0]:.1f} at its start\n"
        )
        print("| what | unit | Nexo | floor | ratio | target |\n|---|---|---|---|---|---|")
        print("\n".join(lines(found)))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
