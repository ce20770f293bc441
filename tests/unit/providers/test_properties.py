"""Whatever a server sends: no exception, always one verdict, no secret in any text."""

import errno
import json
import socket
import ssl
from dataclasses import fields
from datetime import UTC, datetime

import httpcore
import httpx
from hypothesis import given, settings
from hypothesis import strategies as st

from nexo.connections.terms import Layer, Outcome, Provider
from nexo_daemon.domain.probing import Verdict
from nexo_daemon.providers import bodies
from nexo_daemon.providers.classify import Subject, judge, matches
from nexo_daemon.providers.dialects import DIALECTS, READ_MODELS
from nexo_daemon.providers.exchange import Cut, ExchangeFault, HttpAnswer
from nexo_daemon.providers.faults import judge_fault
from nexo_daemon.providers.keys import apply_fix, clean, inspect_key
from nexo_daemon.providers.redact import Redactor
from nexo_daemon.providers.retry import LONGEST_WAITS, retry_at
from nexo_daemon.providers.suggestions import trials_for
from probing_help import target
from recorded_answers import RECORDED

SECRET = "nexo-Canary/7f3a91c2d4+Zq"
NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
SUBJECT = Subject("Example", "api.example:8443", "https://example/keys")

WORDS = st.sampled_from(
    [
        "error",
        "message",
        "code",
        "type",
        "status",
        "detail",
        "data",
        "models",
        "reason",
        "title",
        "object",
        "id",
        "details",
        "retryDelay",
        "quotaId",
        "signin_url",
        "request_id",
        "has_more",
        "last_id",
        "nextPageToken",
    ]
)
TEXTS = st.one_of(
    st.text(max_size=60),
    st.sampled_from(
        [SECRET, f"key {SECRET} bad", SECRET[3:20], "Missing scopes", "perday", "401", "34.07s", "9e99"]
    ),
    st.sampled_from([r.body.decode("utf-8", "replace") for r in RECORDED if len(r.body) < 400]),
)
DOCUMENTS = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), TEXTS),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(st.one_of(WORDS, st.text(max_size=8)), inner, max_size=5)
    ),
    max_leaves=20,
)
BODIES = st.one_of(
    st.binary(max_size=300),
    DOCUMENTS.map(lambda document: json.dumps(document).encode()),
    st.sampled_from([recorded.body for recorded in RECORDED]),
    TEXTS.map(lambda text: f"<html>{text}</html>".encode("utf-8", "replace")),
)
HEADERS = st.lists(
    st.tuples(
        st.sampled_from(
            [
                "content-type",
                "retry-after",
                "retry-after-ms",
                "x-ratelimit-reset-requests",
                "x-ratelimit-remaining-requests",
                "anthropic-ratelimit-tokens-reset",
                "location",
                "cf-mitigated",
                "x-request-id",
            ]
        ),
        st.one_of(
            st.text(alphabet=st.characters(min_codepoint=32, max_codepoint=126), max_size=40),
            st.sampled_from(
                [SECRET, "application/json", "text/html; charset=x", "6m0s", "-1", "1e400", "99999999999999"]
            ),
            st.sampled_from(
                ["Mon, 23 Nov 2026 12:02:00 GMT", "0001-01-01T00:00:00", "9999-12-31T23:59:59Z", "http://[x"]
            ),
        ),
    ),
    max_size=6,
)
STATUSES = st.one_of(st.integers(0, 999), st.sampled_from([200, 400, 401, 402, 403, 404, 429, 500, 503, 529]))


def assert_clean(verdict: Verdict) -> None:
    for field in fields(verdict):
        value = getattr(verdict, field.name)
        if isinstance(value, str):
            assert SECRET not in value
            assert not any(SECRET[i : i + 8] in value for i in range(len(SECRET) - 7)), value
            assert value.isprintable()
            assert len(value) <= 800
            value.encode()


