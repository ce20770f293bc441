"""The account that this process runs as: what it is called, and whether a file is private to it.

Windows has access lists in place of owners and modes; a port replaces this module.
"""

import os
import stat
from pathlib import Path

SUDO_HINT = "run it without sudo; or as root with root's own home: sudo -H"


def uid() -> int:
    """The number of the account; -1 on Windows, which has none."""
    return os.geteuid() if hasattr(os, "geteuid") else -1


def is_root() -> bool:
    """Whether the account may do everything on this computer."""
    return uid() == 0


def name() -> str:
    """The name of the account; its number if the system does not know it."""
    import pwd

    try:
        return pwd.getpwuid(uid()).pw_name
    except KeyError:
        return str(uid())


def home() -> Path:
    """The home directory that the system has for the account.

    Raises:
        KeyError: the system does not know the account.
    """
    import pwd

    return Path(pwd.getpwuid(uid()).pw_dir)


def owns(info: os.stat_result) -> bool:
    """Whether a file belongs to the account."""
    return info.st_uid == uid()


def trusts_owner(info: os.stat_result) -> bool:
    """Whether a file belongs to the account or to root, who can change everything anyway."""
    return info.st_uid in (0, uid())


def other_owner(info: os.stat_result) -> str:
    """Completes a sentence about a file: whose it is, if not the account's; else empty."""
    return "" if owns(info) else f"belongs to user {info.st_uid}, not to you ({uid()})"


def others_may(do: str, info: os.stat_result) -> str:
    """Says that other accounts may `do` something with a file, if its mode allows them anything; else ""."""
    mode = stat.S_IMODE(info.st_mode)
    return f"other users may {do} it (mode {mode:04o})" if mode & 0o077 else ""


def claim(path: Path) -> str:
    """The next step if a file has another owner. Root needs no claim, and would take it from its owner."""
    return SUDO_HINT if is_root() else f"if it is yours: sudo chown {uid()} '{path}'"


def exposure(path: Path, info: os.stat_result) -> tuple[str, str]:
    """Why a file is not private to the account, and the next step; two empty strings if it is."""
    if problem := other_owner(info):
        return problem, claim(path)
    if problem := others_may("open", info):
        return problem, f"chmod 600 '{path}'"
    return "", ""
