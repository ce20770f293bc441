"""What the settings server keeps of what was found, for how long, and what of it the page gets to see."""

import asyncio
import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from nexo.connections.terms import Provider
from nexo_client.aio import AsyncClient
from nexo_client.types import Header
from nexo_settings import importing
from nexo_settings.importing import KEPT_S, MOST_ROWS, ImportCalls, Offers, masked, shown_address
from nexo_settings.reading import JsonBody, NotUnderstood
from nexo_sources import Finding, Found, Skipped
from nexo_sources.finding import Incomplete, Part
from nexo_sources.offers import Offer, Survey
from nexo_sources.table import named

KEY = "sk-canary-0a1b2c3d4e5f-found-in-a-file"
WHOLE = Finding(name="work", place="~/.codex: config.toml", provider=Provider.OPENAI, api_key=KEY)


class Clock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def test_what_was_found_is_forgotten_after_its_time_and_with_the_next_look() -> None:
    async def scenario() -> None:
        clock = Clock()
        offers = Offers(clock)
        (row,) = offers.keep([Offer(WHOLE)])
        clock.now_s += KEPT_S - 1
        assert offers[row].finding is WHOLE
        clock.now_s += 1
        with pytest.raises(NotUnderstood, match="look again"):
            offers[row]
        (first,) = offers.keep([Offer(WHOLE)])
        (second,) = offers.keep([Offer(WHOLE)])
        assert first != second
        assert offers[second].finding is WHOLE
        with pytest.raises(NotUnderstood, match="look again"):
            offers[first]
        offers.forget()
        with pytest.raises(NotUnderstood):
            offers[second]

    asyncio.run(scenario())


def test_no_more_rows_are_kept_than_a_page_can_show() -> None:
    async def scenario() -> None:
        offers = Offers(Clock())
        assert len(offers.keep([Offer(WHOLE)] * (MOST_ROWS + 1))) == MOST_ROWS
        offers.forget()

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("key", "shown"),
    [("", ""), ("short", "…"), ("sk-12345678", "…"), ("sk-123456789", "…6789"), (KEY, "…file")],
)
def test_of_a_key_its_end_is_shown_if_it_is_long_enough(key: str, shown: str) -> None:
    assert masked(key) == shown


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://api.example.com/v1", "https://api.example.com/v1"),
        ("http://127.0.0.1:8080/v1", "http://127.0.0.1:8080/v1"),
        (f"https://me:{KEY}@api.example.com/v1", "https://api.example.com/v1"),
        (f"https://api.example.com/v1?key={KEY}#{KEY}", "https://api.example.com/v1"),
        ("http://[broken", ""),
    ],
)
def test_an_address_is_shown_without_what_may_be_a_secret(url: str, shown: str) -> None:
    assert shown_address(url) == shown


def looked(survey: Survey, monkeypatch: pytest.MonkeyPatch, work: str) -> str:
    """What the page is told of it, or of a call with the first row; a daemon is not asked."""
    monkeypatch.setattr(importing, "_survey", lambda: survey)

    class Empty:
        async def list_connections(self) -> tuple[()]:
            return ()

    async def scenario() -> str:
        client = AsyncClient(Path("/nonexistent"))
        monkeypatch.setattr(client, "list_connections", Empty().list_connections)
        calls = ImportCalls(client, lambda: datetime.now(UTC), Clock())
        told = await calls.look(JsonBody({}))
        if not work:
            return json.dumps(told, ensure_ascii=False)
        row = {"id": told["sources"][0]["rows"][0]["id"]} | json.loads(work)
        (found,) = calls._rows(JsonBody({"rows": [row]}))
        return repr((found, found.draft.base_url, found.draft.api_key))

    return asyncio.run(scenario())


def survey_of(*findings: Finding, incomplete: tuple[Incomplete, ...] = ()) -> Survey:
    source = named("codex")
    assert source is not None
    skipped = tuple(Skipped(one.rest.name, one.rest.place, "it has no key", one) for one in incomplete)
    return [(source, Found(findings, skipped))]


def test_a_file_that_repeats_its_key_everywhere_does_not_show_it(monkeypatch: pytest.MonkeyPatch) -> None:
    hostile = replace(
        WHOLE,
        name=f"name-{KEY}",
        place=f"~/{KEY}/config",
        base_url=f"https://me:{KEY}@{KEY}.example.com/{KEY}?{KEY}",
        model=KEY,
        headers=(Header(f"X-{KEY}", KEY), Header("X-Title", f"{KEY}\ud800")),
    )
    incomplete = Incomplete(lacks=Part.ADDRESS, rest=replace(hostile, api_key=f"{KEY}-two", base_url=""))
    said = looked(survey_of(hostile, incomplete=(incomplete,)), monkeypatch, "")
    assert KEY not in said
    assert "…file" in said
    assert "-two" in said
    rows = json.loads(said)["sources"][0]["rows"]
    assert rows[0]["model"] == "…"
    # Incomplete an account without its address leads nowhere yet, least of all to the provider.
    assert rows[1]["address"] == ""


def test_half_an_account_is_completed_with_what_the_person_types(monkeypatch: pytest.MonkeyPatch) -> None:
    rest = replace(WHOLE, provider=Provider.CUSTOM, api_key="", base_url="https://gw.example.com/v1")
    no_key = survey_of(incomplete=(Incomplete(lacks=Part.KEY, rest=rest),))
    assert repr(KEY) in looked(no_key, monkeypatch, json.dumps({"part": f" {KEY} "}))
    with pytest.raises(NotUnderstood, match="api_key is missing"):
        looked(no_key, monkeypatch, "{}")
    no_address = survey_of(incomplete=(Incomplete(lacks=Part.ADDRESS, rest=replace(WHOLE, base_url="")),))
    with pytest.raises(NotUnderstood, match="base_url is missing"):
        looked(no_address, monkeypatch, json.dumps({"part": " "}))
    found = looked(no_address, monkeypatch, json.dumps({"part": "https://gw.example.com/v1"}))
    assert "'https://gw.example.com/v1'" in found


@pytest.mark.parametrize(
    "rows",
    [
        [],
        {},
        [7],
        [{"id": 7}],
        [{"id": "unknown"}],
        [{"id": "unknown", "api_key": KEY}],
        [{"id": "x"}] * (MOST_ROWS + 1),
    ],
)
def test_rows_that_are_not_the_pages_are_refused_without_quoting_them(rows: object) -> None:
    calls = ImportCalls(AsyncClient(Path("/nonexistent")), lambda: datetime.now(UTC), Clock())
    with pytest.raises(NotUnderstood) as refused:
        calls._rows(JsonBody({"rows": rows}))
    assert KEY not in str(refused.value)
