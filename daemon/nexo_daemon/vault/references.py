"""Keys that are kept outside the store: fetched when used, cached in memory briefly, never stored.

    keyring:SERVICE/USER    the keyring of the desktop, as `keyring set SERVICE USER` writes it
    file:PATH               the first line of a file that only you can read
    command:ARGV…           the first line that a program prints (`command:pass show openai`); no shell

Every fetch has a time limit. Its failure has its own error, different from that for a rejected key.
"""

import asyncio
import contextlib
import enum
import os
import shlex
import stat
import time
from pathlib import Path

from nexo.connections import account, processes
from nexo.connections.errors import InvalidField, KeyReferenceFailed
from nexo.connections.values import frozen
from nexo_daemon.domain.clock import WAITS_UNTIL, Clock
from nexo_daemon.domain.expiring_cache import ExpiringCache
from nexo_daemon.domain.secret import Secret, sendable
from nexo_daemon.domain.shortages import refuse_lack
from nexo_daemon.domain.thread_pool import ThreadPool
from nexo_daemon.vault import desktop_keyring
from nexo_daemon.vault.desktop_keyring import KeyringState

CACHED_S = 60.0
DEADLINE_S = 15.0
_CACHE_ENTRIES = 256
_REAP_S = 2.0
_ANSWER_S = 0.5
_OUTPUT_LIMIT = 64 * 1024
_MOST_FILES = 32
_MOST_KEYRING = 16
# Opening the vault helps only where the keyring opens the vault, too.
_KEYRING_HINTS = {
    KeyringState.LOCKED: "unlock it at the desktop, or with its password manager",
    KeyringState.ABSENT: "start the daemon in your desktop session, or keep the key in another place",
    KeyringState.HUNG: "restart the keyring service (log out and in)",
    KeyringState.FAILED: "try again; if it stays, restart the keyring service (log out and in)",
}


class ReferenceKind(enum.StrEnum):
    """The kinds of references."""

    KEYRING = "keyring"
    FILE = "file"
    COMMAND = "command"


@frozen
class Reference:
    """A parsed reference; `words` holds service and user, or the path, or the program with its arguments."""

    kind: ReferenceKind
    words: tuple[str, ...]


def parse(text: str, field: str = "api_key_reference") -> Reference:
    """Parse a reference.

    Raises:
        InvalidField: it is malformed; the hint shows the three forms.
    """
    forms = "use keyring:SERVICE/USER, file:/absolute/path or command:PROGRAM ARGUMENT…"
    scheme, separator, rest = text.strip().partition(":")
    if not separator or scheme not in set(ReferenceKind):
        raise InvalidField.of(field, "is not a reference to a key", forms)
    if any(ord(character) < 32 or ord(character) == 127 for character in rest) or not rest.strip():
        raise InvalidField.of(field, "is empty or has a control character in it", forms)
    kind = ReferenceKind(scheme)
    if kind is ReferenceKind.KEYRING:
        service, slash, user = rest.rpartition("/")
        if not slash or not service or not user:
            raise InvalidField.of(field, "needs a service and a user", "for example keyring:openai/me")
        return Reference(kind, (service, user))
    if kind is ReferenceKind.FILE:
        path = Path(rest).expanduser()
        if not path.is_absolute():
            raise InvalidField.of(
                field, "the path is relative", f"give the whole path, for example file:{path.absolute()}"
            )
        return Reference(kind, (str(path),))
    try:
        words = tuple(shlex.split(rest))
    except ValueError:
        raise InvalidField.of(field, "a quotation mark is not closed", forms) from None
    if not words:
        raise InvalidField.of(field, "names no program", "for example command:pass show openai")
    return Reference(kind, words)


