"""Only unambiguous requests are admitted; the token is found wherever a program puts its key."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nexo_gateway.admission import MAX_TARGET_BYTES, Admitted, NotAdmitted, admit, hosts_of
from nexo_gateway.passing import downwards, upwards

HOSTS = hosts_of(20000)
HOST = (b"host", b"127.0.0.1:20000")


def let_in(path: bytes, query: bytes = b"", *headers: tuple[bytes, bytes]) -> Admitted:
    return admit("POST", path, query, [HOST, *headers], hosts=HOSTS)


@pytest.mark.parametrize(
    ("path", "query", "header"),
    [
        (b"/openai/v1/x", b"", (b"authorization", b"Bearer tok")),
        (b"/openai/v1/x", b"", (b"authorization", b"bearer  tok ")),
        (b"/openai/v1/x", b"", (b"api-key", b"tok")),
        (b"/anthropic/v1/messages", b"", (b"x-api-key", b"tok")),
        (b"/google/v1beta/models", b"", (b"x-goog-api-key", b"tok")),
        (b"/google/v1beta/models", b"alt=sse&key=tok", (b"x-other", b"1")),
        (b"/google/v1beta/models", b"k%65y=tok", (b"x-other", b"1")),
        (b"/openai/v1/x", b"a=b&api-key=tok&c;key=tok", (b"authorization", b"Bearer tok")),
        (b"/t/tok/ollama/api/chat", b"", (b"authorization", b"Bearer of-another")),
    ],
)
def test_the_token_is_found_and_goes_no_further(
    path: bytes, query: bytes, header: tuple[bytes, bytes]
) -> None:
    admitted = let_in(path, query, header)
    assert admitted.token == "tok"
    passed_on = repr((admitted.path, admitted.query, upwards([HOST, header], (), "h", chunked=False)))
    assert "tok" not in passed_on
    assert "of-another" not in passed_on
    assert "tok" not in repr(admitted)


@pytest.mark.parametrize(
    ("asked", "sent"),
    [
        (b"/openai/v1/chat/completions", "/chat/completions"),
        (b"/openai/chat/completions", "/chat/completions"),
        (b"/openai/v1", ""),
        (b"/anthropic/v1/messages", "/v1/messages"),
        (b"/anthropic/messages", "/v1/messages"),
        (b"/anthropic/api/hello", "/api/hello"),
        (b"/google/v1/models/m:generateContent", "/v1/models/m:generateContent"),
        (b"/google/models/m:generateContent", "/v1beta/models/m:generateContent"),
        (b"/ollama/api/chat", "/api/chat"),
        (b"/openai/v1/files/a%2Fb", "/files/a%2Fb"),
    ],
)
def test_both_forms_of_a_base_url_lead_to_the_same_path(asked: bytes, sent: str) -> None:
    assert let_in(asked).path == sent


@pytest.mark.parametrize(
    "climb",
    [
        b"..",
        b".",
        b"%2e%2e",
        b"%2E.",
        b"%252e%252e",
        b"x%2f..",
        b"x%2F%2e%2e%2Fy",
        b"x%5c..",
        b"..;a=b",
        b"%2e%3b",
    ],
)
def test_no_spelling_of_a_step_up_is_let_in(climb: bytes) -> None:
    with pytest.raises(NotAdmitted) as refused:
        let_in(b"/openai/v1/a/" + climb + b"/b")
    assert refused.value.status == 400
    # What only looks like one is a name.
    assert let_in(b"/openai/v1/a/.." + b"x/b").path == "/a/..x/b"


def test_path_and_query_together_have_a_limit() -> None:
    path = b"/openai/v1/" + b"a" * (MAX_TARGET_BYTES - 20)
    assert let_in(path, b"b" * 9).path.endswith("aa")
    with pytest.raises(NotAdmitted) as refused:
        let_in(path, b"b" * 10)
    assert refused.value.status == 414


def visible(most: int, but: str = "") -> st.SearchStrategy[bytes]:
    """The characters that the parser lets through in a target."""
    alphabet = st.characters(min_codepoint=0x21, max_codepoint=0x7E, exclude_characters=but)
    return st.text(alphabet, max_size=most).map(str.encode)


@settings(deadline=None)  # on a busy machine the first example takes longer
@given(visible(60, "?"), visible(30), st.lists(st.tuples(st.binary(max_size=9), st.binary())))
def test_every_request_is_admitted_or_refused_and_what_is_admitted_stays_below_its_dialect(
    path: bytes, query: bytes, headers: list[tuple[bytes, bytes]]
) -> None:
    for start in (b"/", b"/openai/", b"/anthropic/v1/"):
        try:
            admitted = admit("POST", start + path, query, [HOST, *headers], hosts=HOSTS)
        except NotAdmitted:
            continue
        assert admitted.path.isascii()
        assert not {".", ".."} & set(admitted.path.split("/"))
        assert not any(character in admitted.path for character in " \r\n#?\\")


@pytest.mark.parametrize(
    ("offered", "sent"),
    [
        ([b"gzip, deflate, br"], b"gzip"),
        ([b"br;q=1.0, GZIP; q=0.5"], b"gzip"),
        ([b"br", b"gzip"], b"gzip"),
        ([b"gzip;q=0"], b"identity"),
        ([b"br, gzip; q=0.000 , zstd"], b"identity"),
        ([b"x-gzipped, *"], b"identity"),
        ([], b"identity"),
    ],
)
def test_gzip_is_asked_for_only_if_the_program_takes_it(offered: list[bytes], sent: bytes) -> None:
    headers = [HOST, *((b"accept-encoding", value) for value in offered)]
    passed_on = upwards(headers, (), "h", chunked=False)
    assert [value for name, value in passed_on if name == b"accept-encoding"] == [sent]


HOP = ("connection", "keep-alive", "transfer-encoding", "te", "trailer", "upgrade", "x-named")


@given(st.lists(st.sampled_from([*HOP, "content-type", "request-id", "set-cookie", "x-should-retry"])))
def test_an_answer_keeps_all_headers_but_those_of_one_hop(names: list[str]) -> None:
    sent = [(name.encode(), b"x-named" if name == "connection" else b"1") for name in names]
    told = downwards(sent, "work")
    named = "connection" in names
    kept = [pair for pair in sent if pair[0].decode() not in HOP or (pair[0] == b"x-named" and not named)]
    assert told == [*kept, (b"x-nexo-connection", b"work")]
