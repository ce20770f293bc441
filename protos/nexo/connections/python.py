"""The command line that starts Python for one of our modules, and the modules that the daemon needs.

It keeps code in the working directory from running. `python -m` puts the present directory before everything
else: a `random.py` or `secrets.py` in somebody's homework would run in the daemon, and a cloned repository
could
bring its own `keyring_child.py`. No other module names `sys.executable` (a test checks it).
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
"""The modules that `python -m nexo_daemon` imports beyond the base install; a test compares the list."""


def missing(modules: tuple[str, ...]) -> list[str]:
    """Those of the modules that are not installed here. Imports none of them."""
    return [name for name in modules if importlib.util.find_spec(name) is None]


def of_ours(module: str, *arguments: str) -> list[str]:
    """The command line that runs one of our modules in this same Python.

    The working directory and PYTHONPATH have no influence. Modules from `pip install --user` are found if
    this Python looks for them, because we may be installed there.
    """
    isolated = ["-P", "-E"] if site.ENABLE_USER_SITE else ["-I"]
    return [sys.executable, *isolated, "-m", module, *arguments]
