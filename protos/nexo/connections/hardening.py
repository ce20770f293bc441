"""Prevents keys from leaking out of this process's memory and environment. Called once, first in `main`.

It protects against accidents: a core dump in a bug report, a key inherited by a child process,
`/proc/PID/environ` in a support bundle. It does not protect against a malicious program of the same user;
docs/security.md explains that limit. The programs that hold keys use it: the daemon and the settings screen.
"""

import ctypes
import os
import resource
import sys
from contextlib import suppress
from pathlib import Path

_PR_SET_DUMPABLE = 4  # prctl(2)

# Variables in which the official SDKs expect keys. The daemon does not need them.
PROVIDER_VARIABLES = (
    "OPENAI_API_KEY",
    "OPENAI_ADMIN_KEY",
    "AZURE_OPENAI_API_KEY",
    "AZURE_OPENAI_AD_TOKEN",
    "ANTHROPIC_API_KEY",
    "ANTHROPIC_AUTH_TOKEN",
    "CLAUDE_CODE_OAUTH_TOKEN",
    "GEMINI_API_KEY",
    "GOOGLE_API_KEY",
    "OLLAMA_API_KEY",
    "OPENROUTER_API_KEY",
    "GROQ_API_KEY",
    "MISTRAL_API_KEY",
    "DEEPSEEK_API_KEY",
    "TOGETHER_API_KEY",
    "FIREWORKS_API_KEY",
    "XAI_API_KEY",
    "LITELLM_MASTER_KEY",
    "HF_TOKEN",
)


def harden() -> int:
    """Set a private umask, disable core dumps and ptrace, hide `/proc/PID`, and remove provider keys.

    Returns:
        The former umask, for files that hold no secret.
    """
    umask = os.umask(0o077)
    # If the system forbids one of these measures, the program runs without it.
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with suppress(OSError, AttributeError):
        _set_not_dumpable()
    _remove_provider_keys()
    return umask


def _set_not_dumpable() -> None:
    # RLIMIT_CORE alone does not stop systemd-coredump, which is a pipe and ignores the limit (core(5)).
    if sys.platform.startswith("linux"):
        ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)


def _remove_provider_keys() -> None:
    removed = tuple(name for name in PROVIDER_VARIABLES if os.environ.pop(name, None) is not None)
    if removed:
        # `unsetenv` leaves the values in the initial environment block, which /proc/PID/environ shows.
        _scrub_initial_environment(removed)


def _scrub_initial_environment(names: tuple[str, ...]) -> None:
    """Overwrite the values in the block that the kernel set up at exec; best effort, Linux only."""
    try:
        stat = Path("/proc/self/stat").read_text(encoding="ascii", errors="replace")
        fields = stat.rpartition(")")[2].split()
        # proc(5): env_start and env_end are fields 50 and 51, counted from 1; `fields` lacks the first two.
        start, end = int(fields[50 - 3]), int(fields[51 - 3])
    except (OSError, ValueError, IndexError):
        return
    if not 0 < start < end:
        return
    block = ctypes.string_at(start, end - start)
    offset = 0
    for entry in block.split(b"\0"):
        name, separator, value = entry.partition(b"=")
        if separator and name.decode("ascii", "replace") in names:
            ctypes.memset(start + offset + len(name) + 1, 0, len(value))
        offset += len(entry) + 1
