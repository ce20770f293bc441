"""Measures ours and a floor in turns, and reports medians with their spread as a table and as JSON.

Nothing is asserted, and no target is enforced: a person reads the figures (docs/performance.md). Machines
differ, but ratios carry over, so each figure has a floor that was measured in the same run.
"""

import json
import os
import platform
import statistics
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

RUNS = 7
RESULTS = Path(__file__).resolve().parents[2] / "build" / "bench"


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Attributes:
        ours: the measured figures, one for each run, in `unit`.
        floor: the figures to compare with, one for each run; empty if there are none.
        target: the project's target.
        note: an explanation of the figure.
    """

    what: str
    unit: str
    ours: Sequence[float]
    floor: Sequence[float] = ()
    floor_name: str = ""
    target: str = ""
    note: str = ""

    @property
    def ratios(self) -> list[float]:
        """The ratio for each pair of neighbouring runs."""
        return [ours / floor for ours, floor in zip(self.ours, self.floor, strict=True)]


def _readable(figure: float) -> str:
    if abs(figure) >= 100:
        return f"{figure:,.0f}".replace(",", " ")
    return f"{figure:.1f}" if abs(figure) >= 10 else f"{figure:.2f}"


def spread(figures: Sequence[float]) -> str:
    """The median, followed by the smallest and the largest in brackets if there are several."""
    median = _readable(statistics.median(figures))
    if len(figures) == 1:
        return median
    return f"{median} ({_readable(min(figures))}–{_readable(max(figures))})"


def alternate(
    floor: Callable[[], float], ours: Callable[[], float], runs: int = RUNS
) -> tuple[list[float], list[float]]:
    """Figures of the floor and of ours, taken in turns so that both see the same machine."""
    floors, figures = [], []
    floor()
    ours()
    for _ in range(runs):
        floors.append(floor())
        figures.append(ours())
    return floors, figures


def percentile(figures: Sequence[float], share: float) -> float:
    """The value below which that share (0 to 1) of the figures lies."""
    ordered = sorted(figures)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


@dataclass
class Machine:
    """The machine on which the figures were measured."""

    cpu: str = ""
    cores: int = field(default_factory=lambda: os.cpu_count() or 0)
    python: str = field(default_factory=platform.python_version)
    system: str = field(default_factory=platform.platform)
    load: tuple[float, float, float] = field(default_factory=os.getloadavg)
    libraries: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        from importlib.metadata import version

        names = ("grpcio", "protobuf", "SQLAlchemy", "httpx", "httpcore2")
        self.libraries = {name: version(name) for name in names}
        cpuinfo = Path("/proc/cpuinfo")
        if cpuinfo.exists():
            lines = (line.partition(":") for line in cpuinfo.read_text().splitlines())
            self.cpu = next((value.strip() for key, _, value in lines if key.strip() == "model name"), "")


def report(name: str, rows: Iterable[Row]) -> None:
    """Print each row as it is measured; keep all of them as JSON in build/bench/NAME.json."""
    machine = Machine()
    print(
        f"# {machine.cpu or 'unknown processor'}, {machine.cores} cores, Python {machine.python}, "
        f"load {machine.load[0]:.1f}"
    )
    kept = []
    for row in rows:
        ratio = spread(row.ratios) if row.floor else "-"
        print(f"{row.what}\n    ours   {spread(row.ours)} {row.unit}")
        if row.floor:
            print(f"    floor  {spread(row.floor)} {row.unit}  [{row.floor_name}]")
            print(f"    ratio  {ratio}")
        if row.target:
            print(f"    target {row.target}")
        if row.note:
            print(f"    note   {row.note}")
        sys.stdout.flush()
        kept.append({**asdict(row), "ratios": row.ratios if row.floor else []})
    RESULTS.mkdir(parents=True, exist_ok=True)
    text = json.dumps({"machine": asdict(machine), "rows": kept}, indent=1)
    (RESULTS / f"{name}.json").write_text(text)
