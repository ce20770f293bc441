"""Every error of the SDK has its exit code, and `--json` errors have their shape."""

import pytest

from nexo.connections import terms
from nexo_cli.commands import find
from nexo_cli.errors import Exit, error_record, exit_code, facts_of, hint_of
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
    errors.ServiceFailed: Exit.FAILED,
    errors.SettingsUnavailable: Exit.FAILED,
    errors.ShuttingDown: Exit.NO_DAEMON,
}


@pytest.mark.parametrize("kind", errors.BY_REASON.values(), ids=lambda kind: kind.__name__)
def test_each_error_has_its_exit_code(kind: type[errors.NexoError]) -> None:
    assert exit_code(kind("text")) is EXPECTED[kind]


def test_an_error_record_says_what_a_button_could_do() -> None:
    plain = {"reason": "R", "message": "m", "hint": "h", "action": None}
    assert error_record("R", "m", "h", {}) == {"error": plain}
    used = errors.ConnectionInUse("m", metadata={"used_by": "the default\n/home/ada"})
    more = {"action": "replace_users", "used_by": ["the default", "/home/ada"]}
    assert error_record("R", "m", "h", facts_of(used)) == {"error": plain | more}


def test_an_error_without_a_hint_names_the_command_of_its_action() -> None:
    assert hint_of(errors.VaultLocked("m")) == "nexoctl vault unlock"
    assert hint_of(errors.VaultLocked("m", hint="try again")) == "try again"
    assert hint_of(errors.StoreFull("m")) == ""


def test_every_action_has_words_and_a_command_that_exists() -> None:
    assert set(errors.REMEDIES) == set(terms.Action)
    for remedy in errors.REMEDIES.values():
        assert remedy.label
        assert "nexoctl" not in remedy.words
        words = remedy.command.split()
        command = find(words[1])
        assert (words[0], command is not None) == ("nexoctl", True)


def test_who_has_no_terminal_is_told_no_command() -> None:
    locked = errors.VaultLocked("m", hint="nexoctl vault unlock, then try again")
    assert locked.next_step == "unlock the vault"
    assert errors.VaultLocked("m", hint="try again").next_step == "try again"
    assert errors.StoreFull("m", hint="see nexoctl doctor").next_step == "see nexoctl doctor"
