"""Importing through the settings server: no answer of it holds a key, whatever the files are like."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from nexo.connections.terms import Provider
from nexo_cli.demo.provider import WORK, ExampleProvider
from settings_parts import Caller, Settings, start_settings
from surroundings import Nexod, Surroundings

QUIET = {"OLLAMA_HOST": "127.0.0.1:9"}
"""No server of the machine that runs the tests may be found."""
CANARY = "sk-canary-3b9e01c7d4"


class Told(Caller):
    """The page, with all that it was ever told."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self.answers = b""

    def raw(
        self, target: str, body: bytes | None = None, *, method: str = "POST", **headers: str | None
    ) -> tuple[int, bytes, dict[str, str]]:
        status, raw, found = super().raw(target, body, method=method, **headers)
        self.answers += raw + repr(found).encode()
        return status, raw, found

    def lines(self, call: str, body: Any) -> list[dict[str, Any]]:
        """The lines of a streamed answer."""
        _, raw, _ = self.raw(f"/api/{call}", json.dumps(body).encode())
        return [json.loads(line) for line in raw.splitlines()]


@pytest.fixture
def page(nexod: Nexod, surroundings: Surroundings) -> Told:
    caller = Told(start_settings(surroundings, env=QUIET | {"CORP_KEY": f"{CANARY}-of-the-shell"}))
    assert caller.enter() == 200
    return caller


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def hostile_home(home: Path, url: str) -> None:
    """Keys where keys belong, and where they do not; files that are broken, endless or none."""
    spread = json.dumps(f"{CANARY}-spread")
    write(
        home / ".codex/config.toml",
        f'[model_providers.plain]\nname = "plain"\nbase_url = "{url}"\n'
        f'experimental_bearer_token = "{WORK.key}"\n'
        f"[model_providers.{spread}]\nname = {spread}\nbase_url = 'https://x.example/{CANARY}-spread?{CANARY}-spread'\n"
        f"experimental_bearer_token = {spread}\n"
        f"[model_providers.{spread}.http_headers]\n{spread} = {spread}\n"
        f"[model_providers.inside]\nname = 'inside'\nbase_url = 'https://me:{CANARY}-inside@gw.example/v1'\n"
        "env_key = 'NOT_SET'\n"
        f"[model_providers.asked]\nname = 'asked'\nbase_url = '{url}'\nenv_key = 'CORP_KEY'\n"
        f"[model_providers.odd]\nname = 'odd'\nbase_url = '{url}'\nenv_key = '{CANARY}1f2e3d4c5b6a7980'\n",
    )
    write(home / ".claude/settings.json", f'{{"env": {{"ANTHROPIC_API_KEY": "{CANARY}-broken"')
    write(home / ".qwen/settings.json", "[" * 100_000)
    write(home / ".gemini/.env", f"GEMINI_API_KEY={CANARY}-of-gemini\nGEMINI_MODEL={CANARY}-of-gemini\n")
    (home / ".config/zed").mkdir(parents=True)
    os.mkfifo(home / ".config/zed/settings.json")


def rows_of(told: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {row["place"]: row for source in told["sources"] for row in source["rows"]}


def test_no_answer_of_the_server_holds_a_key(
    page: Told, nexod: Nexod, surroundings: Surroundings, provider: ExampleProvider
) -> None:
    url = provider.base_url(Provider.CUSTOM)
    hostile_home(surroundings.home, url)
    status, told = page.ask("import_look")
    assert status == 200
    rows = list(rows_of(told).values())
    whole = [row for row in rows if not row["lacks"]]
    assert {row["key"] for row in whole} >= {f"…{WORK.key[-4:]}", "…mini", "…hell"}
    asked = {"rows": [{"id": row["id"], "name": f"row-{at}"} for at, row in enumerate(whole)]}
    lines = page.lines("import_test", asked)
    tickets = {line["id"]: line["result"]["ticket"] for line in lines if "result" in line}
    # Named after the test: what was tested is saved all the same, and not sent again.
    asked = {
        "rows": [
            {"id": row["id"], "name": f"mine-{at}", "ticket": tickets.get(row["id"], "")}
            for at, row in enumerate(whole)
        ]
    }
    ended = {line["id"] for line in lines if line.keys() & {"result", "error"}}
    assert ended == {row["id"] for row in whole}
    assert any(line.get("result", {}).get("ok") for line in lines)
    status, done = page.ask("import_take", asked)
    assert status == 200
    assert len(done["imported"]) + len(done["failed"]) == len(whole)
    page.ask("import_look")
    page.ask("import_take", {"rows": [{"id": "gone"}]})
    status, undone = page.ask("import_undo", {"undo": done["undo"]})
    assert (status, undone["kept"]) == (200, [])
    assert page.ask("import_undo", {"undo": done["undo"]})[0] == 400
    with nexod.client() as client:
        assert client.list_connections() == ()
    assert CANARY.encode() not in page.answers
    assert WORK.key.encode() not in page.answers
    assert CANARY not in nexod.output


def test_a_row_is_good_for_the_look_that_found_it(
    page: Told, surroundings: Surroundings, provider: ExampleProvider
) -> None:
    url = provider.base_url(Provider.CUSTOM)
    write(
        surroundings.home / ".codex/config.toml",
        f'[model_providers.work]\nname = "work"\nbase_url = "{url}"\n'
        f'experimental_bearer_token = "{WORK.key}"\n',
    )
    (first,) = rows_of(page.ask("import_look")[1]).values()
    (second,) = rows_of(page.ask("import_look")[1]).values()
    assert first["name"] == second["name"] == "work"
    status, refused = page.ask("import_take", {"rows": [{"id": first["id"], "name": "old"}]})
    assert (status, refused["error"]["message"]) == (400, "what was found is kept for 15 minutes; look again")
    (line,) = page.lines("import_test", {"rows": [{"id": first["id"]}]})
    assert line["error"]["reason"] == "NOT_UNDERSTOOD"
    twice = {"rows": [{"id": second["id"], "name": "a"}, {"id": second["id"], "name": "b"}]}
    assert page.ask("import_take", twice)[0] == 400
    status, done = page.ask("import_take", {"rows": [{"id": second["id"], "name": "mine"}]})
    assert [one["connection"]["name"] for one in done["imported"]] == ["mine"]
    assert done["imported"][0]["connection"]["is_default"]


def test_a_name_that_is_taken_is_told_beside_its_row(
    page: Told, surroundings: Surroundings, provider: ExampleProvider
) -> None:
    url = provider.base_url(Provider.CUSTOM)
    for name in ("one", "two"):
        with_key = f'[model_providers.{name}]\nname = "{name}"\nbase_url = "{url}/{name}"\n'
        path = surroundings.home / ".codex/config.toml"
        before = path.read_text() if path.exists() else ""
        write(path, f'{before}{with_key}experimental_bearer_token = "{WORK.key}"\n')
    rows = rows_of(page.ask("import_look")[1])
    asked = {"rows": [{"id": row["id"], "name": "same"} for row in rows.values()]}
    _, done = page.ask("import_take", asked)
    assert [one["connection"]["name"] for one in done["imported"]] == ["same"]
    assert [one["error"]["reason"] for one in done["failed"]] == ["NAME_TAKEN"]
