"""Let a person tick some of many entries: numbers, ranges, "all" or "none"."""

import re

from nexo_cli.terminal import Terminal


def ask_numbers(terminal: Terminal, question: str, count: int, ticked: frozenset[int]) -> frozenset[int]:
    """Ask which of 1 … count; Enter takes the ticked ones."""
    default = written(ticked) or "none"

    def check(answer: str) -> str:
        return (
            "" if parsed(answer, count) is not None else f"Enter numbers up to {count} (1,3-4), all or none."
        )

    answer = terminal.ask(f"{question} (numbers, all, none)", default, check=check)
    chosen = parsed(answer, count)
    assert chosen is not None  # noqa: S101 - checked above
    return chosen


def parsed(answer: str, count: int) -> frozenset[int] | None:
    """The numbers that an answer stands for; None if it cannot be parsed."""
    words = [word for word in re.split(r"[,\s]+", answer.strip().casefold()) if word]
    if words in (["none"], ["no"], ["n"]):
        return frozenset()
    if words in (["all"], ["yes"], ["y"]):
        return frozenset(range(1, count + 1))
    chosen: set[int] = set()
    for word in words:
        match = re.fullmatch(r"(\d{1,4})(?:-(\d{1,4}))?", word)
        if match is None:
            return None
        first, last = int(match[1]), int(match[2] or match[1])
        if not 1 <= first <= last <= count:
            return None
        chosen.update(range(first, last + 1))
    return frozenset(chosen) if chosen else None


def written(numbers: frozenset[int]) -> str:
    """The numbers as ranges: "1-3, 5"."""
    runs: list[list[int]] = []
    for number in sorted(numbers):
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return ", ".join(f"{run[0]}-{run[-1]}" if len(run) > 1 else str(run[0]) for run in runs)
