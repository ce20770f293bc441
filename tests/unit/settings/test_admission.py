"""Which requests the settings screen lets in: a table of what a browser, an attacker and a program send."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nexo_settings.admission import MAX_BODY_BYTES, Page, PageRefusal, PageRequest, decide

AUTHORITY = "127.0.0.1:4711"
ORIGIN = f"http://{AUTHORITY}"
FILES = {"/", "/app.js"}
CALL = {
    "host": AUTHORITY,
    "origin": ORIGIN,
    "sec-fetch-site": "same-origin",
    "content-type": "application/json",
    "content-length": "2",
    "authorization": "Bearer secret",
}


def heads(fields: dict[str, str | None]) -> list[tuple[bytes, bytes]]:
    return [(name.encode(), value.encode()) for name, value in fields.items() if value is not None]


def call(
    target: str = "/api/test", method: str = "POST", query: bytes = b"", **changed: str | None
) -> object:
    fields = CALL | {name.replace("_", "-"): value for name, value in changed.items()}
    return decide(method, target, query, heads(fields), AUTHORITY, FILES)


def page(target: str = "/", method: str = "GET", query: bytes = b"", **changed: str | None) -> object:
    fields = {"host": AUTHORITY} | {name.replace("_", "-"): value for name, value in changed.items()}
    return decide(method, target, query, heads(fields), AUTHORITY, FILES)


def test_the_page_itself_is_let_in() -> None:
    assert page() == Page("/")
    assert page("/app.js", sec_fetch_site="same-origin") == Page("/app.js")
    assert page(sec_fetch_site="none") == Page("/")
    assert call() == PageRequest("test", "secret", 2)
    assert call(authorization=None) == PageRequest("test", "", 2)


@pytest.mark.parametrize(
    "host",
    [
        None,
        "",
        "localhost:4711",
        "127.0.0.1",
        "127.0.0.1:4712",
        "127.0.0.1:4711.",
        "127.0.0.1.:4711",
        "127.1:4711",
        "0.0.0.0:4711",
        "[::1]:4711",
        "[::ffff:127.0.0.1]:4711",
        "2130706433:4711",
        "evil.example:4711",
        "user@127.0.0.1:4711",
        "127.0.0.1:4711, evil.example",
        " 127.0.0.1:4711",
    ],
)
def test_another_name_for_this_server_is_refused(host: str | None) -> None:
    for answer in (page(host=host), call(host=host), page("/nothing", host=host)):
        assert isinstance(answer, PageRefusal)
        assert answer.status == 421


def test_a_header_that_decides_stands_there_once() -> None:
    for name in CALL:
        twice = [*heads(dict(CALL)), (name.title().encode(), CALL[name].encode())]
        answer = decide("POST", "/api/test", b"", twice, AUTHORITY, FILES)
        assert isinstance(answer, PageRefusal) or (
            name == "authorization" and answer == PageRequest("test", "", 2)
        )


@pytest.mark.parametrize(
    ("changed", "status"),
    [
        ({"sec_fetch_site": None}, 403),
        ({"sec_fetch_site": "same-site"}, 403),
        ({"sec_fetch_site": "cross-site"}, 403),
        ({"sec_fetch_site": "none"}, 403),
        ({"origin": None}, 403),
        ({"origin": "null"}, 403),
        ({"origin": "http://127.0.0.1"}, 403),
        ({"origin": "http://127.0.0.1:4712"}, 403),
        ({"origin": "http://localhost:4711"}, 403),
        ({"origin": "https://127.0.0.1:4711"}, 403),
        ({"origin": f"{ORIGIN}.evil.example"}, 403),
        ({"origin": f"{ORIGIN}/"}, 403),
        ({"content_type": None}, 415),
        ({"content_type": "text/plain"}, 415),
        ({"content_type": "application/x-www-form-urlencoded"}, 415),
        ({"content_type": "application/json; charset=utf-16"}, 415),
        ({"content_length": None}, 411),
        ({"content_length": "-1"}, 411),
        ({"content_length": "+2"}, 411),
        ({"content_length": "2, 2"}, 411),
        ({"content_length": "٢"}, 411),
        ({"transfer_encoding": "chunked"}, 411),
        ({"content_length": str(MAX_BODY_BYTES + 1)}, 413),
        ({"content_length": "9" * 4000}, 413),
        ({"query": b"token=x"}, 400),
        ({"method": "GET"}, 405),
        ({"method": "PUT"}, 405),
        ({"method": "OPTIONS"}, 405),
    ],
)
def test_a_call_that_is_not_the_pages_is_refused(changed: dict[str, str], status: int) -> None:
    answer = call(**changed)  # type: ignore[arg-type]  # method and query are texts of another kind
    assert isinstance(answer, PageRefusal)
    assert answer.status == status


@pytest.mark.parametrize(
    "target", ["/api", "/app.js/", "//", "/..", "/%61pp.js", "/APP.JS", "/app.js%00", ""]
)
def test_only_the_files_of_the_page_are_there(target: str) -> None:
    answer = page(target)
    assert isinstance(answer, PageRefusal)
    assert answer.status == 404


def test_another_site_cannot_even_link_to_the_page() -> None:
    for site in ("cross-site", "same-site", "nonsense"):
        answer = page(sec_fetch_site=site)
        assert isinstance(answer, PageRefusal)
        assert answer.status == 403


@pytest.mark.parametrize("given", ["secret", "Basic secret", "bearer secret", "Bearersecret", ""])
def test_the_secret_stands_in_one_form(given: str) -> None:
    assert call(authorization=given) == PageRequest("test", "", 2)


def test_a_secret_is_not_in_a_repr() -> None:
    assert "secret" not in repr(call())


token = st.text(st.characters(max_codepoint=255, exclude_characters="\0\r\n"), max_size=40)


@given(
    st.lists(st.tuples(st.sampled_from([*CALL, "x", "transfer-encoding"]), token), max_size=8), token, token
)
def test_nothing_is_let_in_by_accident(fields: list[tuple[str, str]], target: str, method: str) -> None:
    given = [(name.encode(), value.encode("latin-1")) for name, value in fields]
    answer = decide(method, target, b"", given, AUTHORITY, FILES)
    if not isinstance(answer, PageRefusal):
        assert (b"host", AUTHORITY.encode()) in given
