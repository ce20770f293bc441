"""What a call of the page may say; what is not understood is refused, and never quoted."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nexo_client.types import ConnectionDraft, MappedModel, NetworkProfile
from nexo_settings.reading import JsonBody, NotUnderstood

CANARY = "sk-canary-5f2d9a77c1"


def test_a_draft_becomes_what_the_sdk_takes() -> None:
    body = JsonBody.parse(
        b'{"draft": {"name": "work", "api_key": "k", "enabled": false, "headers_json": "{}"}}'
    )
    assert body.draft("draft") == ConnectionDraft(name="work", api_key="k", enabled=False, headers_json="{}")
    body = JsonBody.parse(b'{"draft": {"remove_headers": ["X-A"], "keep_other_headers": true}}')
    assert body.draft("draft") == ConnectionDraft(remove_headers=("X-A",), keep_other_headers=True)
    assert JsonBody.parse(b"{}").draft("draft") is None
    way = {"proxy": "direct", "no_proxy": ["a.example"], "ca_bundle": "/ca.pem"}
    body = JsonBody.parse(json.dumps({"draft": {"network": way}}).encode())
    assert body.draft("draft") == ConnectionDraft(network=NetworkProfile("direct", ("a.example",), "/ca.pem"))
    body = JsonBody.parse(b'{"draft": {"model_map": [{"asked": "gpt-5", "sent": "llama3"}]}}')
    assert body.draft("draft") == ConnectionDraft(model_map=(MappedModel("gpt-5", "llama3"),))


@pytest.mark.parametrize(
    "draft",
    [
        {"api_key": [CANARY]},
        {"api_key": {CANARY: CANARY}},
        {"api_key": 7},
        {"api_key": None},
        {"api_key": "\ud800" + CANARY},
        {"enabled": "true", "api_key": CANARY},
        {"network": CANARY},
        {"network": {"proxy": [CANARY]}},
        {"network": {"no_proxy": CANARY}},
        {"network": {CANARY: ""}},
        {"model_map": {CANARY: CANARY}},
        {"model_map": [{"asked": CANARY, "sent": [CANARY]}]},
        {CANARY: CANARY},
        [CANARY],
        CANARY,
        7,
    ],
)
def test_what_is_not_a_draft_is_refused_without_being_quoted(draft: object) -> None:
    raw = json.dumps({"draft": draft}).encode()
    with pytest.raises(NotUnderstood) as refused:
        JsonBody.parse(raw).draft("draft")
    assert CANARY not in str(refused.value)


@pytest.mark.parametrize(
    "raw", [b"", b"[]", b"null", b'"x"', b"{", b"\xff", b"[" * 50_000, b'{"a":' * 20_000, b"NaN", b"{'a': 1}"]
)
def test_what_is_no_object_is_refused(raw: bytes) -> None:
    with pytest.raises(NotUnderstood):
        JsonBody.parse(raw)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(json_values)
def test_every_field_is_what_it_has_to_be_or_refused(value: object) -> None:
    body = JsonBody({"x": value})
    for read, kind in ((body.text, str), (body.boolean, bool), (body.number, int)):
        try:
            assert isinstance(read("x"), kind)
        except NotUnderstood:
            continue
