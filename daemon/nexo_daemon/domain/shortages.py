"""Errors of the system that come from what this process or computer has too little of."""

import errno

from nexo.connections.errors import DaemonFailed

LACKS = (errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS)


def refuse_lack(error: OSError, attempt: str) -> None:
    """Raise `DaemonFailed` if the error is such a one: it says nothing about what was attempted.

    Args:
        attempt: completes "the daemon could not …".
    """
    if error.errno in LACKS:
        raise lack(attempt, error.strerror or "") from None


def lack(attempt: str, what: str) -> DaemonFailed:
    """The error for an attempt that failed for lack of something."""
    return DaemonFailed(f"the daemon could not {attempt}: {what}", hint="see 'nexoctl doctor'")
