"""The SDK of Nexo Connections: resolve a connection, use it, follow switches.

    import nexo_client

    with nexo_client.connect() as client:
        conn = client.resolve(workspace=".")

`nexo_client.aio` is the same API on asyncio. Names are imported when they are first used, so that modules
that do not need grpc do not import it.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nexo.connections.terms import *
    from nexo_client import aio, errors, types
    from nexo_client.base_client import Subscription
    from nexo_client.client import Client, connect
    from nexo_client.errors import *
    from nexo_client.factories import (
        anthropic_client,
        async_anthropic_client,
        async_ollama_client,
        async_openai_client,
        google_client,
        ollama_client,
        openai_client,
    )
    from nexo_client.follow import LiveConnection
    from nexo_client.switching import FOLLOWED, FollowingAuth
    from nexo_client.types import *
    from nexo_client.workspace import WorkspaceLike

from nexo.connections.version import __version__

_HOMES = {
    "Client": "nexo_client.client",
    "connect": "nexo_client.client",
    "FOLLOWED": "nexo_client.switching",
    "FollowingAuth": "nexo_client.switching",
    "LiveConnection": "nexo_client.follow",
    "Subscription": "nexo_client.base_client",
    "WorkspaceLike": "nexo_client.workspace",
    "anthropic_client": "nexo_client.factories",
    "async_anthropic_client": "nexo_client.factories",
    "async_ollama_client": "nexo_client.factories",
    "async_openai_client": "nexo_client.factories",
    "google_client": "nexo_client.factories",
    "ollama_client": "nexo_client.factories",
    "openai_client": "nexo_client.factories",
}
_MODULES = ("aio", "errors", "types")
_SHARED = ("nexo_client.errors", "nexo_client.types", "nexo.connections.terms")

__all__ = [
    "FOLLOWED",
    "Action",
    "AuthScheme",
    "AutoLock",
    "Backup",
    "BindingBroken",
    "CheckResult",
    "Client",
    "ClientInfo",
    "Connection",
    "ConnectionDisabled",
    "ConnectionDraft",
    "ConnectionHealth",
    "ConnectionInUse",
    "ConnectionNotFound",
    "DaemonFailed",
    "DaemonNotRunning",
    "DaemonUnsafe",
    "DeadlineExceeded",
    "DefaultSwitch",
    "Explanation",
    "Export",
    "Follower",
    "FollowingAuth",
    "Gateway",
    "GatewayClosed",
    "GatewayOverview",
    "GatewayToken",
    "GatewayUser",
    "Handout",
    "Header",
    "Headers",
    "Health",
    "HealthHistory",
    "HealthSample",
    "HealthSettings",
    "HealthSlice",
    "HealthState",
    "HealthTransition",
    "ImportAction",
    "ImportConsent",
    "ImportStep",
    "IncompatibleDaemon",
    "InvalidField",
    "KeyInfo",
    "KeyOriginChanged",
    "KeyReferenceFailed",
    "KeySlot",
    "KeySource",
    "KeyVerdict",
    "LastTest",
    "Layer",
    "LayerResult",
    "LayerStatus",
    "LimitReached",
    "LiveConnection",
    "MappedModel",
    "Model",
    "ModelList",
    "NameTaken",
    "NetworkProfile",
    "NewGatewayToken",
    "NexoError",
    "NoDefaultConnection",
    "NotFound",
    "NothingToUndo",
    "OnStale",
    "Outcome",
    "Provider",
    "ProviderFailed",
    "ProviderInfo",
    "ProviderKind",
    "Reason",
    "RecoveryCode",
    "Refused",
    "Remedy",
    "ResolutionSource",
    "ResolutionStep",
    "ResolvedConnection",
    "Restored",
    "RetryLater",
    "RunToken",
    "SavedConnection",
    "SecretTampered",
    "ServiceFailed",
    "SettingsUnavailable",
    "ShuttingDown",
    "SlicedHistory",
    "Snapshot",
    "StaleRevision",
    "Status",
    "StoreFailed",
    "StoreFull",
    "StoreReadOnly",
    "StoreState",
    "Subscription",
    "Suggestion",
    "TestResult",
    "TokenNotFound",
    "Usage",
    "UsageBy",
    "UsageReport",
    "Vault",
    "VaultKeyLost",
    "VaultLocked",
    "VaultState",
    "WatchEvent",
    "Workspace",
    "WorkspaceBinding",
    "WorkspaceLike",
    "WorkspaceNotFound",
    "__version__",
    "aio",
    "anthropic_client",
    "async_anthropic_client",
    "async_ollama_client",
    "async_openai_client",
    "connect",
    "errors",
    "google_client",
    "ollama_client",
    "openai_client",
    "types",
]

# Type checkers read the imports above. With this function, they would accept any name.
if not TYPE_CHECKING:

    def __getattr__(name):
        import importlib

        if name in _MODULES:
            return importlib.import_module(f"nexo_client.{name}")
        homes = [_HOMES[name]] if name in _HOMES else _SHARED if name in __all__ else []
        for home in homes:
            module = importlib.import_module(home)
            if hasattr(module, name):
                return getattr(module, name)
        raise AttributeError(f"module 'nexo_client' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
