"""Helpers for tests of the store: its directory, a clock that is moved by hand, and connections to store."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from nexo.connections.terms import AuthScheme, Provider
from nexo_daemon.domain.model import Credentials, StoredConnection
from nexo_daemon.domain.secret import Secret
from nexo_daemon.store.store import Store
from nexo_daemon.vault.derivation import new_recovery_code
from nexo_daemon.vault.slots import SlotKind
from nexo_daemon.vault.wrapping_keys import UnlockContext

CANARY = "sk-canary-5f2d9a77c1"
NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


class HandClock:
    """A clock that moves only when a test moves it."""

    def __init__(self, now: datetime = NOON) -> None:
        self._now = now

    def now(self) -> datetime:
        """See `Clock`."""
        return self._now

    def monotonic(self) -> float:
        """See `Clock`."""
        return self._now.timestamp()

    def elapsed(self) -> float:
        """See `Clock`."""
        return self.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Moves the time instead of waiting."""
        self.turn(timedelta(seconds=seconds))

    def turn(self, by: timedelta) -> None:
        """Move it."""
        self._now += by


@dataclass
class StorePlace:
    """The directory of a store, its key file and its backups; `open` may be called repeatedly."""

    root: Path
    clock: HandClock
    slot: SlotKind | None = SlotKind.KEY_FILE

    @property
    def file(self) -> Path:
        """The database."""
        return self.root / "data" / "connections.db"

    @property
    def key_file(self) -> Path:
        """The key file."""
        return self.root / "config" / "vault.key"

    @property
    def context(self) -> UnlockContext:
        """The unlock context that the daemon would have."""
        return UnlockContext(self.key_file, preferred=self.slot)

    def open(self) -> Store:
        """Open the store."""
        return Store.open(self.file, key_file=self.key_file, clock=self.clock, context=self.context)

    def bytes(self) -> dict[str, bytes]:
        """The content of every file of the database."""
        return {path.name: path.read_bytes() for path in self.file.parent.glob("*.db*") if path.is_file()}


def recovery_code(store: Store) -> str:
    """Make a recovery code, and set it."""
    code = new_recovery_code()
    store.key_manager.set_recovery_code(Secret(code))
    return code


def connection(number: int = 1, **changes: Any) -> StoredConnection:
    """A connection whose important fields depend on the number."""
    made = StoredConnection(
        id=f"id-{number}",
        name=f"Work {number}",
        provider=Provider.CUSTOM,
        base_url=f"https://api{number}.example.com/v1",
        auth_scheme=AuthScheme.BEARER,
        default_model="model-a",
        created_at=NOON,
        updated_at=NOON,
    )
    return replace(made, **changes)


def credentials(key: str = CANARY) -> Credentials:
    """A key and two headers, one of which is a secret, too."""
    return Credentials(Secret(key), (("X-Team", Secret(key + "-header")), ("X-Other", Secret("plain"))))


def put(store: Store, *numbers: int, key: Callable[[int], str] = lambda n: f"{CANARY}-{n}") -> None:
    """Store connections with these numbers; the first becomes the default if there is none."""
    with store.transaction() as tx:
        for number in numbers:
            revision = tx.next_revision()
            made = tx.insert_connection(connection(number, revision=revision), credentials(key(number)))
            if tx.settings.default_id is None:
                tx.set_default(made.id, None)
