"""How failures appear on the command line: exit code, sentence, `--json` object.

Not for raising: commands raise the errors of `nexo_client.errors`, or `CommandFailed`.
"""

import enum
from collections.abc import Mapping

from nexo_client import errors


class Exit(enum.IntEnum):
    """The exit codes that scripts rely on."""

    OK = 0
    FAILED = 1
    USAGE = 2
    NO_DAEMON = 3
    PERMISSION = 4
    NOT_FOUND = 5
    TEST_FAILED = 6
    REFUSED = 7
    # The codes that a shell reports when the program of `nexoctl run` cannot be started.
    NO_PERMISSION_TO_RUN = 126
    NO_PROGRAM = 127
    # 128 + SIGINT and 128 + SIGPIPE, as a shell reports a program that died of the signal.
    INTERRUPTED = 130
    BROKEN_PIPE = 141


class CommandFailed(Exception):
    """A command failed for a reason that does not come from the daemon.

    Attributes:
        reason: stable word for `--json`.
    """

    def __init__(
        self, message: str, *, hint: str = "", reason: str = "FAILED", code: Exit = Exit.FAILED
    ) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.reason = reason
        self.code = code


# The first row that matches is used, so subclasses stand before their bases.
_EXIT_CODES: tuple[tuple[type[errors.NexoError], Exit], ...] = (
    (errors.DaemonNotRunning, Exit.NO_DAEMON),
    (errors.DeadlineExceeded, Exit.NO_DAEMON),
    (errors.ShuttingDown, Exit.NO_DAEMON),
    (errors.DaemonUnsafe, Exit.PERMISSION),
    (errors.VaultLocked, Exit.PERMISSION),
    (errors.KeyReferenceFailed, Exit.PERMISSION),
    (errors.InvalidField, Exit.USAGE),
    (errors.NotFound, Exit.NOT_FOUND),
    (errors.NoDefaultConnection, Exit.NOT_FOUND),
    (errors.ProviderFailed, Exit.TEST_FAILED),
    (errors.ConnectionDisabled, Exit.REFUSED),
    (errors.BindingBroken, Exit.REFUSED),
    (errors.Refused, Exit.REFUSED),
)


def exit_code(error: errors.NexoError) -> Exit:
    """The exit code of an error of the SDK."""
    return next((code for kind, code in _EXIT_CODES if isinstance(error, kind)), Exit.FAILED)


def hint_of(error: errors.NexoError) -> str:
    """The next step in a terminal."""
    return error.hint or (error.remedy.command if error.remedy else "")


def error_record(reason: str, message: str, hint: str, more: Mapping[str, object]) -> dict[str, object]:
    """The object that `--json` prints on stderr; `more` is `facts_of` the error, if the SDK raised it."""
    return {"error": {"reason": reason, "message": message, "hint": hint, "action": None, **more}}


def facts_of(error: errors.NexoError) -> dict[str, object]:
    """The machine-readable facts of an error for `--json`."""
    users = {"used_by": list(error.used_by)} if isinstance(error, errors.ConnectionInUse) else {}
    return {"action": error.action.value if error.action else None, **users}
