"""How a daemon that cannot run says why: on standard error, and as its status for a service manager."""

_NAME = "nexod: "
_STATUS, _FIX = "cannot run: ", "; fix: "


def as_lines(problem: str, hint: str) -> str:
    """The text for standard error."""
    return f"{_NAME}{problem}\n  {hint}"


def of_lines(text: str) -> tuple[str, str] | None:
    """Problem and hint in the standard error of a daemon that gave up; None if it says none."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    told = [number for number, line in enumerate(lines) if line.startswith(_NAME)]
    if not told:
        return None
    return lines[told[-1]].removeprefix(_NAME), " ".join(lines[told[-1] + 1 :])


def as_status(problem: str, hint: str) -> str:
    """One line for a service manager, which keeps it after the process has ended."""
    return " ".join(f"{_STATUS}{problem}{_FIX}{hint}".split())


def of_status(text: str) -> tuple[str, str] | None:
    """Problem and hint in a status; None if it is not of a daemon that gave up."""
    if not text.startswith(_STATUS):
        return None
    problem, _, hint = text.removeprefix(_STATUS).strip().partition(_FIX)
    return problem, hint
