"""What can be wrong on this computer? Each check looks at one thing and names the fix. For `nexoctl doctor`.

Checks change nothing, and none starts the daemon. No check depends on an earlier one, but checks that need
the daemon are left out if it does not answer.
"""

import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from nexo.connections import account, lock_note, paths, python
from nexo.connections.phrases import phrase
from nexo.connections.schemas import REVISIONS
from nexo.connections.terms import HealthState, StoreState, VaultState
from nexo.connections.version import __version__
from nexo_cli import looks
from nexo_cli.findings import DoctorFinding, Level
from nexo_cli.service_diagnosis import service_findings, socket_unit_findings
from nexo_cli.session import Session
from nexo_client import channel, errors, types

_NEEDED_BY_TRAY = ("nexo_tray", "pystray", "PIL")
_PROXY_VARIABLES = ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy")
# A smaller difference is only the rounding of file systems.
_CLOCK_SLACK = timedelta(minutes=2)

_LEVELS = {
    HealthState.HEALTHY: Level.OK,
    HealthState.LIMITED: Level.WARNING,
    HealthState.UNKNOWN: Level.WARNING,
    HealthState.UNHEALTHY: Level.BROKEN,
}


def diagnose(session: Session) -> Iterator[DoctorFinding]:
    """All findings, in the order in which a person should read them."""
    checks: tuple[tuple[str, Callable[[], Iterable[DoctorFinding]]], ...] = (
        ("versions", lambda: [_versions()]),
        (
            "daemon parts",
            lambda: [_installed("daemon", python.DAEMON_NEEDS, "nexo-connections[daemon]", Level.BROKEN)],
        ),
        ("user", _user),
        ("limits", _limits),
        ("places", lambda: _places(session.socket)),
        ("disk", lambda: _disks(session.socket)),
        ("environment", _environment),
        ("clock", lambda: [_clock()]),
        ("service", lambda: service_findings(session.socket)),
        ("daemon", lambda: _answer(session)),
        ("gateway", lambda: _gateway(session)),
        ("tray", _tray),
    )
    for topic, check in checks:
        yield from _isolated(topic, check)


def _isolated(topic: str, check: Callable[[], Iterable[DoctorFinding]]) -> Iterator[DoctorFinding]:
    """The findings of one check; an exception in it becomes a finding, so that the other checks still run."""
    try:
        yield from check()
    except errors.NexoError as problem:
        yield DoctorFinding(topic, Level.BROKEN, problem.message, problem.hint)
    except paths.UnsafePathError as problem:
        yield DoctorFinding(topic, Level.BROKEN, str(problem), problem.hint)
    except OSError as problem:
        where = f"{problem.filename}: " if problem.filename else ""
        text = f"{where}{problem.strerror or type(problem).__name__}"
        yield DoctorFinding(topic, Level.BROKEN, text, paths.hint_for_error(problem))
    except Exception as problem:  # noqa: BLE001 - the doctor goes on
        yield DoctorFinding(topic, Level.WARNING, f"this check failed ({type(problem).__name__})")


def _answer(session: Session) -> Iterator[DoctorFinding]:
    """The daemon's findings, or why it does not answer."""
    answer = _ask(session)
    if isinstance(answer, errors.NexoError):
        not_running = isinstance(answer, errors.DaemonNotRunning)
        hung = isinstance(answer, errors.DeadlineExceeded)
        fix = "nexoctl daemon restart --force" if hung else answer.hint or "nexoctl daemon start"
        yield DoctorFinding("daemon", Level.BROKEN, answer.message, fix)
        if not_running:
            yield from _lock()
            yield from _store()
    else:
        yield from _daemon(*answer)


def _ask(
    session: Session,
) -> (
    "tuple[types.Status, tuple[types.Connection, ...], tuple[types.WorkspaceBinding, ...]] | errors.NexoError"
):
    try:
        with session.client(start=False, timeout_s=5.0) as client:
            status = client.status()
            try:
                return status, client.list_connections(), client.list_workspaces()[0]
            except errors.StoreFailed:
                # The status tells why.
                return status, (), ()
    except errors.NexoError as problem:
        return problem


