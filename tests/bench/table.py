"""The last figures of every benchmark as one table in Markdown: `python table.py`, after `make bench`."""

import json
import statistics
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from measure import RESULTS

ORDER = ("cli", "sdk", "fan_out", "daemon", "health", "store")


def short(figures: Sequence[float], unit: str = "") -> str:
    """Median, and the smallest and largest where there are several."""
    text = f"{statistics.median(figures):.3g}"
    if len(figures) > 1:
        text += f" ({min(figures):.3g}–{max(figures):.3g})"
    return f"{text} {unit}".strip()


def lines(found: Mapping[str, Any]) -> Iterator[str]:
    """The rows of one benchmark."""
    for row in found["rows"]:
        floor = f"{short(row['floor'], row['unit'])}: {row['floor_name']}" if row["floor"] else "–"
        ratio = f"**{short(row['ratios'])}**" if row["floor"] else "–"
        ours = short(row["ours"], row["unit"])
        yield f"| {row['what']} | {ours} | {floor} | {ratio} | {row['target'] or '–'} |"


def main() -> int:
    """Print it; 1 if there is nothing."""
    results = {
        name: json.loads(file.read_text()) for name in ORDER if (file := RESULTS / f"{name}.json").exists()
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
        print("| what | Nexo | floor | ratio | target |\n|---|---|---|---|---|")
        print("\n".join(lines(found)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
