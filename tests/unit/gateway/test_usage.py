"""However an answer is split into chunks, the counts are those that the provider reported last."""

import gzip
import json
import sys
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nexo_gateway.usage import ReportedUsage, Tap

SSE, JSON, NDJSON = "text/event-stream; charset=utf-8", "application/json", "application/x-ndjson"


def events(*documents: object) -> bytes:
    return b"".join(b"data: " + json.dumps(one).encode() + b"\n\n" for one in documents)


SHAPES: dict[str, tuple[str, bytes, ReportedUsage | None]] = {
    "chat, streaming": (
        SSE,
        events(
            {"choices": [{"delta": {"content": "a"}}], "usage": None},
            {
                "choices": [],
                "usage": {
                    "prompt_tokens": 9,
                    "completion_tokens": 4,
                    "prompt_tokens_details": {"cached_tokens": 3},
                },
            },
        )
        + b"data: [DONE]\n\n",
        ReportedUsage(9, 4, 3),
    ),
    "chat, streaming, not asked for": (SSE, events({"choices": [{"delta": {"content": "a"}}]}), None),
    "responses, streaming": (
        SSE,
        events(
            {"type": "response.created", "response": {"usage": None}},
            {
                "type": "response.completed",
                "response": {
                    "usage": {
                        "input_tokens": 8,
                        "output_tokens": 2,
                        "input_tokens_details": {"cached_tokens": 1},
                    }
                },
            },
        ),
        ReportedUsage(8, 2, 1),
    ),
    "messages, streaming, cumulative": (
        SSE,
        events(
            {
                "type": "message_start",
                "message": {"usage": {"input_tokens": 10, "cache_read_input_tokens": 5, "output_tokens": 1}},
            },
            {"type": "message_delta", "usage": {"output_tokens": 7}},
            {"type": "message_delta", "usage": {"output_tokens": 20, "input_tokens": None}},
        ),
        ReportedUsage(15, 20, 5),
    ),
    "gemini, streaming": (
        SSE,
        events(
            {"usageMetadata": {"promptTokenCount": 3, "candidatesTokenCount": 1}},
            {"usageMetadata": {"promptTokenCount": 3, "candidatesTokenCount": 5, "thoughtsTokenCount": 2}},
        ),
        ReportedUsage(3, 7, None),
    ),
    "ollama, streaming": (
        NDJSON,
        b'{"message":{"content":"a"},"done":false}\n{"done":true,"prompt_eval_count":11,"eval_count":6}\n',
        ReportedUsage(11, 6, None),
    ),
    "ollama, embeddings": (JSON, b'{"embeddings":[[1]],"prompt_eval_count":8}', ReportedUsage(8, None, None)),
    "chat": (
        JSON,
        b'{"choices":[{"message":{"content":"say \\"usage\\":{\\"prompt_tokens\\":1}"}}],'
        b'"usage": {"prompt_tokens":2,"completion_tokens":3}}',
        ReportedUsage(2, 3, None),
    ),
    "nothing that is a count": (JSON, b'{"usage":{"prompt_tokens":"9","completion_tokens":true}}', None),
    "more than there can be": (JSON, b'{"usage":{"prompt_tokens":99999999999999999999}}', None),
    "no JSON": (JSON, b'{"usage":{"prompt_tokens":', None),
}


@given(st.data())
@pytest.mark.parametrize("shape", SHAPES)
def test_the_counts_are_the_same_however_the_answer_is_cut(shape: str, data: st.DataObject) -> None:
    kind, body, expected = SHAPES[shape]
    packed = data.draw(st.booleans())
    sent = gzip.compress(body, mtime=0) if packed else body
    cuts = sorted(data.draw(st.lists(st.integers(0, len(sent)), max_size=12)))
    tap = Tap(kind, "gzip" if packed else "")
    for start, end in zip([0, *cuts], [*cuts, len(sent)], strict=True):
        tap.feed(sent[start:end])
    assert tap.usage() == expected


@pytest.mark.parametrize("kind", [JSON, SSE])
@pytest.mark.parametrize("at_once", [1000, 65_536, 10**7])
def test_counts_are_found_before_and_after_long_data(kind: str, at_once: int) -> None:
    counts, data = b'"usage":{"prompt_tokens":6}', b'"data":[' + b"0.125," * 200_000 + b"0]"
    for body in (b"{%b,%b}" % (counts, data), b"{%b,%b}" % (data, counts)):
        tap = Tap(kind, "")
        for at in range(0, len(body), at_once):
            tap.feed(body[at : at + at_once])
        assert tap.usage() == ReportedUsage(6, None, None)


@given(st.binary(max_size=400), st.sampled_from([SSE, JSON, NDJSON]), st.sampled_from(["", "gzip", "br"]))
def test_no_body_makes_it_fail(body: bytes, kind: str, encoding: str) -> None:
    tap = Tap(kind, encoding)
    tap.feed(body)
    tap.usage()


def test_an_answer_that_nests_for_ever_is_not_followed_to_its_end() -> None:
    for body in (b'{"usage":' * 5000, b'"usage":[' * 5000):
        tap = Tap(JSON, "")
        tap.feed(body)
        assert tap.usage() is None


@pytest.mark.parametrize("encoding", ["gzip", ""])
def test_the_work_does_not_grow_with_the_number_of_lines(encoding: str) -> None:
    """A gzip of empty lines is small, and used to hold the daemon up for a minute."""
    body = b"\n" * 1_000_000
    tap = Tap(SSE, encoding)
    calls = Counter[str]()
    sys.setprofile(lambda _frame, event, _argument: calls.update([event]))
    try:
        tap.feed(gzip.compress(body) if encoding else body)
    finally:
        sys.setprofile(None)
    assert calls["call"] < 200


def test_little_that_becomes_a_lot_is_not_unpacked() -> None:
    tap = Tap(JSON, "gzip")
    tap.feed(gzip.compress(bytes(200_000_000)))
    assert tap.usage() is None
