"""Short functions that make states of the tray for tests, and a desktop that records what it is told."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from nexo.connections.terms import (
    AuthScheme,
    HealthState,
    KeySource,
    KeyVerdict,
    Provider,
    StoreState,
    VaultState,
)
from nexo_client.types import (
    Connection,
    Health,
    HealthSettings,
    HealthTransition,
    KeyInfo,
    NetworkProfile,
    Snapshot,
    Status,
    WorkspaceBinding,
)
from nexo_tray.explain import Text
from nexo_tray.model import Picture
from nexo_tray.notices import Notice
from nexo_tray.state import DaemonLink, LinkState, State

NOW = datetime(2026, 11, 23, 12, 0, 0, tzinfo=UTC)


def ago(**span: float) -> datetime:
    """A moment before NOW."""
    return NOW - timedelta(**span)


def healthy(latency_s: float = 0.312, checked: datetime = NOW) -> Health:
    return Health(HealthState.HEALTHY, since=ago(days=1), checked_at=checked, latency_s=latency_s)


def limited(reason: str = "rate_limited", **rest: float) -> Health:
    retry_at = NOW + timedelta(**rest) if rest else None
    return Health(HealthState.LIMITED, reason, since=NOW, checked_at=NOW, retry_at=retry_at, advice="Wait.")


def unhealthy(reason: str = "invalid_key", since: datetime = NOW) -> Health:
    return Health(HealthState.UNHEALTHY, reason, since=since, checked_at=NOW, advice="Make a new key.")


def unknown(reason: str = "never", last_known: HealthState | None = None) -> Health:
    return Health(HealthState.UNKNOWN, reason, last_known=last_known)


def connection(
    name: str, health: Health | None = None, *, default: bool = False, enabled: bool = True
) -> Connection:
    """A connection; its id is the name with `id-` in front."""
    return Connection(
        id=f"id-{name}",
        name=name,
        provider=Provider.OPENAI,
        preset="",
        base_url="https://api.example.test/v1",
        auth_scheme=AuthScheme.BEARER,
        key=KeyInfo(KeySource.STORED, KeyVerdict.VERIFIED),
        header_names=(),
        default_model="",
        enabled=enabled,
        is_default=default,
        network=NetworkProfile(),
        proxy_has_credentials=False,
        health=health or healthy(),
        revision=1,
        created_at=NOW,
        updated_at=NOW,
    )


STATUS = Status(
    version="0.1.0",
    pid=4711,
    started_at=NOW,
    socket_path="/run/user/1000/nexo/nexod.sock",
    database_path="/home/p/.local/share/nexo/connections.db",
    log_path="/home/p/.local/state/nexo/nexod.log",
    revision=1,
    vault=VaultState.UNLOCKED,
    vault_slot="key_file",
    vault_problem="",
    store=StoreState.READ_WRITE,
    store_problem="",
    default_connection="work",
    connections=1,
    enabled_connections=1,
    followers=(),
    watchers=1,
    offline_since=None,
    checks=HealthSettings(),
)


def snapshot(
    *connections: Connection, status: Status = STATUS, bindings: tuple[WorkspaceBinding, ...] = ()
) -> Snapshot:
    return Snapshot(connections, bindings, status)


def live(
    *connections: Connection, status: Status = STATUS, bindings: tuple[WorkspaceBinding, ...] = ()
) -> State:
    """The state of a tray whose daemon has these connections."""
    return State(DaemonLink(LinkState.LIVE, NOW), snapshot(*connections, status=status, bindings=bindings))


def away(state: State, problem: str = "the daemon is not running") -> State:
    """The same state after the daemon went away."""
    return replace(state, link=DaemonLink(LinkState.AWAY, NOW, problem, "start the daemon"))


def transition(
    to: HealthState,
    *,
    before: HealthState = HealthState.HEALTHY,
    at: datetime = NOW,
    reason: str = "invalid_key",
    important: bool = True,
    lasted_s: float | None = 60.0,
    name: str = "work",
) -> HealthTransition:
    return HealthTransition(
        f"id-{name}", name, at, before, to, reason, "evidence", lasted_s, "Make a new key.", important
    )


class Paper:
    """A desktop that writes down what it is asked for."""

    def __init__(self) -> None:
        self.texts: list[Text] = []
        self.copied: list[str] = []
        self.notices: list[Notice] = []
        self.pictures: list[Picture] = []

    def later(self, act: Callable[[], None]) -> None:
        act()

    def show(self, text: Text) -> None:
        self.texts.append(text)

    def copy(self, text: str) -> None:
        self.copied.append(text)

    def notify(self, notice: Notice) -> None:
        self.notices.append(notice)

    @property
    def default(self) -> str:
        marked = [item.label.split()[1] for item in self.pictures[-1].menu if item.radio and item.checked]
        return marked[0] if marked else ""
