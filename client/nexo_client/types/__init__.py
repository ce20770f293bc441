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

_HOMES = {
    "AutoLock": "nexo.connections.model.vault",
    "Backup": "nexo.connections.model.store",
    "CheckResult": "nexo.connections.model.store",
    "ClientInfo": "nexo.connections.model.daemon",
    "Connection": "nexo.connections.model.connection",
    "ConnectionDraft": "nexo.connections.model.change",
    "ConnectionHealth": "nexo.connections.model.history",
    "DefaultSwitch": "nexo.connections.model.change",
    "Explanation": "nexo.connections.model.workspace",
    "Export": "nexo.connections.model.store",
    "Follower": "nexo.connections.model.daemon",
    "Gateway": "nexo.connections.model.gateway",
    "GatewayOverview": "nexo.connections.model.gateway",
    "GatewayToken": "nexo.connections.model.gateway",
    "GatewayUser": "nexo.connections.model.gateway",
    "Handout": "nexo.connections.model.daemon",
    "Header": "nexo.connections.model.change",
    "Headers": "nexo_client.types.handout",
    "Health": "nexo.connections.model.health",
    "HealthHistory": "nexo.connections.model.history",
    "HealthSample": "nexo.connections.model.history",
    "HealthSettings": "nexo.connections.model.history",
    "HealthSlice": "nexo.connections.model.history",
    "HealthTransition": "nexo.connections.model.history",
    "ImportAction": "nexo.connections.model.store",
    "ImportConsent": "nexo.connections.model.store",
    "ImportStep": "nexo.connections.model.store",
    "KeyInfo": "nexo.connections.model.connection",
    "KeySlot": "nexo.connections.model.vault",
    "LastTest": "nexo.connections.model.trial",
    "LayerResult": "nexo.connections.model.trial",
    "MappedModel": "nexo.connections.model.connection",
    "Model": "nexo.connections.model.trial",
    "ModelList": "nexo.connections.model.trial",
    "NetworkProfile": "nexo.connections.model.connection",
    "NewGatewayToken": "nexo.connections.model.gateway",
    "OnStale": "nexo_client.types.handout",
    "ProviderInfo": "nexo.connections.model.trial",
    "RecoveryCode": "nexo.connections.model.vault",
    "ResolutionStep": "nexo.connections.model.workspace",
    "ResolvedConnection": "nexo_client.types.handout",
    "Restored": "nexo.connections.model.store",
    "RunToken": "nexo.connections.model.gateway",
    "SavedConnection": "nexo.connections.model.change",
    "SlicedHistory": "nexo.connections.model.history",
    "Snapshot": "nexo.connections.model.daemon",
    "Status": "nexo.connections.model.daemon",
    "Suggestion": "nexo.connections.model.trial",
    "TestResult": "nexo.connections.model.trial",
    "USUAL_NETWORK": "nexo.connections.model.connection",
    "Usage": "nexo.connections.model.gateway",
    "UsageReport": "nexo.connections.model.gateway",
    "Vault": "nexo.connections.model.vault",
    "WatchEvent": "nexo.connections.model.daemon",
    "Workspace": "nexo.connections.model.workspace",
    "WorkspaceBinding": "nexo.connections.model.workspace",
}


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
