"""Computes the locations of our files on this computer: one function each, with its environment override.

Daemon and clients both import it, so they always agree. Only `private_directory` creates anything; both sides
call it before they trust a directory.

Sources: XDG Base Directory Specification 0.8; unix(7) and `sockaddr_un` of BSD for the length of a path.
"""

import os
import re
import stat
import sys
from collections.abc import Callable, MutableMapping
from pathlib import Path
from typing import NamedTuple

from nexo.connections import account

SOCKET_NAME = "nexod.sock"
BACKUPS = "backups"
"""The directory of the backups, beside the store."""
_NAMES_OF_PLACES = (
    "NEXO_SOCKET",
    "NEXO_CONFIG_DIR",
    "NEXO_DATA_DIR",
    "NEXO_STATE_DIR",
    "TMPDIR",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
)
# unix(7): sun_path holds 108 bytes on Linux, 104 on macOS, the closing NUL included.
SOCKET_PATH_LIMIT = 103 if sys.platform == "darwin" else 107


class UnsafePathError(Exception):
    """A path cannot be trusted or used; the message names the path, the reason and the fix.

    Attributes:
        path: the path.
        hint: the command or change that fixes it.
    """

    def __init__(self, path: Path, problem: str, hint: str) -> None:
        super().__init__(f"{path}: {problem}")
        self.path = path
        self.hint = hint


# Not a dataclass, because importing that costs `nexoctl --help` 12 ms.
class Place(NamedTuple):
    """A location, and the variable that overrides it."""

    path: Path
    variable: str
    purpose: str


def home() -> Path:
    """The home directory of this user.

    Raises:
        UnsafePathError: neither HOME nor the system knows one (a container, `DynamicUser=`).
    """
    # With an empty or relative HOME, keys would be stored in the working directory.
    named = Path(os.environ.get("HOME", ""))
    if named.is_absolute():
        return named
    try:
        return account.home()
    except KeyError:
        raise UnsafePathError(
            Path("~"),
            f"there is no home directory: HOME is not set, and this system does not know user "
            f"{account.uid()}",
            "set HOME; or NEXO_CONFIG_DIR, NEXO_DATA_DIR and NEXO_STATE_DIR",
        ) from None


def _from_env(variable: str) -> Path | None:
    value = os.environ.get(variable, "")
    return Path(value).expanduser().absolute() if value else None


def _xdg(variable: str, fallback: str) -> Path:
    value = os.environ.get(variable, "")
    # The specification demands that relative paths are ignored.
    base = Path(value) if value and Path(value).is_absolute() else home() / fallback
    return base / "nexo"


def make_absolute(environment: MutableMapping[str, str]) -> None:
    """Make relative paths in our variables absolute; call it before the process changes its directory.

    A relative HOME is removed, so that `home` and `expanduser` ask the system.
    """
    if not Path(environment.get("HOME", "")).is_absolute():
        environment.pop("HOME", None)
    for variable in _NAMES_OF_PLACES:
        value = environment.get(variable, "")
        if value:
            environment[variable] = str(Path(value).expanduser().absolute())


def config_dir() -> Path:
    """The directory for settings and the vault's key file, intentionally apart from the database."""
    return _from_env("NEXO_CONFIG_DIR") or _xdg("XDG_CONFIG_HOME", ".config")


def data_dir() -> Path:
    """The directory for the store and its backups."""
    return _from_env("NEXO_DATA_DIR") or _xdg("XDG_DATA_HOME", ".local/share")


def state_dir() -> Path:
    """The directory for the lock and the log, and for the socket if there is no run-time directory."""
    return _from_env("NEXO_STATE_DIR") or _xdg("XDG_STATE_HOME", ".local/state")


def database() -> Path:
    """The SQLite file of the store."""
    return data_dir() / "connections.db"


def key_file() -> Path:
    """The key file of the vault."""
    return config_dir() / "vault.key"


def lock_file() -> Path:
    """The file that the user's daemon locks as long as it runs, so that there is only one."""
    return state_dir() / "nexod.lock"


def known_stores() -> Path:
    """The list of paths at which stores have existed, by which a missing store is noticed."""
    return state_dir() / "stores.json"


