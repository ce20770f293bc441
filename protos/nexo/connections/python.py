"""How do we start Python for a module of ours, and what does the daemon need of it?

Started so that nothing of the working directory runs in it.

`python -m` puts the present directory in front of everything: a `random.py` or `secrets.py` of somebody's
homework would run in the daemon, and a cloned repository could bring a `keyring_child.py` of its own. Nothing
else names `sys.executable` (a test looks).
"""

import importlib.util
import site
import sys

DAEMON_NEEDS = (
    "nexo_daemon",
    "sqlalchemy",
    "alembic",
    "cryptography",
    "httpx",
    "httpcore2",
    "anyio",
    "keyring",
    "uvicorn",
    "h11",
    "certifi",
    "idna",
    "grpc_health",
    "grpc_reflection",
    "google.rpc",
)
"""What `python -m nexo_daemon` imports beyond the base install; a test compares it with the imports."""


def missing(modules: tuple[str, ...]) -> list[str]:
    """Those of the modules that are not installed here. Imports none of them."""
    return [name for name in modules if importlib.util.find_spec(name) is None]


def of_ours(module: str, *arguments: str) -> list[str]:
    """The command line that runs a module of ours in this very Python.

    Neither the directory it is started in nor PYTHONPATH has a say. What `pip install --user` has put aside
    has, where this Python looks there, too: we may be installed there.
    """
    isolated = ["-P", "-E"] if site.ENABLE_USER_SITE else ["-I"]
    return [sys.executable, *isolated, "-m", module, *arguments]
