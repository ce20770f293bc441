"""Variables that `nexoctl run` sets for one connection, and how they are reverted for others.

A shell or editor that was started by it lives for days. The proxy and the certificates in its environment
belong to one connection, and a daemon that is started there must not take them for those of the system.
"""

import json
from collections.abc import Mapping, MutableMapping

NAME = "NEXO_RUN"
"""The name of the connection."""

BEFORE = "NEXO_RUN_NETWORK"
"""The network variables as they were before: a JSON object, null for one that was not there."""

NETWORK = (
    *(
        cased
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")
        for cased in (name, name.lower())
    ),
    "SSL_CERT_FILE",
    "REQUESTS_CA_BUNDLE",
    "NODE_EXTRA_CA_CERTS",
)
"""The variables of a run for the proxy and the certificates of its connection."""


def marked(environment: dict[str, str], before: Mapping[str, str], connection: str) -> dict[str, str]:
    """The environment of a run.

    Args:
        before: the environment that `nexoctl run` was started in.
    """
    changed = {
        name: before.get(name) for name in NETWORK if environment.get(name, "") != before.get(name, "")
    }
    return environment | {NAME: connection, BEFORE: json.dumps(changed)}


def outside(environment: Mapping[str, str]) -> Mapping[str, str]:
    """The variables as they would be outside the run; not in a run, these variables."""
    if NAME not in environment and BEFORE not in environment:
        return environment
    before = dict(environment)
    take_back(before)
    return before


def take_back(environment: MutableMapping[str, str]) -> None:
    """Restore the network variables from before the run; not in a run, do nothing."""
    said = environment.pop(BEFORE, None)
    inside = environment.pop(NAME, None)
    if said is None and inside is None:
        return
    try:
        before = json.loads(said or "null")
    except ValueError:
        before = None
    if not isinstance(before, dict):
        # A run by an earlier version left no note: remove the variables that may come from its connection.
        before = dict.fromkeys(NETWORK)
    for name in NETWORK:
        value = before.get(name, environment.get(name))
        if isinstance(value, str):
            environment[name] = value
        else:
            environment.pop(name, None)