def spare_lock_file() -> Path:
    """The lock file next to the socket, for a daemon whose home is read-only."""
    return socket_path().parent / "nexod.lock"


def log_file() -> Path:
    """The log of the daemon."""
    return state_dir() / "nexod.log"


def is_private(path: Path) -> bool:
    """Whether `path` is a directory of this user that nobody else can enter; a symbolic link is not."""
    try:
        info = path.lstat()
    except OSError:
        return False
    return stat.S_ISDIR(info.st_mode) and account.exposure(path, info) == ("", "")


def socket_path(override: str | os.PathLike[str] | None = None) -> Path:
    """The socket of the daemon: the override, else `NEXO_SOCKET`, else the default of the platform.

    By default it is in `$XDG_RUNTIME_DIR/nexo` if `XDG_RUNTIME_DIR` is a private directory of this user, else
    in `/run/user/UID/nexo` on the same condition, else in `run/` of the state directory.
    """
    if override:
        return Path(override).expanduser().absolute()
    chosen = _from_env("NEXO_SOCKET")
    if chosen:
        return chosen
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    candidates = [Path(runtime)] if runtime else []
    if sys.platform.startswith("linux"):
        candidates.append(Path(f"/run/user/{account.uid()}"))
    for base in candidates:
        if base.is_absolute() and is_private(base):
            return base / "nexo" / SOCKET_NAME
    return state_dir() / "run" / SOCKET_NAME


def gateway_socket_path(socket: Path) -> Path:
    """The gateway's socket, in a directory next to the daemon's socket.

    It has its own directory, so that a container can be given this socket without the daemon's, which hands
    out keys. Mount the directory and not the file, because each start of the gateway creates the file anew.
    """
    return socket.parent / "gateway" / "gateway.sock"


def check_socket_path(path: Path) -> None:
    """Raise `UnsafePathError` if the path cannot be bound or connected to on this platform."""
    size = len(os.fsencode(path))
    if size > SOCKET_PATH_LIMIT:
        raise UnsafePathError(
            path,
            f"the path of the socket has {size} bytes, and this system allows {SOCKET_PATH_LIMIT}",
            "set NEXO_SOCKET (or --socket) to a shorter path",
        )


DATABASE_PATH_LIMIT = 511 - len("-journal")
"""The longest path that SQLite accepts for a database with its journal beside it."""


def check_database_path(path: Path, room: int = 0) -> None:
    """Raise `UnsafePathError` if SQLite cannot open a database with this path, or one `room` bytes longer."""
    size, limit = len(os.fsencode(path)), DATABASE_PATH_LIMIT - room
    if size > limit:
        raise UnsafePathError(
            path,
            f"the path of the store has {size} bytes, and SQLite allows {limit}",
            "choose a shorter path with NEXO_DATA_DIR",
        )


def grpc_name(socket: Path) -> str:
    """The socket as a URI for grpc, in which any byte of a path can be written."""
    from urllib.parse import quote

    return "unix:" + quote(os.fsencode(socket), safe="/")


def shown(text: Path | str) -> str:
    """A path, or a text with one, as valid UTF-8 text; other bytes are written as `\xff`."""
    bytes_of = re.sub("[\udc80-\udcff]", lambda one: f"\\x{ord(one[0]) - 0xDC00:02x}", str(text))
    return bytes_of.encode("utf-8", "backslashreplace").decode()


def check_private_directory(path: Path) -> None:
    """Raise `UnsafePathError` unless `path` is a directory that only this user can enter.

    Raises:
        FileNotFoundError: there is no such directory.
    """
    info = path.lstat()
    if stat.S_ISLNK(info.st_mode):
        # A symbolic link of this user or root is legitimate; a link of another user is an attack.
        if not account.trusts_owner(info):
            raise UnsafePathError(path, "a symbolic link made by another user", f"remove it: rm '{path}'")
        info = path.stat()
    if not stat.S_ISDIR(info.st_mode):
        raise UnsafePathError(path, "is not a directory", f"move it away: mv '{path}' '{path}.old'")
    if problem := account.other_owner(info):
        raise UnsafePathError(path, problem, _owner_hint(path, info.st_uid))
    if problem := account.others_may("enter", info):
        raise UnsafePathError(path, problem, f"chmod 700 '{path}'")


