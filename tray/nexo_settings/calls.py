"""The calls of the page: one method for each call, and a table of them at the end.

Only the answer of `reveal` contains a secret; the user requests each one by a click.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from nexo.connections.terms import UsageBy
from nexo_client import records, types
from nexo_client.aio import AsyncClient
from nexo_client.failures import from_reason
from nexo_client.launch import start_daemon
from nexo_client.records import Record
from nexo_settings import showing
from nexo_settings.importing import ImportCalls
from nexo_settings.reading import JsonBody, NotUnderstood

_MOST_NAMES = 500
_MOST_HISTORIES = 32
_HANDOUTS = 8
_ALL_HANDOUTS = 500
_MOST_ROWS = 20_000

LINES = AsyncIterator[Record]


def utc_now() -> datetime:
    """The current time."""
    return datetime.now(UTC)


class PageCalls:
    """Answers the calls of the page. Belongs to one event loop.

    Attributes:
        reveals: returns whether the page may show stored secrets.
    """

    def __init__(self, client: AsyncClient, *, reveals: Callable[[], bool]) -> None:
        self.client = client
        self.reveals = reveals
        self.imports = ImportCalls(client, utc_now, time.monotonic)

    async def providers(self, _body: JsonBody) -> Record:
        """The catalogue of providers, and whether stored secrets may be shown."""
        known = await self.client.list_providers()
        return {"providers": records.plain(known), "reveals": self.reveals()}

    # Connections

    async def create(self, body: JsonBody) -> Record:
        """Save a new connection."""
        draft = _draft(body)
        saved = await self.client.create_connection(
            draft,
            make_default=body.boolean("make_default"),
            fixes=body.texts("fixes", 16),
            ticket=body.text("ticket"),
        )
        return showing.saved(saved, utc_now())

    async def update(self, body: JsonBody) -> Record:
        """Save changes to a connection."""
        saved = await self.client.update_connection(
            body.text("name"),
            _draft(body),
            revision=body.number("revision"),
            keep_key_for_new_origin=body.boolean("send_key"),
            fixes=body.texts("fixes", 16),
            ticket=body.text("ticket"),
        )
        return showing.saved(saved, utc_now())

    async def delete(self, body: JsonBody) -> Record:
        """Delete a connection. With `force`, its bindings stay and fail."""
        revision = await self.client.delete_connection(
            body.text("name"), replace_with=body.text("replace_with"), force=body.boolean("force")
        )
        return {"revision": revision}

    async def default(self, body: JsonBody) -> Record:
        """Switch the default, or undo the last switch."""
        if body.boolean("undo"):
            switch = await self.client.undo_default()
        else:
            switch = await self.client.set_default(body.text("name"))
        return records.of(switch, utc_now())

    async def test(self, body: JsonBody) -> LINES:
        """Test a draft, a connection, or changes to one: a line for each layer, then the result."""
        name, draft = body.text("name"), body.draft("draft")
        if not name and draft is None:
            raise NotUnderstood("a test needs a name or a draft")
        fixes, send_key = body.texts("fixes", 16), body.boolean("send_key")
        changes = None if draft == types.ConnectionDraft() and not fixes else draft
        if name:
            test = self.client.testing(
                name,
                changes,
                completion=body.boolean("completion"),
                keep_key_for_new_origin=send_key,
                fixes=fixes,
                keep=True,
            )
        else:
            test = self.client.testing_draft(draft or types.ConnectionDraft(), fixes=fixes, keep=True)
        # Closing the tab cancels the test.
        async with test as events:
            async for event in events:
                if isinstance(event, types.TestResult):
                    yield {"result": showing.result(event)}
                else:
                    yield {"layer": records.of(event)}

    async def last_test(self, body: JsonBody) -> Record:
        """The result of the last test of a connection; null if it was changed since or never tested."""
        last = await self.client.last_test(body.text("name"))
        return {
            "last": last and {"result": showing.result(last.result), "at": records.moment(last.tested_at)}
        }

    async def reveal(self, body: JsonBody) -> Record:
        """The API key of a connection, or the value of a header. It is recorded as a hand-out."""
        if not self.reveals():
            raise NotUnderstood("stored secrets are not shown: the settings were started with --no-reveal")
        return {"secret": await self.client.reveal_secret(body.text("name"), header=body.text("header"))}

    async def check(self, body: JsonBody) -> Record:
        """Check the named connections now, or all enabled ones if none is named."""
        lights = await self.client.check_now(body.texts("names", _MOST_NAMES))
        return {"health": records.plain(lights, utc_now())}

    async def history(self, body: JsonBody) -> Record:
        """The health histories of connections, for charts; connections that do not exist are left out."""
        hours = body.number("hours", 24)
        if hours not in showing.SLICES:
            raise NotUnderstood("hours is not 24 or 168")
        names = body.texts("names", _MOST_HISTORIES)
        if not names:
            raise NotUnderstood("names is empty")
        found = await self.client.histories(names, hours * 3600.0, showing.SLICES[hours])
        return {"histories": {one.connection: showing.history(one) for one in found}}

    async def models(self, body: JsonBody) -> Record:
        """The models that a connection offers now."""
        listed = await self.client.list_models(body.text("name"))
        return {"models": [model.id for model in listed.models], "truncated": listed.truncated}

    async def handouts(self, body: JsonBody) -> Record:
        """The last hand-outs of a connection, or of all connections."""
        most = _ALL_HANDOUTS if body.boolean("all") else _HANDOUTS
        listed = await self.client.handouts(body.text("name"), limit=most)
        return {"handouts": records.plain(listed)}

    async def usage(self, body: JsonBody) -> Record:
        """The usage of the gateway for each connection, by day and by requested model."""
        days = body.number("days", 30)
        if days not in (7, 30, 365):
            raise NotUnderstood("days is not 7, 30 or 365")
        since = utc_now() - timedelta(days=days)
        by_day, by_model = await asyncio.gather(
            self.client.gateway.usage(since=since, by=(UsageBy.CONNECTION, UsageBy.DAY)),
            self.client.gateway.usage(since=since, by=(UsageBy.CONNECTION, UsageBy.MODEL)),
        )
        return {
            "days": records.plain(by_day.rows[:_MOST_ROWS]),
            "models": records.plain(by_model.rows[:_MOST_ROWS]),
        }

    # Workspaces

    async def workspaces(self, _body: JsonBody) -> Record:
        """The bindings, and the programs that follow now."""
        bindings, followers = await self.client.list_workspaces()
        return {
            "bindings": records.plain(bindings),
            "followers": records.plain(followers),
        }

    async def bind(self, body: JsonBody) -> Record:
        """Bind a workspace to a connection; `sticky_s` is 0 for conversations that switch at once."""
        made = await self.client.bind(
            _workspace(body),
            body.text("connection"),
            allow_fallback=body.boolean("allow_fallback"),
            sticky_s=body.number("sticky_s") or None,
        )
        return {"binding": records.of(made)}

    async def unbind(self, body: JsonBody) -> Record:
        """Remove the binding of a workspace."""
        return {"revision": await self.client.unbind(_workspace(body))}

    async def explain(self, body: JsonBody) -> Record:
        """The connection for a directory or a workspace name, and the reason."""
        explained = await self.client.explain(workspace=_workspace(body))
        told = {"hint": explained.problem_hint}
        problem = from_reason(explained.problem_reason, explained.problem, told)
        return records.of(explained) | {"hint": problem.next_step} | showing.remedy(problem)

    # The daemon

    async def unlock(self, body: JsonBody) -> Record:
        """Unlock the vault. The keyring of the desktop may show a dialog."""
        vault = await self.client.vault.unlock(
            passphrase=body.text("passphrase"), recovery_code=body.text("recovery_code")
        )
        return {"state": vault.state.value if vault.state else None, "problem": vault.problem}

    async def lock(self, _body: JsonBody) -> Record:
        """Lock the vault."""
        vault = await self.client.vault.lock()
        return {"state": vault.state.value if vault.state else None, "problem": vault.problem}

    async def auto_lock(self, body: JsonBody) -> Record:
        """Set when the vault locks automatically; `idle_s` 0: not after a time without hand-outs."""
        wanted = types.AutoLock(
            float(body.number("idle_s")) or None, body.boolean("on_suspend"), body.boolean("on_screen_lock")
        )
        return records.of(await self.client.vault.set_auto_lock(wanted))

    async def checks(self, body: JsonBody) -> Record:
        """Pause or resume the background checks."""
        settings = await self.client.update_health_settings(paused=body.boolean("paused"))
        return {"paused": settings.paused}

    async def upkeep(self, _body: JsonBody) -> Record:
        """The data of the screen Upkeep: gateway, stand-ins, vault, backups."""
        gateway, stand_ins, vault, auto_lock, backups = await asyncio.gather(
            self.client.gateway.status(),
            self.client.get_fallback(),
            self.client.vault.status(),
            self.client.vault.auto_lock(),
            self.client.store.backups(),
        )
        return {
            "gateway": records.of(gateway),
            "fallback": list(stand_ins),
            "vault": records.of(vault),
            "auto_lock": records.of(auto_lock),
            "backups": [showing.backup(one) for one in backups],
        }

    async def check_store(self, _body: JsonBody) -> Record:
        """Check the store for damage, and decrypt every secret."""
        return records.of(await self.client.store.check())

    async def backup(self, _body: JsonBody) -> Record:
        """Create a backup of the store."""
        return {"backup": showing.backup(await self.client.store.create_backup())}

    async def export(self, _body: JsonBody) -> Record:
        """Export the configuration without secrets."""
        made = await self.client.store.export()
        return {"document": made.document.decode(), "connections": made.connections}

    async def restore(self, body: JsonBody) -> Record:
        """Replace the store by a backup; with `dry_run` only check that this is possible."""
        name = body.text("name")
        # The daemon accepts any path; the page may only restore listed backups.
        if name not in {one.name for one in await self.client.store.backups()}:
            raise NotUnderstood("there is no such backup any more")
        done = await self.client.store.restore(name, dry_run=body.boolean("dry_run"))
        return {"connections": done.connections, "secrets": done.secrets, "restored": done.done}

    async def gateway(self, body: JsonBody) -> Record:
        """Switch the gateway on or off."""
        done = await self.client.gateway.switch(body.boolean("on"))
        return {"listening": done.listening, "problem": done.problem, "advice": done.advice}

    async def stand_ins(self, body: JsonBody) -> Record:
        """Set the connections that replace an unhealthy one, in order."""
        return {"fallback": list(await self.client.set_fallback(body.texts("names", _MOST_NAMES)))}

    async def start(self, _body: JsonBody) -> Record:
        """Start the daemon."""
        return {"pid": await asyncio.to_thread(start_daemon, self.client.socket)}


def _draft(body: JsonBody) -> types.ConnectionDraft:
    draft = body.draft("draft")
    if draft is None:
        raise NotUnderstood("draft is missing")
    return draft


def _workspace(body: JsonBody) -> types.Workspace | str:
    """The workspace of a call: `path` or `workspace` from a list, otherwise `typed` as the user typed it."""
    path, name = body.text("path"), body.text("workspace")
    return types.Workspace(path=path) if path else types.Workspace(name=name) if name else body.text("typed")


CALLS: dict[str, Callable[[PageCalls, JsonBody], Awaitable[Record]]] = {
    "providers": PageCalls.providers,
    "create": PageCalls.create,
    "update": PageCalls.update,
    "delete": PageCalls.delete,
    "default": PageCalls.default,
    "last_test": PageCalls.last_test,
    "reveal": PageCalls.reveal,
    "check": PageCalls.check,
    "history": PageCalls.history,
    "models": PageCalls.models,
    "handouts": PageCalls.handouts,
    "workspaces": PageCalls.workspaces,
    "bind": PageCalls.bind,
    "unbind": PageCalls.unbind,
    "explain": PageCalls.explain,
    "unlock": PageCalls.unlock,
    "lock": PageCalls.lock,
    "checks": PageCalls.checks,
    "usage": PageCalls.usage,
    "upkeep": PageCalls.upkeep,
    "auto_lock": PageCalls.auto_lock,
    "export": PageCalls.export,
    "backup": PageCalls.backup,
    "restore": PageCalls.restore,
    "check_store": PageCalls.check_store,
    "gateway": PageCalls.gateway,
    "stand_ins": PageCalls.stand_ins,
    "start": PageCalls.start,
    "import_look": lambda calls, body: calls.imports.look(body),
    "import_take": lambda calls, body: calls.imports.take(body),
    "import_undo": lambda calls, body: calls.imports.undo(body),
}
STREAMS: dict[str, Callable[[PageCalls, JsonBody], Any]] = {
    "test": PageCalls.test,
    "import_test": lambda calls, body: calls.imports.test(body),
}
