"""Every error of the SDK has its exit code, and `--json` errors have their shape."""

import pytest

from nexo_cli.errors import Exit, error_record, exit_code
from nexo_client import errors

EXPECTED = {
    errors.DaemonNotRunning: Exit.NO_DAEMON,
    errors.DaemonUnsafe: Exit.PERMISSION,
    errors.DeadlineExceeded: Exit.NO_DAEMON,
    errors.IncompatibleDaemon: Exit.FAILED,
    errors.InvalidField: Exit.USAGE,
    errors.ConnectionNotFound: Exit.NOT_FOUND,
    errors.WorkspaceNotFound: Exit.NOT_FOUND,
    errors.TokenNotFound: Exit.NOT_FOUND,
    errors.NoDefaultConnection: Exit.NOT_FOUND,
    errors.ConnectionDisabled: Exit.REFUSED,
    errors.BindingBroken: Exit.REFUSED,
    errors.NameTaken: Exit.REFUSED,
    errors.StaleRevision: Exit.REFUSED,
    errors.ConnectionInUse: Exit.REFUSED,
    errors.KeyOriginChanged: Exit.REFUSED,
    errors.GatewayClosed: Exit.REFUSED,
    errors.NothingToUndo: Exit.REFUSED,
    errors.RetryLater: Exit.REFUSED,
    errors.LimitReached: Exit.REFUSED,
    errors.StoreReadOnly: Exit.REFUSED,
    errors.StoreFull: Exit.REFUSED,
    errors.VaultLocked: Exit.PERMISSION,
    errors.VaultKeyLost: Exit.PERMISSION,
    errors.SecretTampered: Exit.PERMISSION,
    errors.KeyReferenceFailed: Exit.PERMISSION,
    errors.ProviderFailed: Exit.TEST_FAILED,
    errors.StoreFailed: Exit.FAILED,
    errors.ShuttingDown: Exit.NO_DAEMON,
}


@pytest.mark.parametrize("kind", errors.BY_REASON.values(), ids=lambda kind: kind.__name__)
def test_each_error_has_its_exit_code(kind: type[errors.NexoError]) -> None:
    assert exit_code(kind("text")) is EXPECTED[kind]


def test_an_error_record_has_reason_message_and_hint() -> None:
    assert error_record("R", "m", "h") == {"error": {"reason": "R", "message": "m", "hint": "h"}}
