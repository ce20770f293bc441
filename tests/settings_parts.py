"""Helpers for tests of the settings screen: its process, a caller, and a store filled with history."""

import http.client
import json
import math
import os
import signal
import sqlite3
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any
from urllib.parse import parse_qs, urlsplit

from nexo.connections import python
from nexo.connections.terms import Provider
from nexo_cli.demo.provider import BUSY, HOME, REVOKED, SLOW, ExampleProvider
from nexo_client import Client
from nexo_client.types import ConnectionDraft
from surroundings import Surroundings

IDLE_S = 60


@dataclass
class Served:
    """A settings screen, known by the address that it printed."""

    address: str

    @property
    def port(self) -> int:
        return urlsplit(self.address).port or 0

    @property
    def authority(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def token(self) -> str:
        return parse_qs(urlsplit(self.address).fragment)["token"][0]


@dataclass
class Settings(Served):
    """A running settings process."""

    process: "subprocess.Popen[bytes]"


def start_settings(
    surroundings: Surroundings,
    *flags: str,
    env: dict[str, str] | None = None,
    command: Sequence[str] = tuple(python.of_ours("nexo_settings")),
) -> Settings:
    """Start the settings process, and wait for its address."""
    usual = ("--socket", str(surroundings.socket), "--idle", str(IDLE_S))
    process = surroundings.spawn([*command, *usual, *flags], env=env)
    assert process.stdout is not None
    said = json.loads(process.stdout.readline())
    assert "address" in said, said
    return Settings(said["address"], process)


def another_address(surroundings: Surroundings, *flags: str) -> str:
    """A new address of the running process, as a second start gets it."""
    command = python.of_ours("nexo_settings", "--socket", str(surroundings.socket), *flags)
    return str(surroundings.run(command).json["address"])


def end_settings(surroundings: Surroundings) -> None:
    """End the settings process that nexoctl or a tray of these surroundings started in the background."""
    for process in Path("/proc").glob("[0-9]*"):
        try:
            words = (process / "cmdline").read_bytes()
        except OSError:
            continue
        if b"nexo_settings" in words and str(surroundings.home).encode() in words:
            os.kill(int(process.name), signal.SIGTERM)


class Caller:
    """Sends requests as the page does; given headers replace its own, and None removes one."""

    def __init__(self, settings: Served) -> None:
        self._settings = settings
        self.secret = ""

    def enter(self, token: str | None = None) -> int:
        """Exchange the token of the address for a session; returns the status of the answer."""
        status, answer = self.ask("session", {"token": token or self._settings.token})
        self.secret = answer.get("secret", self.secret)
        return status

    def ask(
        self, call: str, body: Any = None, *, method: str = "POST", **headers: str | None
    ) -> tuple[int, Any]:
        """Status and parsed answer."""
        status, raw, _ = self.raw(f"/api/{call}", json.dumps(body or {}).encode(), method=method, **headers)
        return status, json.loads(raw) if raw else None

    def raw(
        self, target: str, body: bytes | None = None, *, method: str = "POST", **headers: str | None
    ) -> tuple[int, bytes, dict[str, str]]:
        """Status, body and headers of the answer."""
        origin = f"http://{self._settings.authority}"
        given: dict[str, str | None] = {
            "Host": self._settings.authority,
            "Origin": origin,
            "Sec-Fetch-Site": "same-origin",
            "Content-Type": "application/json",
            "Authorization": f"Bearer {self.secret}",
        }
        if body is not None:
            given["Content-Length"] = str(len(body))
        given |= {name.replace("_", "-"): value for name, value in headers.items()}
        line = http.client.HTTPConnection("127.0.0.1", self._settings.port, timeout=30)
        try:
            line.putrequest(method, target, skip_host=True, skip_accept_encoding=True)
            for name, value in given.items():
                if value is not None:
                    line.putheader(name, value)
            line.endheaders(body)
            answer = line.getresponse()
            return answer.status, answer.read(), {k.lower(): v for k, v in answer.getheaders()}
        finally:
            line.close()


# -- a store with history


def furnish(client: Client, provider: ExampleProvider, bound: Sequence[Path] = ()) -> None:
    """Add connections in every state, and bind two of them."""

    def add(name: str, kind: Provider, key: str = "", **more: Any) -> None:
        draft = ConnectionDraft(
            name=name,
            provider=kind.value,
            base_url=provider.base_url(kind),
            api_key=key or None,
            **more,
        )
        client.create_connection(draft)

    add("work", Provider.OPENAI, SLOW.key, default_model="example-large")
    add("claude", Provider.ANTHROPIC, SLOW.key)
    add("gemini", Provider.GOOGLE, SLOW.key)
    add("team-gateway", Provider.CUSTOM, BUSY.key, headers_json='{"X-Team": "blue"}')
    add("old-key", Provider.OPENAI, REVOKED.key)
    add("ollama", Provider.OLLAMA)
    add("spare", Provider.OPENAI, HOME.key, enabled=False)
    for place, name in zip(bound, ("claude", "gemini"), strict=False):
        client.bind(place, name)
    # A failure is believed at the second check.
    for _ in range(2):
        client.check_now()


def use_for_a_month(database: Path, now_s: float, seed: int = 11) -> None:
    """Write a month of requests through the gateway into a store whose daemon is stopped."""
    chance = Random(seed)
    models = {"work": ("example-large", "example-small"), "claude": ("claude-example-5",)}
    rows: list[tuple[object, ...]] = []
    with sqlite3.connect(database) as store:
        ids = dict(store.execute("SELECT name, id FROM connections").fetchall())
        for days in range(30):
            at = int(now_s // 86400 - days) * 86400 * 1_000_000
            for name, known in models.items():
                for model in known:
                    requests = chance.randrange(4, 90)
                    taken = requests * chance.randrange(900, 5000)
                    cached = int(taken * chance.uniform(0.1, 0.6))
                    counts = (requests, chance.randrange(3), 0, 0, taken, requests * 420, cached, 0)
                    rows.append((at, 86400.0, ids[name], name, "", "claude-cli", model, *counts))
        columns = (
            "at, span_s, connection_id, connection_name, workspace, program, model, requests, failed, "
            'broken, "left", input_tokens, output_tokens, cached_tokens, unreported'
        )
        marks = ",".join("?" * 15)
        store.executemany(f"INSERT INTO usage ({columns}) VALUES ({marks})", rows)  # noqa: S608


def live_for_a_week(database: Path, now_s: float, seed: int = 7) -> None:
    """Write a week of checks into a store whose daemon is stopped."""
    chance = Random(seed)
    rows: list[tuple[object, ...]] = []
    changes: list[tuple[object, ...]] = []
    with sqlite3.connect(database) as store:
        for number, (own, name) in enumerate(store.execute("SELECT id, name FROM connections").fetchall()):
            if name == "spare":
                continue
            base = (0.24, 0.38, 0.19, 0.31, 0.27, 0.012, 0.2)[number % 7]
            days = 0.45 if name == "ollama" else 7
            at = now_s - days * 86400
            while at < now_s - 300:
                wave = 1 + 0.32 * math.sin((at / 86400 - 0.3) * 2 * math.pi) + chance.gauss(0, 0.05)
                latency = max(0.003, base * wave)
                outcome, reason, failed = "ok", "", 0
                if name == "claude" and 3.1 < (now_s - at) / 86400 < 3.35:
                    outcome, reason, failed = "provider_down", "overloaded", 1
                if name == "old-key" and now_s - at < 5 * 3600:
                    outcome, reason, failed = "auth_error", "invalid_key", 1
                if name == "team-gateway" and (now_s - at < 2400 or chance.random() < 0.02):
                    outcome, reason, failed = "rate_limited", "rate_limited", 1
                taken = None if failed else latency
                rows.append((own, int(at * 1e6), outcome, reason, taken, taken, taken, 1, failed, 0.0))
                at += 300 if now_s - at < 2 * 86400 else 3600
            changes += [(own, int((now_s - days * 86400) * 1e6), "unknown", "healthy", "", "HTTP 200", None)]
            if name == "old-key":
                told = "HTTP 401: Incorrect API key provided."
                since, lasted = int((now_s - 5 * 3600) * 1e6), days * 86400 - 5 * 3600
                changes += [(own, since, "healthy", "unhealthy", "invalid_key", told, lasted)]
        columns = (
            "connection_id, at, outcome, reason, latency_min_s, latency_median_s, latency_max_s, checks, "
            "failures, span_s"
        )
        store.executemany(f"INSERT INTO samples ({columns}) VALUES (?,?,?,?,?,?,?,?,?,?)", rows)  # noqa: S608
        columns = "connection_id, at, from_state, to_state, reason, evidence, lasted_s, advice, important"
        store.executemany(
            f"INSERT INTO transitions ({columns}) VALUES (?,?,?,?,?,?,?,'',0)",  # noqa: S608
            changes,
        )


def damage(database: Path) -> None:
    """Overwrite a page of the database, so that the daemon opens it read-only."""
    with database.open("r+b") as file:
        file.seek(4096 * 2)
        file.write(b"\xaa" * 600)
