"""Checks whether this process's resource limits allow a daemon, which would otherwise hang or abort silently.

Measured on 26 November 2026 (2 cores, grpcio 1.85): a daemon that checks a dozen connections has 23 open
files and 12 threads, and reserves up to 977 MB of address space, most of which it never uses.
"""

import resource
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from nexo.connections import account

FILES = 64
THREADS = 32
ADDRESSES_MB = 1024
FILE_MB = 64
"""Enough for a store with its full history, and for its log of changes."""


class Shortage(NamedTuple):
    """A limit that is too low, and how to raise it."""

    problem: str
    hint: str


def shortages(
    groups: Path = Path("/proc/self/cgroup"), tree: Path = Path("/sys/fs/cgroup")
) -> list[Shortage]:
    """The limits of this process that are too low for a daemon."""
    found = []
    files = _limit(resource.RLIMIT_NOFILE, hard=True)
    if files is not None and files < FILES:
        problem = f"this process may open {files} files, and the daemon needs {FILES}"
        found.append(Shortage(problem, f"raise it: ulimit -n {FILES} (in a unit: LimitNOFILE={FILES})"))
    addresses = _limit(resource.RLIMIT_AS)
    if addresses is not None and addresses < ADDRESSES_MB * 1024**2:
        problem = f"this process may use {addresses // 1024**2} MB of memory addresses, and the daemon needs "
        hint = f"raise it: ulimit -v {ADDRESSES_MB * 1024} (in a unit: LimitAS={ADDRESSES_MB}M)"
        found.append(Shortage(f"{problem}{ADDRESSES_MB}", hint))
    size = _limit(resource.RLIMIT_FSIZE)
    if size is not None and size < FILE_MB * 1024**2:
        problem = f"this process may write files of {size // 1024} kB, and the daemon needs {FILE_MB * 1024}"
        found.append(Shortage(problem, "raise it: ulimit -f unlimited (in a unit: LimitFSIZE=infinity)"))
    # This limit does not apply to root.
    processes = None if account.is_root() else _limit(resource.RLIMIT_NPROC)
    if processes is not None and processes < THREADS:
        problem = f"this user may have {processes} threads, and the daemon alone needs {THREADS}"
        found.append(Shortage(problem, f"raise it: ulimit -u {THREADS * 4} (in a unit: LimitNPROC=)"))
    tasks = _tasks(groups, tree)
    if tasks is not None and tasks < THREADS:
        problem = f"this unit or container may have {tasks} threads, and the daemon needs {THREADS}"
        found.append(Shortage(problem, "raise TasksMax= of the unit, or the pids limit of the container"))
    return found


def refusal(problem: OSError) -> Shortage:
    """Why the system did not start a process: the limit that is too low, or the system's own words."""
    return next(iter(shortages()), Shortage(problem.strerror or type(problem).__name__, ""))


def raise_files() -> None:
    """Raise the limit for open files to the system's maximum; does nothing if the system forbids it."""
    # Each follower needs a descriptor. When none is left, new clients hang until their deadline (observed).
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 65_536 if hard == resource.RLIM_INFINITY else hard
    if soft < wanted:
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _limit(kind: int, *, hard: bool = False) -> int | None:
    found = resource.getrlimit(kind)[hard]
    return None if found == resource.RLIM_INFINITY else found


def _tasks(groups: Path, tree: Path) -> int | None:
    """The lowest `pids.max` among the control groups of this process."""
    try:
        lines = groups.read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return None
    limits = []
    for line in lines:
        number, controllers, place = line.split(":", 2)
        root = tree if number == "0" else tree / controllers
        group = root / place.lstrip("/")
        for directory in (group, *group.parents):
            if not directory.is_relative_to(root):
                break
            limits += _pids_max(directory)
    return min(limits, default=None)


def _pids_max(group: Path) -> list[int]:
    try:
        text = (group / "pids.max").read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return []
    return [int(text)] if text.isdigit() else []