def _gateway(session: Session) -> Iterator[DoctorFinding]:
    """Check the gateway, because programs send tokens and prompts to whichever process has its port."""
    try:
        with session.client(start=False, timeout_s=5.0) as client:
            gateway = client.gateway.status().gateway
    except errors.NexoError:
        # The daemon's own error is reported above; an older daemon has no gateway.
        return
    if gateway.listening:
        yield DoctorFinding("gateway", Level.OK, f"listens on 127.0.0.1:{gateway.port}")
    elif gateway.on:
        yield DoctorFinding("gateway", Level.BROKEN, f"does not listen: {gateway.problem}", gateway.advice)
    yield from socket_unit_findings(gateway)


def _versions() -> DoctorFinding:
    import grpc

    version = ".".join(str(part) for part in sys.version_info[:3])
    text = f"nexoctl {__version__}, Python {version}, grpcio {grpc.__version__}"
    if grpc.__version__.startswith("1.68."):
        return DoctorFinding(
            "versions", Level.WARNING, f"{text}: grpcio 1.68 loses connections", "pip install -U grpcio"
        )
    return DoctorFinding("versions", Level.OK, text)


def _installed(topic: str, modules: tuple[str, ...], extra: str, level: Level) -> DoctorFinding:
    absent = python.missing(modules)
    if absent:
        return DoctorFinding(
            f"{topic} parts", level, f"not installed: {', '.join(absent)}", f"pip install '{extra}'"
        )
    return DoctorFinding(f"{topic} parts", Level.OK, "installed")


def _places(socket: Path) -> Iterator[DoctorFinding]:
    try:
        channel.check(socket)
        yield DoctorFinding("socket", Level.OK, str(socket))
    except errors.DaemonNotRunning:
        hope = DoctorFinding("socket", Level.OK, f"{socket} (made by the daemon when it starts)")
        yield _cannot_be_made("socket", socket, "NEXO_SOCKET") or hope
    except errors.NexoError as problem:
        yield DoctorFinding("socket", Level.BROKEN, problem.message, problem.hint)
    for topic, path, variable in (
        ("settings", paths.config_dir(), "NEXO_CONFIG_DIR"),
        ("data", paths.data_dir(), "NEXO_DATA_DIR"),
        ("state", paths.state_dir(), "NEXO_STATE_DIR"),
    ):
        yield _private(topic, path, variable)
    backups = paths.data_dir() / paths.BACKUPS
    if paths.can_be_seen(backups):
        found = _private("backups", backups, "NEXO_DATA_DIR")
        if found.level is not Level.OK:
            yield found
    paths.check_database_path(paths.database())
    for path in (paths.database(), paths.key_file(), paths.lock_file(), paths.log_file()):
        try:
            found = _private_file(path)
            # What holds keys is named even if it is in order.
            if found.level is not Level.OK or path in (paths.database(), paths.key_file()):
                yield found
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as problem:
            fix = paths.hint_if_denied(path) or f"ls -ld '{path.parent}'"
            yield DoctorFinding("file", Level.BROKEN, f"{path}: {problem.strerror}", fix)


def _private(topic: str, path: Path, variable: str) -> DoctorFinding:
    try:
        paths.check_private_directory(path)
    except (FileNotFoundError, NotADirectoryError):
        hope = DoctorFinding(topic, Level.OK, f"{path} (made when needed)")
        return _cannot_be_made(topic, path, variable) or hope
    except paths.UnsafePathError as problem:
        return DoctorFinding(topic, Level.BROKEN, str(problem), problem.hint)
    except OSError as problem:
        return _cannot_be_made(topic, path, variable) or DoctorFinding(
            topic, Level.BROKEN, f"{path}: {problem.strerror}", "check who owns the directories above it"
        )
    if not os.access(path, os.W_OK):
        read_only = os.statvfs(path).f_flag & os.ST_RDONLY
        fix = "its file system is read-only: mount it writable" if read_only else f"chmod u+w '{path}'"
        return DoctorFinding(topic, Level.BROKEN, f"{path} is not writable", fix)
    return DoctorFinding(topic, Level.OK, str(path))