def _owner_hint(path: Path, owner: int) -> str:
    if account.is_root():
        return account.SUDO_HINT
    if owner == 0:
        return f"sudo may have made it; if it is yours: sudo chown -R {account.uid()} '{path}'"
    return "choose another place with NEXO_SOCKET and NEXO_STATE_DIR, or have the owner remove it"


def borrowed_home() -> tuple[str, str]:
    """Whose home HOME is, if another account's (`sudo -E`, `su -m`), and the next step; else two empty
    strings.
    """
    named = Path(os.environ.get("HOME", ""))
    try:
        own, info = account.home(), named.stat()
        if not named.is_absolute() or account.owns(info) or (own.exists() and own.samefile(named)):
            return "", ""
    except (KeyError, OSError):
        return "", ""
    hint = account.SUDO_HINT if account.is_root() else f"use your own: export HOME='{own}'"
    return f"HOME is {named}, which {account.other_owner(info)}", hint


def hint_if_denied(path: Path) -> str:
    """The next step if this account is denied `path` because something in its home belongs to another one.

    Empty if that is not the cause.
    """
    _, hint = borrowed_home()
    if hint:
        return hint
    above = Path(os.environ.get("HOME", ""))
    for place in (*reversed(path.parents), path):
        if above in place.parents:
            try:
                info = place.lstat()
            except OSError:
                return ""
            if not account.owns(info):
                return _owner_hint(place, info.st_uid)
    return ""


def hint_for_error(error: OSError) -> str:
    """`hint_if_denied` for the file that an error of the system names; empty if it names none."""
    named = error.filename
    return hint_if_denied(Path(os.fsdecode(named))) if isinstance(named, str | bytes) else ""


def _check_not_for_root(path: Path) -> None:
    """Raise if we are root in another user's home (`sudo -E`), who could not use root's files there."""
    if not account.is_root():
        return
    above = next((place for place in path.parents if place.exists()), path)
    owner = above.stat().st_uid
    if owner != 0:
        raise UnsafePathError(path, f"{above} belongs to user {owner}, and you are root", account.SUDO_HINT)


def can_be_seen(path: Path) -> bool:
    """Whether this account sees something at `path`; `Path.exists` raises if a directory above denies it."""
    try:
        path.stat()
    except OSError:
        return False
    return True


def check_leads_somewhere(path: Path) -> None:
    """Raise `UnsafePathError` if a symbolic link in `path` is broken: nothing can be created there."""
    for place in (*reversed(path.parents), path):
        try:
            target = place.readlink()
        except OSError:
            continue
        if not can_be_seen(place):
            raise UnsafePathError(
                place,
                f"is a symbolic link to {target}, which is not there",
                f"create that directory, or mount the disk that holds it; or remove the link: rm '{place}'",
            )


def private_directory(path: Path) -> Path:
    """Make `path` and its missing parents (mode 0700), then check it as `check_private_directory` does."""
    if not path.exists():
        check_leads_somewhere(path)
        _check_not_for_root(path)
    # `Path.mkdir(parents=True)` applies the umask to the parents, but XDG demands mode 0700 for them, too.
    for missing in reversed([place for place in (path, *path.parents) if not place.exists()]):
        missing.mkdir(mode=0o700, exist_ok=True)
    check_private_directory(path)
    return path


def places() -> tuple[Place, ...]:
    """The computed locations and their variables, as printed by `--help` and `nexoctl doctor`."""
    return (
        Place(_shown(socket_path), "NEXO_SOCKET", "socket of the daemon"),
        Place(_shown(config_dir), "NEXO_CONFIG_DIR", "settings and key file"),
        Place(_shown(data_dir), "NEXO_DATA_DIR", "store and backups"),
        Place(_shown(state_dir), "NEXO_STATE_DIR", "lock and log"),
    )


def _shown(place: Callable[[], Path]) -> Path:
    try:
        return place()
    except UnsafePathError:
        return Path("(no home directory)")
