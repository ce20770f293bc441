"""The configuration at one moment: immutable and indexed; every read is answered from it.

Health is not part of it, because it changes far more often; see `registry.health_board`.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from nexo.connections.errors import ConnectionNotFound, StoreFailed
from nexo.connections.names import key as name_key
from nexo.connections.similar import most_similar
from nexo.connections.values import frozen
from nexo_daemon.domain.model import (
    Binding,
    Settings,
    StoredConnection,
    StoredState,
    WorkspaceKey,
    WorkspaceKind,
)


@frozen
class RegistrySnapshot:
    """Connections in the order of creation, bindings and settings.

    Attributes:
        routed_at: revision of the last change of the default, the fall-back or a stand-in. A follower is told
            of it even if its connection is the same again (there and back).
        gone: see `StoredState`.
    """

    settings: Settings
    connections: Mapping[str, StoredConnection]
    ids_by_name: Mapping[str, str]
    bindings: Mapping[WorkspaceKey, Binding]
    bound_lengths: tuple[int, ...]
    routed_at: int
    gone: tuple[str, str] = ("", "")

    @classmethod
    def of(cls, state: StoredState) -> "RegistrySnapshot":
        """Build the snapshot from the content of the store."""
        bindings = {binding.workspace: binding for binding in state.bindings}
        return cls(
            settings=state.settings,
            connections={connection.id: connection for connection in state.connections},
            ids_by_name={name_key(connection.name): connection.id for connection in state.connections},
            bindings=bindings,
            bound_lengths=_lengths(bindings),
            routed_at=state.settings.revision,
            gone=state.gone,
        )

    @property
    def loss(self) -> StoreFailed | None:
        """The error for those who ask for connections while the store is gone; None if it is there."""
        problem, advice = self.gone
        return StoreFailed(problem, hint=advice) if problem else None

    def require_store(self) -> None:
        """Raise `StoreFailed` if the store is gone."""
        if self.loss is not None:
            raise self.loss

    @property
    def revision(self) -> int:
        """The store revision."""
        return self.settings.revision

    @property
    def default(self) -> StoredConnection | None:
        """The default connection."""
        return self.connections.get(self.settings.default_id or "")

    def find(self, name: str) -> StoredConnection | None:
        """The connection with that name (ignoring case) or id."""
        return self.connections.get(self.ids_by_name.get(name_key(name), name))

    def get(self, name: str) -> StoredConnection:
        """Like `find`.

        Raises:
            ConnectionNotFound: suggests a similar name.
        """
        self.require_store()
        found = self.find(name)
        if found is None:
            near = most_similar(name, (known.name for known in self.connections.values()))
            hint = f"did you mean '{near}'?" if near else "see 'nexoctl list'"
            raise ConnectionNotFound(f"there is no connection '{name}'", hint=hint, metadata={"name": name})
        return found

    def bound_to(self, connection_id: str) -> tuple[Binding, ...]:
        """The bindings that lead to a connection."""
        return tuple(b for b in self.bindings.values() if b.connection_id == connection_id)

    def with_connections(self, changed: Iterable[StoredConnection]) -> "RegistrySnapshot":
        """A copy with connections added or changed."""
        connections, names, bindings = dict(self.connections), dict(self.ids_by_name), self.bindings
        for one in changed:
            old = connections.get(one.id)
            if old is not None and old.name != one.name:
                del names[name_key(old.name)]
                bindings = {
                    key: replace(b, connection_name=one.name) if b.connection_id == one.id else b
                    for key, b in bindings.items()
                }
            names[name_key(one.name)] = one.id
            connections[one.id] = one
        return replace(self, connections=connections, ids_by_name=names, bindings=bindings)

    def without_connection(self, connection_id: str) -> "RegistrySnapshot":
        """A copy without the connection; bindings to it stay."""
        return replace(
            self,
            connections={id_: c for id_, c in self.connections.items() if id_ != connection_id},
            ids_by_name={key: id_ for key, id_ in self.ids_by_name.items() if id_ != connection_id},
        )

    def with_bindings(
        self, changed: Iterable[Binding], removed: Iterable[WorkspaceKey] = ()
    ) -> "RegistrySnapshot":
        """A copy with bindings added, changed and removed."""
        bindings = {**self.bindings, **{binding.workspace: binding for binding in changed}}
        for key in removed:
            bindings.pop(key, None)
        return replace(self, bindings=bindings, bound_lengths=_lengths(bindings))

    def with_settings(self, settings: Settings, *, rerouted: bool) -> "RegistrySnapshot":
        """A copy with new settings; `rerouted` if resolutions change although these two stay."""
        before = self.settings
        rerouted = rerouted or (before.default_id, before.fallback_ids) != (
            settings.default_id,
            settings.fallback_ids,
        )
        return replace(self, settings=settings, routed_at=settings.revision if rerouted else self.routed_at)


def _lengths(bindings: Iterable[WorkspaceKey]) -> tuple[int, ...]:
    paths = {len(key.value) for key in bindings if key.kind is WorkspaceKind.PATH}
    return tuple(sorted(paths, reverse=True))