def _cannot_be_made(topic: str, path: Path, variable: str) -> DoctorFinding | None:
    """The problem if a directory does not exist and the daemon cannot create it."""
    try:
        paths.check_leads_somewhere(path)
    except paths.UnsafePathError as problem:
        return DoctorFinding(topic, Level.BROKEN, str(problem), problem.hint)
    above = next((place for place in path.parents if paths.can_be_seen(place)), path)
    if above.is_dir() and os.access(above, os.W_OK | os.X_OK):
        return None
    why = "is not writable for you" if above.is_dir() else "is not a directory"
    return DoctorFinding(
        topic,
        Level.BROKEN,
        f"{path} can't be made: {above} {why}",
        paths.hint_if_denied(path) or f"correct that, or choose another place: export {variable}=…",
    )


def _private_file(path: Path) -> DoctorFinding:
    info = path.stat()
    problem, fix = account.exposure(path, info)
    if problem:
        level = Level.WARNING if account.owns(info) else Level.BROKEN
        return DoctorFinding("file", level, f"{path}: {problem}", fix)
    return DoctorFinding("file", Level.OK, f"{path} is private")


def _user() -> Iterator[DoctorFinding]:
    """Check for `sudo -E`, which keeps HOME: files that root creates there are unusable for their owner."""
    problem, fix = paths.borrowed_home()
    if problem:
        yield DoctorFinding("user", Level.BROKEN, problem, fix)
        return
    if not account.is_root():
        return
    for directory in (paths.config_dir(), paths.data_dir(), paths.state_dir()):
        above = next(place for place in (directory, *directory.parents) if place.exists())
        owner = above.stat().st_uid
        if owner != 0:
            text = f"you are root, and {above} belongs to user {owner}"
            yield DoctorFinding("user", Level.BROKEN, text, account.SUDO_HINT)
            return


def _limits() -> Iterator[DoctorFinding]:
    """Check the limits of this process; a daemon that is started from here gets the same ones."""
    from nexo.connections import limits

    for shortage in limits.shortages():
        yield DoctorFinding("limits", Level.BROKEN, shortage.problem, shortage.hint)


def _disks(socket: Path) -> Iterator[DoctorFinding]:
    """Check each file system that the daemon writes to: is it writable, and does it have free space?"""
    import tempfile

    places = (
        ("data", paths.data_dir()),
        ("settings", paths.config_dir()),
        ("lock and log", paths.state_dir()),
        ("socket", socket.parent),
        ("temporary files", Path(tempfile.gettempdir())),
    )
    # One finding for each disk, but read-only mounts apart: a bind mount is no separate disk.
    seen: dict[tuple[int, int], list[str]] = {}
    where: dict[tuple[int, int], Path] = {}
    for what, place in places:
        there = next(above for above in (place, *place.parents) if paths.can_be_seen(above))
        disk = there.stat().st_dev, os.statvfs(there).f_flag & os.ST_RDONLY
        seen.setdefault(disk, []).append(what)
        where.setdefault(disk, there)
    for disk, directory in where.items():
        yield from _disk(directory, ", ".join(seen[disk]))


def _disk(directory: Path, what: str) -> Iterator[DoctorFinding]:
    space = os.statvfs(directory)
    free = space.f_bavail * space.f_frsize
    if space.f_flag & os.ST_RDONLY:
        text = f"the file system of {directory} is read-only ({what})"
        yield DoctorFinding(
            "disk", Level.BROKEN, text, "mount it writable; dmesg says whether a fault made it so"
        )
    elif free < 50 * 1024 * 1024:
        text = f"{free // 1024 // 1024} MB are free at {directory} ({what})"
        yield DoctorFinding(
            "disk", Level.WARNING, text, f"make room there: du -xh -d1 '{directory}' | sort -h"
        )
    elif space.f_files and space.f_favail < 100:
        text = f"{space.f_favail} more files fit at {directory} ({what})"
        yield DoctorFinding(
            "disk", Level.WARNING, text, f"remove files there: du -x --inodes -d1 '{directory}'"
        )