class References:
    """Fetches keys on the event loop; concurrent fetches of one reference share one attempt."""

    def __init__(self, clock: Clock, *, cached_s: float = CACHED_S, deadline_s: float = DEADLINE_S) -> None:
        self._deadline_s = deadline_s
        self._cache: ExpiringCache[str, Secret] = ExpiringCache(
            clock, lifetime_s=cached_s, limit=_CACHE_ENTRIES
        )
        # By reference, the fetches whose key may be cached; and all fetches, which end with the daemon.
        self._running: dict[str, asyncio.Task[Secret]] = {}
        self._tasks: set[asyncio.Task[Secret]] = set()
        self._files = ThreadPool("key files", most=_MOST_FILES)
        self._keyring = ThreadPool("keyring", most=_MOST_KEYRING)

    def known(self, text: str) -> Secret | None:
        """The key, if it is in the cache."""
        return self._cache.get(text)

    async def fetch(self, text: str) -> Secret:
        """Fetch the key.

        Raises:
            KeyReferenceFailed: not found, refused, empty, not sendable, or no answer within the time limit or
                while the caller waits. In the latter case the fetch continues, and its key is cached.
            InvalidField: the reference is malformed.
            DaemonFailed: the daemon lacks what it takes.
        """
        known = self._cache.get(text)
        if known is not None:
            return known
        task = self._running.get(text)
        if task is None:
            task = self._running[text] = asyncio.create_task(self._look_up(text))
            self._tasks.add(task)
            task.add_done_callback(lambda done: self._ended(text, done))
        patience_s = _patience_s()
        try:
            async with asyncio.timeout(patience_s):
                return await asyncio.shield(task)
        except TimeoutError:
            raise KeyReferenceFailed(
                f"{_name(parse(text))} has not answered, and the program waits only {patience_s or 0:.1f} s",
                hint="look for a dialog that waits for you, and try again",
            ) from None

    def _ended(self, text: str, task: asyncio.Task[Secret]) -> None:
        self._tasks.discard(task)
        found = not task.cancelled() and task.exception() is None
        # If the reference was forgotten meanwhile, the waiting callers get the key, but it is not cached.
        if self._running.get(text) is task:
            del self._running[text]
            if found:
                self._cache.put(text, task.result())

    def forget(self, text: str | None = None) -> None:
        """Clear the cache: for one reference after its key was rejected, for all when the vault is locked."""
        if text is None:
            self._cache.clear()
            self._running.clear()
        else:
            self._cache.forget(text)
            self._running.pop(text, None)

    async def aclose(self) -> None:
        """Cancel running fetches and clear the cache."""
        self.forget()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _look_up(self, text: str) -> Secret:
        reference = parse(text)
        if reference.kind is ReferenceKind.FILE:
            found = await self._from_file(Path(reference.words[0]))
        elif reference.kind is ReferenceKind.KEYRING:
            found = await self._from_keyring(*reference.words)
        else:
            found = await self._from_command(reference.words)
        key = found.strip()
        if not key:
            raise KeyReferenceFailed(
                f"{reference.kind}: the key at this reference is empty",
                hint="put the key there, or edit the reference",
            )
        if not sendable(key):
            raise KeyReferenceFailed(
                f"{reference.kind}: the key at this reference has a character that no header can carry",
                hint="put only the key there, as plain text without a byte order mark",
            )
        return Secret(key)

    async def _from_file(self, path: Path) -> str:
        try:
            return await self._files.join(path, lambda: _from_file(path), deadline_s=self._deadline_s)
        except TimeoutError:
            raise KeyReferenceFailed(
                f"file:{path} could not be read within {self._deadline_s:g} s",
                hint="its file system does not answer (a network mount that is away?); see: mount",
            ) from None

    async def _from_keyring(self, service: str, user: str) -> str:
        try:
            found = await self._keyring.run(
                lambda: desktop_keyring.get(service, user, deadline_s=self._deadline_s),
                deadline_s=self._deadline_s + _REAP_S,
            )
        except TimeoutError:
            raise KeyReferenceFailed(
                f"keyring:{service}/{user}: the keyring did not answer within {self._deadline_s:g} s",
                hint="restart the keyring service (log out and in)",
            ) from None
        except desktop_keyring.KeyringUnusableError as error:
            raise KeyReferenceFailed(
                f"keyring:{service}/{user}: {error}", hint=_KEYRING_HINTS.get(error.state, error.hint)
            ) from None
        if found is None:
            raise KeyReferenceFailed(
                f"keyring:{service}/{user}: the keyring has no such entry",
                hint=f"put it there: keyring set {shlex.quote(service)} {shlex.quote(user)}",
            )
        return found

    async def _from_command(self, words: tuple[str, ...]) -> str:
        name = Path(words[0]).name
        try:
            process = await asyncio.create_subprocess_exec(
                *words,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                # Its stderr may contain secrets, so it is discarded and never logged.
                stderr=asyncio.subprocess.DEVNULL,
                start_new_session=True,
                limit=_OUTPUT_LIMIT,
            )
        except OSError as error:
            refuse_lack(error, f"start command:{name}")
            raise KeyReferenceFailed(
                f"command:{name} cannot be started: {error.strerror}",
                hint="check the program's name; the daemon's PATH may differ from your shell's",
            ) from None
        try:
            async with asyncio.timeout(self._deadline_s):
                assert process.stdout is not None  # noqa: S101 - PIPE was asked for
                output = await process.stdout.read(_OUTPUT_LIMIT)
                while not process.stdout.at_eof():
                    await process.stdout.read(_OUTPUT_LIMIT)
                code = await process.wait()
        except TimeoutError:
            raise KeyReferenceFailed(
                f"command:{name} did not answer within {self._deadline_s:g} s",
                hint="run it in a terminal; it may be waiting for a passphrase",
            ) from None
        finally:
            # With its children, because a hung pinentry would stay for ever.
            processes.end_group(process.pid)
            await _reap(process)
        if code != 0:
            raise KeyReferenceFailed(
                f"command:{name} failed with exit code {code}", hint="run it in a terminal to see why"
            )
        return _first_line(output)


