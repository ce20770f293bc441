"""The value types of the SDK: those of `nexo.connections.model`, and the SDK's own in `handout`.

Only `ConnectionDraft`, `ResolvedConnection`, `RunToken`, `NewGatewayToken` and `RecoveryCode` contain
secrets; no `repr` shows one. Times are aware datetimes in UTC, durations are seconds as float, unless a name
says otherwise. This package does not import grpc or protobuf.

Classes are imported when they are first used, because importing all of them is slower than a short command.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nexo.connections.model.change import *
    from nexo.connections.model.connection import *
    from nexo.connections.model.daemon import *
    from nexo.connections.model.gateway import *
    from nexo.connections.model.health import *
    from nexo.connections.model.history import *
    from nexo.connections.model.store import *
    from nexo.connections.model.trial import *
    from nexo.connections.model.vault import *
    from nexo.connections.model.workspace import *
    from nexo_client.types.handout import *

_NAMES = {
    "nexo.connections.model.change": "ConnectionDraft DefaultSwitch Header SavedConnection",
    "nexo.connections.model.connection": "Connection KeyInfo MappedModel NetworkProfile USUAL_NETWORK",
    "nexo.connections.model.daemon": "ClientInfo Follower Handout Snapshot Status WatchEvent",
    "nexo.connections.model.gateway": (
        "Gateway GatewayOverview GatewayToken GatewayUser NewGatewayToken RunToken Usage UsageReport"
    ),
    "nexo.connections.model.health": "Health",
    "nexo.connections.model.history": (
        "ConnectionHealth HealthHistory HealthSample HealthSettings HealthSlice HealthTransition "
        "SlicedHistory"
    ),
    "nexo.connections.model.store": (
        "Backup CheckResult Export ImportAction ImportConsent ImportStep Restored"
    ),
    "nexo.connections.model.trial": (
        "LastTest LayerResult Model ModelList ProviderInfo Suggestion TestResult"
    ),
    "nexo.connections.model.vault": "AutoLock KeySlot RecoveryCode Vault",
    "nexo.connections.model.workspace": "Explanation ResolutionStep Workspace WorkspaceBinding",
    "nexo_client.types.handout": "Headers OnStale ResolvedConnection",
}
_HOMES = {name: module for module, names in _NAMES.items() for name in names.split()}


# Type checkers read the imports above. With this function, they would accept any name.
if not TYPE_CHECKING:

    def __getattr__(name):
        home = _HOMES.get(name)
        if home is None:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        found = globals()[name] = getattr(import_module(home), name)
        return found


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
