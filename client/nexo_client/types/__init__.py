"""What the SDK returns and takes: frozen dataclasses, one a noun of the contract.

Not for behaviour beyond what a value can say of itself, and free of grpc and protobuf. Only
`ConnectionDraft` and `ResolvedConnection` hold secrets; their `repr` shows none.
Moments are aware datetimes in UTC, spans are seconds as float, unless a name says otherwise.

A class is made when it is first used: making all of them takes longer than a command that needs three.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nexo_client.types.change import *  # noqa: F403
    from nexo_client.types.connection import *  # noqa: F403
    from nexo_client.types.daemon import *  # noqa: F403
    from nexo_client.types.following import *  # noqa: F403
    from nexo_client.types.handout import *  # noqa: F403
    from nexo_client.types.health import *  # noqa: F403
    from nexo_client.types.history import *  # noqa: F403
    from nexo_client.types.store import *  # noqa: F403
    from nexo_client.types.trial import *  # noqa: F403
    from nexo_client.types.vault import *  # noqa: F403
    from nexo_client.types.workspace import *  # noqa: F403

_HOMES = {
    "Backup": "store",
    "CheckResult": "store",
    "ClientInfo": "daemon",
    "Connection": "connection",
    "ConnectionDraft": "change",
    "ConnectionHealth": "history",
    "DefaultSwitch": "change",
    "Explanation": "workspace",
    "Export": "store",
    "Follower": "daemon",
    "Handout": "daemon",
    "Header": "change",
    "Headers": "handout",
    "Health": "health",
    "HealthHistory": "history",
    "HealthSample": "history",
    "HealthSettings": "history",
    "HealthTransition": "history",
    "ImportAction": "store",
    "ImportConsent": "store",
    "ImportStep": "store",
    "KeyInfo": "connection",
    "KeySlot": "vault",
    "LayerResult": "trial",
    "Model": "trial",
    "ModelList": "trial",
    "NetworkProfile": "connection",
    "OnStale": "following",
    "ProviderInfo": "trial",
    "RecoveryCode": "vault",
    "ResolutionStep": "workspace",
    "ResolvedConnection": "handout",
    "Restored": "store",
    "SavedConnection": "change",
    "Snapshot": "daemon",
    "Status": "daemon",
    "Suggestion": "trial",
    "TestResult": "trial",
    "USUAL_NETWORK": "connection",
    "Vault": "vault",
    "WatchEvent": "daemon",
    "Workspace": "workspace",
    "WorkspaceBinding": "workspace",
}


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = globals()[name] = getattr(import_module(f"{__name__}.{home}"), name)
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