def _environment() -> Iterator[DoctorFinding]:
    override = os.environ.get("NEXO_CONNECTION")
    if override:
        text = f"NEXO_CONNECTION={override} overrides bindings and the default in this shell"
        yield DoctorFinding(
            "environment", Level.WARNING, text, "unset NEXO_CONNECTION, if you did not mean it"
        )
    inside = os.environ.get("NEXO_RUN")
    if inside:
        yield DoctorFinding("environment", Level.OK, f"inside `nexoctl run` (connection {inside})")
    proxies = [name for name in _PROXY_VARIABLES if os.environ.get(name)]
    if proxies:
        text = (
            f"{', '.join(proxies)} set here; the daemon uses what was set when it started, "
            "or what a connection says (--proxy)"
        )
        yield DoctorFinding("proxy", Level.OK, text)


def _clock() -> DoctorFinding:
    now = datetime.now(UTC)
    newest = 0.0
    for path in (paths.database(), paths.log_file()):
        with suppress(OSError):
            newest = max(newest, path.stat().st_mtime)
    if newest and datetime.fromtimestamp(newest, UTC) > now + _CLOCK_SLACK:
        text = "the store was written in the future: the clock of this computer went back"
        return DoctorFinding("clock", Level.WARNING, text, "set the clock (timedatectl set-ntp true)")
    if now.year < 2025:
        return DoctorFinding(
            "clock", Level.BROKEN, f"the clock says {now:%Y-%m-%d}; TLS will fail", "set the clock"
        )
    return DoctorFinding("clock", Level.OK, f"{now:%Y-%m-%d %H:%M} UTC")


def _lock() -> Iterator[DoctorFinding]:
    """A daemon that is just starting, or one in another container.

    If a running daemon does not answer on its socket, the error itself says so.
    """
    found = lock_note.living()
    if found is not None and not found.ready:
        text = f"nexod (pid {found.pid}) is starting, on {found.socket}"
        yield DoctorFinding(
            "lock", Level.WARNING, text, "wait a moment; if this stays: nexoctl daemon restart"
        )
    elif found is None and lock_note.held():
        text = f"a nexod that cannot be seen from here holds {paths.lock_file()}"
        yield DoctorFinding("lock", Level.BROKEN, text, "stop it in the container that shares this home")


def _store() -> Iterator[DoctorFinding]:
    """Check whether the daemon would refuse the store as one of a newer version."""
    import sqlite3

    address = f"{paths.database().absolute().as_uri()}?mode=ro&immutable=1"
    with suppress(sqlite3.Error), closing(sqlite3.connect(address, uri=True)) as db:
        revision = db.execute("SELECT version_num FROM alembic_version").fetchone()
        if revision and revision[0] not in REVISIONS:
            text = f"a newer version of Nexo Connections wrote {paths.database()}"
            fix = "install that version again; nexoctl daemon start names a backup that this one can restore"
            yield DoctorFinding("store", Level.BROKEN, text, fix)


def _daemon(
    status: types.Status,
    connections: tuple[types.Connection, ...],
    bindings: tuple[types.WorkspaceBinding, ...],
) -> Iterator[DoctorFinding]:
    yield DoctorFinding("daemon", Level.OK, f"running, version {status.version}, pid {status.pid}")
    if status.version != __version__:
        text = f"the daemon is version {status.version}, nexoctl is {__version__}"
        yield DoctorFinding("versions", Level.WARNING, text, "nexoctl daemon restart")
    if status.store is StoreState.READ_ONLY:
        problem = status.store_problem.removesuffix(status.store_advice).rstrip(". ")
        text = f"read-only: {problem}"
        yield DoctorFinding("store", Level.BROKEN, text, status.store_advice or "nexoctl store check")
    else:
        yield DoctorFinding("store", Level.OK, f"writable, revision {status.revision}")
    slot = status.vault_slot.replace("_", " ")
    if status.vault is VaultState.UNLOCKED:
        if status.vault_problem:
            problem, _, fix = status.vault_problem.rpartition("; ")
            yield DoctorFinding("vault", Level.BROKEN, f"unlocked ({slot}): {problem}", fix)
        else:
            yield DoctorFinding("vault", Level.OK, f"unlocked ({slot})")
        key_file = paths.key_file()
        if status.vault_slot == "key_file" and not key_file.exists():
            text = f"{key_file} is gone; the daemon has the key in memory only, and loses it at a restart"
            yield DoctorFinding(
                "vault", Level.BROKEN, text, "move it back, or: nexoctl vault rekey --to key_file"
            )
    else:
        text = f"{status.vault.value.replace('_', ' ')}{f' ({slot})' if slot else ''}: {status.vault_problem}"
        yield DoctorFinding("vault", Level.BROKEN, text, "nexoctl vault status")
    if status.offline_since is not None:
        yield DoctorFinding(
            "network", Level.WARNING, "this computer seems to be offline", "check the network"
        )
    if status.checks.paused:
        yield DoctorFinding("checks", Level.WARNING, "health checks are paused")
    yield from _connections(status, connections, bindings)


