"""Only the model name is replaced; every other byte of a request is unchanged."""

import json
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nexo_gateway.dialects import DIALECTS
from nexo_gateway.model_name import ALIAS, NAME_LIMIT, body_for, model_of, path_for

OPENAI = DIALECTS["openai"]
JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text() | st.just("model"), inner, max_size=3)
    ),
    max_leaves=8,
)
SPACE = st.sampled_from(["", " ", "\n\t"])
OTHERS = st.dictionaries(st.text().filter(lambda key: key != "model"), JSON, max_size=3)


@given(before=OTHERS, after=OTHERS, model=st.text(min_size=1), space=SPACE, plain=st.booleans())
def test_all_but_the_name_is_as_it_was(
    before: dict[str, Any], after: dict[str, Any], model: str, space: str, plain: bool
) -> None:
    def dumped(value: object) -> str:
        return json.dumps(value, ensure_ascii=plain)

    def body(name: str) -> bytes:
        entries = [f"{dumped(key)}{space}:{space}{dumped(value)}" for key, value in before.items()]
        entries.append(f'"model"{space}:{space}{name}')
        entries += [f"{dumped(key)}:{space}{dumped(value)}" for key, value in after.items()]
        return (space + "{" + space + f"{space},{space}".join(entries) + space + "}").encode()

    assert model_of(OPENAI, "/chat/completions", body(f'"{ALIAS}"')) == ALIAS
    assert body_for(body(f'"{ALIAS}"'), model) == body(json.dumps(model))


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{", b'{"model":1}', b'{"a":{"model":"nexo"}}', b"\xff", b"nexo"]
)
def test_what_names_no_model_stays(body: bytes) -> None:
    assert model_of(OPENAI, "/x", body) != ALIAS
    assert body_for(body, "m") == body


@pytest.mark.parametrize(
    ("dialect", "path", "asked", "model", "sent"),
    [
        ("google", "/v1beta/models/%s:generateContent", "nexo", "models/gemini-x", "gemini-x"),
        ("google", "/v1beta/models/%s:streamGenerateContent", "llama3:70b", "a:b", "a%3Ab"),
        ("google", "/v1beta/models/%s:countTokens", "meta/llama", "m", "m"),
        ("google", "/v1beta/models/%s", "nexo", "m", "m"),
        ("google", "/v1beta/models/%s/operations/x:cancel", "nexo", "m", "m"),
        ("openai", "/models/%s", "nexo", "a/b?c", "a%2Fb%3Fc"),
        ("openai", "/models/%s", "llama3:latest", "m", "m"),
        ("ollama", "/v1/models/%s", "hf.co/meta/llama:q4", "m", "m"),
    ],
)
def test_a_name_in_the_path(dialect: str, path: str, asked: str, model: str, sent: str) -> None:
    for written in (asked, quote(asked, safe="")):
        assert model_of(DIALECTS[dialect], path % written, None) == asked
        assert path_for(DIALECTS[dialect], path % written, model) == path % sent


@pytest.mark.parametrize("path", ["/models", "/chat/completions"])
def test_a_path_without_a_name_stays(path: str) -> None:
    assert path_for(OPENAI, path, "m") == path


@pytest.mark.parametrize("asked", ["m" * (NAME_LIMIT + 9), "m\n", "m\0"])
def test_a_name_that_is_cut_or_marked_equals_no_shorter_one(asked: str) -> None:
    read = model_of(OPENAI, "/x", json.dumps({"model": asked}).encode())
    assert read.isprintable()
    assert len(read) > NAME_LIMIT or "\ufffd" in read
