"""A secret that a provider repeats is masked, however it is split into chunks; the rest is unchanged."""

import json
from urllib.parse import quote

from hypothesis import given
from hypothesis import strategies as st

from nexo_gateway.masking import Masking

KEY = 'sk-a"b/1234567890'


@given(st.lists(st.sampled_from([KEY, json.dumps(KEY)[1:-1], "text ", "sk-a", "\n"])), st.data())
def test_no_cut_lets_a_secret_through_and_the_length_stays(parts: list[str], data: st.DataObject) -> None:
    body = "".join(parts).encode()
    cuts = sorted(data.draw(st.lists(st.integers(0, len(body)), max_size=8)))
    masking = Masking([KEY])
    told = b"".join(masking.feed(body[a:b]) for a, b in zip([0, *cuts], [*cuts, len(body)], strict=True))
    told += masking.rest()
    assert len(told) == len(body)
    assert KEY.encode() not in told
    assert json.dumps(KEY)[1:-1].encode() not in told
    assert told == Masking([KEY]).mask(body)


def test_each_spelling_is_overwritten_whole_and_a_word_is_none() -> None:
    masking = Masking([KEY, "ollama", "12345678", "sk-12345678-abcdef"])
    for spelling in (KEY, json.dumps(KEY)[1:-1], quote(KEY, safe=""), "sk-12345678-abcdef", "12345678"):
        assert masking.mask(f"<{spelling}>".encode()) == b"<" + b"*" * len(spelling) + b">"
    assert masking.mask(b"ollama is not running") == b"ollama is not running"