@settings(max_examples=800, deadline=None)
@given(
    status=STATUSES,
    headers=HEADERS,
    body=BODIES,
    cut=st.sampled_from(Cut),
    provider=st.sampled_from(Provider),
)
def test_every_answer_has_a_verdict(
    status: int, headers: list[tuple[str, str]], body: bytes, cut: Cut, provider: Provider
) -> None:
    answer = HttpAnswer(status, httpx.Headers(headers), body, cut, 0.1)
    reading = bodies.read(answer)
    models = DIALECTS[provider].models(reading.document, READ_MODELS)
    first = DIALECTS[provider].models(reading.document, 1)
    assert first == (models if models is None else models[:1]), "a check tells a list by one entry"
    DIALECTS[provider].next_query(reading.document)
    verdict = judge(
        reading, right_shape=models is not None, subject=SUBJECT, redact=Redactor([SECRET]), now=NOW
    ).verdict
    assert (verdict.outcome is Outcome.OK) == (verdict.reason == "") == (verdict.advice == "")
    if verdict.outcome is Outcome.OK:
        assert 200 <= status <= 299
        assert models is not None
    if verdict.retry_at is not None:
        assert NOW <= verdict.retry_at <= NOW + LONGEST_WAITS[verdict.outcome]
    assert_clean(verdict)
    assert next(matches(reading))


@settings(max_examples=300, deadline=None)
@given(headers=HEADERS, body=BODIES, outcome=st.sampled_from(list(Outcome)))
def test_retry_at_is_never_in_the_past_or_beyond_the_bound(
    headers: list[tuple[str, str]], body: bytes, outcome: Outcome
) -> None:
    reading = bodies.read(HttpAnswer(429, httpx.Headers(headers), body))
    moment = retry_at(reading, outcome, NOW)
    assert moment is None or NOW <= moment <= NOW + LONGEST_WAITS[outcome]


ERRORS = st.one_of(
    st.builds(socket.gaierror, st.sampled_from([-2, -3, -5]), TEXTS),
    st.builds(
        OSError,
        st.sampled_from([errno.ENETUNREACH, errno.ECONNREFUSED, errno.ECONNRESET, errno.EPERM]),
        TEXTS,
    ),
    st.builds(ssl.SSLError, TEXTS),
    st.builds(httpcore.ProxyError, TEXTS),
    st.builds(httpcore.RemoteProtocolError, TEXTS),
    st.builds(httpcore.LocalProtocolError, TEXTS),
    st.builds(httpcore.ReadTimeout, TEXTS),
    st.builds(TimeoutError, TEXTS),
    st.builds(RuntimeError, TEXTS),
    st.builds(UnicodeError, TEXTS),
)


@settings(max_examples=300, deadline=None)
@given(
    error=ERRORS, cause=ERRORS, layer=st.sampled_from(Layer), via_proxy=st.booleans(), loopback=st.booleans()
)
def test_every_fault_has_a_verdict_and_no_text_of_a_library(
    error: BaseException, cause: BaseException, layer: Layer, via_proxy: bool, loopback: bool
) -> None:
    error.__cause__ = cause
    cause.__context__ = error
    fault = ExchangeFault(layer, error, host="api.example", via_proxy=via_proxy, loopback=loopback)
    verdict = judge_fault(fault, SUBJECT)
    assert verdict.outcome is Outcome.UNREACHABLE
    assert verdict.reason
    assert verdict.advice
    assert not (loopback and verdict.network_suspect)
    assert_clean(verdict)
    assert SECRET not in str(fault) + repr(fault)


@settings(max_examples=300, deadline=None)
@given(
    text=st.one_of(
        st.text(max_size=80),
        st.builds("{}{}{}".format, st.text(max_size=5), st.just(SECRET), st.text(max_size=5)),
    ),
    provider=st.sampled_from(Provider),
)
def test_no_word_about_a_key_repeats_it(text: str, provider: Provider) -> None:
    for suggestion in inspect_key(text, provider):
        assert SECRET not in suggestion.text + suggestion.value
        if suggestion.fix:
            once = apply_fix(suggestion.fix, text)
            assert apply_fix(suggestion.fix, once) == once
    cleaned, fixes = clean(text)
    for fix in fixes:
        text = apply_fix(fix, text)
    assert text == cleaned, "who applies the named fixes in order gets what was tried"


@settings(max_examples=300, deadline=None)
@given(
    url=st.one_of(
        st.text(max_size=40),
        st.from_regex(r"https?://[a-z0-9.:\[\]-]{1,20}(/[a-z0-9/]{0,20})?", fullmatch=True),
    ),
    outcome=st.sampled_from(Outcome),
    reason=st.sampled_from(["refused", "tls_not_spoken", "redirect", "not_found", "timeout", "dns", ""]),
    provider=st.sampled_from(Provider),
)
def test_suggesting_never_fails(url: str, outcome: Outcome, reason: str, provider: Provider) -> None:
    wanted = target(provider, url, SECRET)
    for trial in trials_for(wanted, Verdict(outcome, reason=reason)):
        assert SECRET not in trial.text + trial.value
        assert trial.target != wanted
