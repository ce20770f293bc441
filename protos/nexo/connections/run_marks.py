"""Marks the environment that `nexoctl run` sets up for one connection, and undoes it for everything else.

A shell or editor started with `nexoctl run` may live for days. The proxy and the certificates in its
environment belong to one connection. A daemon started from there must not take them for the settings of the
system.
"""

import json
from collections.abc import Mapping, MutableMapping

NAME = "NEXO_RUN"
"""The name of the connection."""

BEFORE = "NEXO_RUN_NETWORK"
"""The network variables from before the run, as a JSON object; null for a variable that was not set."""

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
"""The variables that a run sets for the proxy and the certificates of its connection."""


def marked(environment: dict[str, str], before: Mapping[str, str], connection: str) -> dict[str, str]:
    """Add the marks to the environment of a run.

    Args:
        environment: the environment for the program.
        before: the environment in which `nexoctl run` was started.
        connection: name of the connection.
    """
    changed = {
        name: before.get(name) for name in NETWORK if environment.get(name, "") != before.get(name, "")
    }
    return environment | {NAME: connection, BEFORE: json.dumps(changed)}


def outside(environment: Mapping[str, str]) -> Mapping[str, str]:
    """The environment as it was outside the run; unchanged if this is not a run."""
    if NAME not in environment and BEFORE not in environment:
        return environment
    before = dict(environment)
    take_back(before)
    return before


def take_back(environment: MutableMapping[str, str]) -> None:
    """Restore the network variables from before the run, in place; does nothing if this is not a run."""
    said = environment.pop(BEFORE, None)
    inside = environment.pop(NAME, None)
    if said is None and inside is None:
        return
    try:
        before = json.loads(said or "null")
    except ValueError:
        before = None
    if not isinstance(before, dict):
        # Earlier versions did not save the variables: remove all that may belong to the connection.
        before = dict.fromkeys(NETWORK)
    for name in NETWORK:
        value = before.get(name, environment.get(name))
        if isinstance(value, str):
            environment[name] = value
        else:
            environment.pop(name, None)
