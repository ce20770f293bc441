"""What `--json` prints of a test and of health has the documented names, and no record can hold a secret."""

from dataclasses import fields
from datetime import UTC, datetime, timedelta

import pytest

from nexo.connections.terms import HealthState, KeyVerdict, Layer, LayerStatus, Outcome
from nexo_client import records, types

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)

TEST_NAMES = [
    "connection",
    "outcome",
    "reason",
    "key",
    "layers",
    "models",
    "http_status",
    "request_id",
    "retry_at",
    "advice",
    "proven",
]
HEALTH_NAMES = [
    "connection",
    "state",
    "reason",
    "since",
    "checked_at",
    "age_s",
    "latency_ms",
    "retry_at",
    "consecutive_failures",
]


def test_a_test_result_has_the_documented_names() -> None:
    result = types.TestResult(
        connection="work",
        outcome=Outcome.RATE_LIMITED,
        reason="rate_limited",
        key=KeyVerdict.UNVERIFIED,
        layers=(
            types.LayerResult(Layer.TCP, LayerStatus.PASSED, 0.0123456, "127.0.0.1:1"),
            types.LayerResult(Layer.HTTP, LayerStatus.FAILED, 0.5, "HTTP 429"),
            types.LayerResult(Layer.AUTHENTICATED, LayerStatus.NOT_REACHED, None, ""),
        ),
        models=(types.Model("m"),),
        http_status=429,
        retry_at=NOW + timedelta(seconds=30),
        proven=("reachable",),
    )
    record = records.of(result)
    assert list(record)[: len(TEST_NAMES)] == TEST_NAMES
    assert record["outcome"] == "rate_limited"
    assert record["models"] == ["m"]
    assert record["retry_at"] == "2026-11-23T12:00:30.000Z"
    assert record["request_id"] is None
    assert [layer["ok"] for layer in record["layers"]] == [True, False, None]
    assert list(record["layers"][0])[:4] == ["layer", "ok", "ms", "evidence"]
    assert record["layers"][0]["ms"] == 12.346


def test_health_has_the_documented_names() -> None:
    health = types.Health(
        HealthState.HEALTHY, checked_at=NOW - timedelta(seconds=5), latency_s=0.25, since=NOW
    )
    record = records.health("work", health, NOW)
    assert record.keys() >= set(HEALTH_NAMES)
    assert (record["state"], record["age_s"], record["latency_ms"]) == ("healthy", 5.0, 250.0)


@pytest.mark.parametrize("name", [name for name in records.LAYOUTS if hasattr(types, name)])
def test_a_form_speaks_of_what_is_there(name: str) -> None:
    layout, kind = records.LAYOUTS[name], getattr(types, name)
    assert {*layout.without, *layout.renamed} <= {field.name for field in fields(kind)}
    assert {*layout.notes, *layout.words, *layout.blank} <= {member.key for member in records.members(kind)}


def test_the_age_of_a_check_needs_the_present() -> None:
    with pytest.raises(TypeError, match="now"):
        records.of(types.ConnectionHealth("", "work", types.Health(checked_at=NOW)))


def test_only_the_hand_out_has_a_place_for_a_secret() -> None:
    """The types behind all other records have no such field, so that no record can leak one."""
    secret = {"api_key", "headers", "headers_json"}
    holders = {
        kind.__name__
        for kind in (getattr(types, name) for name in dir(types))
        if isinstance(kind, type) and hasattr(kind, "__dataclass_fields__")
        if secret & {field.name for field in fields(kind)}
    }
    assert holders == {"ConnectionDraft", "ResolvedConnection"}