def _patience_s() -> float | None:
    """How long the caller waits, less the time for the answer; None if without a limit."""
    until = WAITS_UNTIL.get()
    if until is None:
        return None
    left_s = max(0.0, until - time.monotonic())
    return left_s - min(_ANSWER_S, left_s / 2)


def _name(reference: Reference) -> str:
    """The reference without the arguments of a program, which may be secret."""
    words = reference.words
    if reference.kind is ReferenceKind.COMMAND:
        return f"command:{Path(words[0]).name}"
    return f"{reference.kind}:{'/'.join(words)}"


async def _reap(process: asyncio.subprocess.Process) -> None:
    # asyncio's `wait` returns only at the end of the pipe, which is not reached while a full buffer is not
    # read (seen with `yes`): so read on. A descendant that left the group may still hold the pipe open.
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_REAP_S):
            while process.stdout is not None and await process.stdout.read(_OUTPUT_LIMIT):
                pass
            await process.wait()


def _from_file(path: Path) -> str:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        refuse_lack(error, f"read file:{path}")
        raise KeyReferenceFailed(
            f"file:{path}: {error.strerror}", hint="put the key there, or edit the reference"
        ) from None
    try:
        info = os.fstat(descriptor)
        if not stat.S_ISREG(info.st_mode):
            raise KeyReferenceFailed(f"file:{path} is not a regular file", hint="edit the reference")
        if problem := account.others_may("read", info):
            raise KeyReferenceFailed(
                f"file:{path}: {problem}",
                hint=f"chmod 600 {shlex.quote(str(path))}",
            )
        return _first_line(os.read(descriptor, _OUTPUT_LIMIT))
    finally:
        os.close(descriptor)


def _first_line(output: bytes) -> str:
    lines = output.decode("utf-8", "replace").strip().splitlines()
    return lines[0] if lines else ""