def _connections(
    status: types.Status,
    connections: tuple[types.Connection, ...],
    bindings: tuple[types.WorkspaceBinding, ...],
) -> Iterator[DoctorFinding]:
    if not connections and status.store is StoreState.READ_WRITE:
        yield DoctorFinding("connections", Level.WARNING, "there are none yet", "nexoctl add")
    if connections and not status.default_connection:
        yield DoctorFinding(
            "default", Level.WARNING, "there is no default connection", "nexoctl default NAME"
        )
    for connection in connections:
        topic = f"connection {connection.name}"
        if not connection.enabled:
            yield DoctorFinding(topic, Level.OK, "switched off")
        else:
            health, why = connection.health, phrase(connection.health.reason)
            text = f"{health.state.value} ({why})" if why else health.state.value
            fix = "" if health.state is HealthState.HEALTHY else health.advice
            if not fix and health.state in (HealthState.UNHEALTHY, HealthState.UNKNOWN):
                fix = f"nexoctl test '{connection.name}'"
            yield DoctorFinding(topic, _LEVELS[health.state], text, fix)
        expiry = looks.expiry(connection.key, datetime.now(UTC))
        if expiry:
            yield DoctorFinding(
                topic, Level.WARNING, expiry, f"nexoctl edit '{connection.name}' --api-key-stdin"
            )
    for binding in bindings:
        if binding.broken:
            text = (
                f"is bound to {binding.connection}, which is gone or switched off: its programs get an error"
            )
            fix = f"nexoctl workspace bind '{binding.workspace}' NAME, or nexoctl workspace unbind"
            yield DoctorFinding(f"workspace {binding.workspace}", Level.BROKEN, text, fix)


def _tray() -> Iterator[DoctorFinding]:
    if not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")) and sys.platform != "darwin":
        yield DoctorFinding("tray", Level.OK, "no desktop here; nexoctl does everything that the tray does")
        return
    yield _installed("tray", _NEEDED_BY_TRAY, "nexo-connections[tray]", Level.WARNING)
    if sys.platform.startswith("linux"):
        if not os.environ.get("DBUS_SESSION_BUS_ADDRESS"):
            yield DoctorFinding(
                "tray", Level.WARNING, "no session bus, so no tray icon", "log in to a desktop session"
            )
        if python.missing(("gi",)):
            yield DoctorFinding("tray", Level.WARNING, "PyGObject is missing", "apt install python3-gi")


Redact = Callable[[str], str]


def redactor() -> Redact:
    """Returns a function that removes personal data from a report: home directory, user name and host
    name.
    """
    import getpass
    import socket

    try:
        home = str(paths.home())
    except paths.UnsafePathError:
        home = ""
    words = [(home, "~")] if len(home) > 1 else []
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = ""
    # Replacing a short name would damage other words.
    words += [
        (word, hidden) for word, hidden in ((user, "USER"), (socket.gethostname(), "HOST")) if len(word) > 3
    ]

    def redact(text: str) -> str:
        for word, hidden in words:
            text = text.replace(word, hidden)
        return text

    return redact
