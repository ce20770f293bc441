"""Set a program up for the gateway: make a token for it, write its settings files; and undo both.

The token has the name of the program. A valid token that is already in its settings is used again.
"""

import contextlib
import hashlib
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from nexo.connections.faces import DIALECTS
from nexo.connections.terms import TOKEN_PREFIX
from nexo.connections.values import frozen
from nexo_cli.errors import CommandFailed, Exit
from nexo_cli.setups import writing
from nexo_cli.setups.edits import PlacedValue, edited, values
from nexo_cli.setups.place import ABSENT, ListEntry, Place
from nexo_cli.setups.programs import Program, Setting
from nexo_cli.setups.templates import filled
from nexo_client import types
from nexo_client.client import Client
from nexo_client.errors import NameTaken, TokenNotFound
from nexo_sources import reading
from nexo_sources.reading import Unreadable, shown


@frozen
class File:
    """The result for one file, or a preview.

    Attributes:
        entries: places and values, for people; None means removed.
        backup: the copy of the old file; empty if there was none.
        problem: why the file was not changed.
    """

    shown: str
    form: str
    entries: tuple[tuple[str, str | None], ...]
    changed: bool = False
    backup: str = ""
    problem: str = ""


@frozen
class SetUp:
    """The result. Holds the token if a person has to type it, so it must not be logged."""

    program: Program
    files: tuple[File, ...]
    by_hand: tuple[str, ...] = ()
    token: types.GatewayToken | None = None
    written: bool = False
    undone: bool = False

    @property
    def failed(self) -> tuple[File, ...]:
        """The files that were not changed."""
        return tuple(file for file in self.files if file.problem)


def preview(client: Client, program: Program, model: str) -> SetUp:
    """A preview of `write`."""
    words = _words(client.gateway.status().gateway, "TOKEN", model)
    files = tuple(_file(setting, setting.changes(words)) for setting in program.settings)
    return SetUp(program, files, _by_hand(program, words))


def write(
    client: Client, program: Program, model: str, *, connection: str | None, workspace: str | None
) -> SetUp:
    """Open the gateway, make the token, and write the files: all of them, or none."""
    gate = _open_gateway(client)
    tried = [_tried(setting, _words(gate, "TOKEN", model)) for setting in program.settings]
    if obstacles := tuple(file for file in tried if file.problem):
        return SetUp(program, obstacles)
    kept = _kept_token(client, program)
    if kept is not None and (connection is not None or workspace is not None):
        raise CommandFailed(
            f"{program.title} is set up already, with the token '{program.name}'",
            hint=f"undo that first: nexoctl gateway setup {program.name} --undo",
            reason="NAME_TAKEN",
            code=Exit.REFUSED,
        )
    if kept is not None:
        token, secret = kept
    else:
        made = _make(client, program.name, connection, workspace)
        token, secret = made.token, made.secret
    words = _words(gate, secret, model)
    files = tuple(_written(setting, words) for setting in program.settings)
    if kept is None and any(file.problem for file in files):
        _all_undone(program)
        client.gateway.revoke_token(program.name)
        return SetUp(program, tuple(file for file in files if file.problem))
    return SetUp(program, files, _by_hand(program, words), token, written=True)


def _open_gateway(client: Client) -> types.Gateway:
    gate = client.gateway.status().gateway
    if not gate.listening and not gate.switched_off:
        gate = client.gateway.switch(True)
    if not gate.listening:
        raise CommandFailed(
            gate.problem or "the gateway is switched off",
            hint=gate.advice or "switch it on: nexoctl gateway on",
            reason="GATEWAY_CLOSED",
            code=Exit.REFUSED,
        )
    return gate


def undo(client: Client, program: Program) -> SetUp:
    """Restore the files, and revoke the token."""
    files = _all_undone(program)
    if not any(file.problem for file in files):
        with contextlib.suppress(TokenNotFound):
            client.gateway.revoke_token(program.name)
    return SetUp(program, files, undone=True)


def record(done: SetUp) -> dict[str, Any]:
    """The object for `--json`."""
    return {
        "program": done.program.name,
        "written": done.written,
        "undone": done.undone,
        "token": done.token.name if done.token else None,
        "files": [
            {
                "path": file.shown,
                "format": file.form,
                "settings": dict(file.entries),
                "changed": file.changed,
                "backup": file.backup or None,
                "problem": file.problem or None,
            }
            for file in done.files
        ],
        "by_hand": list(done.by_hand),
    }


def _make(client: Client, name: str, connection: str | None, workspace: str | None) -> types.NewGatewayToken:
    try:
        return client.gateway.create_token(name, connection=connection, workspace=workspace)
    except NameTaken:
        raise CommandFailed(
            f"there is a token '{name}' already, but it is not in this program's settings",
            hint=f"revoke it if nothing else uses it: nexoctl token revoke {name}",
            reason="NAME_TAKEN",
            code=Exit.REFUSED,
        ) from None


def _kept_token(client: Client, program: Program) -> tuple[types.GatewayToken, str] | None:
    """The token in the settings, if it is still valid."""
    token = next((one for one in client.gateway.tokens() if one.name == program.name), None)
    if token is None:
        return None
    for setting in program.settings:
        with contextlib.suppress(Unreadable):
            text = reading.text_of(setting.file()) or ""
            for change in values(text, setting.form, [place for place, _ in setting.entries]):
                secret = _secret_in(change.value)
                if secret and _is(token, secret):
                    return token, secret
    return None


def _is(token: types.GatewayToken, secret: str) -> bool:
    """Whether the secret is this token; settings that were copied from another computer hold another one."""
    return hashlib.sha256(secret.encode()).hexdigest().startswith(token.fingerprint)


def _secret_in(value: Any) -> str:
    if isinstance(value, dict):
        return next((found for entry in value.values() if (found := _secret_in(entry))), "")
    return value if isinstance(value, str) and value.startswith(TOKEN_PREFIX) else ""


def _tried(setting: Setting, words: dict[str, str]) -> File:
    """Whether the file can be changed, without doing it."""
    changes = setting.changes(words)
    file = _file(setting, changes)
    try:
        text = reading.text_of(setting.file()) or ""
        edited(text, setting.form, changes)
    except Unreadable as problem:
        return replace(file, problem=str(problem))
    try:
        if setting.strict and text.strip():
            reading.json_of(text)
    except Unreadable as problem:
        return replace(file, problem=f"{problem}, so the program ignores it")
    return file


def _written(setting: Setting, words: dict[str, str]) -> File:
    file = _file(setting, setting.changes(words))
    try:
        changed = writing.write(setting.file(), setting.form, setting.templates, words, start=setting.start)
    except (Unreadable, OSError) as problem:
        return replace(file, problem=_why(problem))
    return replace(file, changed=changed, backup=_backup(setting))


def _all_undone(program: Program) -> tuple[File, ...]:
    # In reverse order: a directory that was created for the first file can be removed once it is empty.
    return tuple([_undone(setting) for setting in reversed(program.settings)][::-1])


def _undone(setting: Setting) -> File:
    file = _file(setting, ())
    try:
        changed = writing.undo(setting.file(), setting.form, setting.templates, start=setting.start)
    except (Unreadable, OSError) as problem:
        return replace(file, problem=_why(problem))
    return replace(file, changed=changed, backup=_backup(setting))


def _backup(setting: Setting) -> str:
    backup = writing.backup_of(setting.file())
    return shown(backup) if backup.exists() else ""


def _why(problem: Exception) -> str:
    if isinstance(problem, OSError):
        return f"it can't be written: {(problem.strerror or 'unknown').lower()}"
    return str(problem)


def _file(setting: Setting, changes: Sequence[PlacedValue]) -> File:
    entries = [pair for change in changes for pair in _entries(change.place, change.value)]
    return File(shown(setting.file()), setting.form.value, tuple(entries))


def _entries(place: Place, value: Any) -> list[tuple[str, str | None]]:
    if isinstance(value, dict):
        return [pair for name, entry in value.items() for pair in _entries((*place, name), entry)]
    words = [f"[{step.field}={step.value}]" if isinstance(step, ListEntry) else step for step in place]
    masked = value if not isinstance(value, str) or not value.startswith(TOKEN_PREFIX) else f"{TOKEN_PREFIX}…"
    written = None if value is ABSENT else masked if isinstance(masked, str) else json.dumps(masked)
    return [(".".join(words), written)]


def _by_hand(program: Program, words: dict[str, str]) -> tuple[str, ...]:
    return tuple(str(filled(line, words)) for line in program.by_hand)


def _words(gate: types.Gateway, token: str, model: str) -> dict[str, str]:
    addresses = {dialect: gate.base_url(dialect) for dialect in DIALECTS}
    if not gate.port:
        # The port is chosen when the gateway opens for the first time.
        addresses = {dialect: url.replace(":0/", ":PORT/") for dialect, url in addresses.items()}
    return {
        **addresses,
        "port": str(gate.port or "PORT"),
        "socket_directory": str(Path(gate.socket_path).parent),
        "token": token,
        "model": model or "MODEL",
    }
