"""A name holds only what a reader sees, and joiners where they show; nothing that turns text around."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nexo.connections import names
from nexo.connections.errors import InvalidField
from nexo_cli.format import display_width, printable
from nexo_daemon.registry.drafts import check_name
from nexo_tray.model import shown_name

GOOD = {
    "a word": "work",
    "accents": "Kärnten e\u0301",
    "a face": "🙂 home",
    "a family": "\U0001f468\u200d\U0001f469\u200d\U0001f467\u200d\U0001f466",
    "a skin tone": "\U0001f44d\U0001f3fd",
    "a coder": "\U0001f469\U0001f3fd\u200d\U0001f4bb",
    "a heart": "\u2764\ufe0f",
    "a heart on fire": "\u2764\ufe0f\u200d\U0001f525",
    "a shaking head": "\U0001f642\u200d\u2194\ufe0f",
    "a keycap": "1\ufe0f\u20e3",
    "information": "\u2139\ufe0f",
    "a flag of two letters": "\U0001f1e6\U0001f1f9",
    "the flag of Scotland": "\U0001f3f4\U000e0067\U000e0062\U000e0073\U000e0063\U000e0074\U000e007f",
    "a rainbow flag": "\U0001f3f3\ufe0f\u200d\U0001f308",
    "an emoji newer than Python": "\U0001faea",
    "Persian": "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",
    "Sinhala": "\u0dc1\u0dca\u200d\u0dbb\u0dd3",
    "Bengali": "\u09b0\u200d\u09cd\u09af\u09be",
    "Hindi": "\u0915\u094d\u200d\u0937",
    "Hebrew": "עבודה",
}
BAD = {
    "an escape": "\x1b[31mred",
    "a line break": "a\nb",
    "a zero byte": "a\0b",
    "a direction override": "\u202egnp.exe",
    "an isolate": "\u2066work\u2069",
    "a direction mark": "work\u200f",
    "a joiner between Latin letters": "wo\u200drk",
    "a non-joiner between Latin letters": "w\u00f6\u200cr",
    "a joiner at the start": "\u200d\U0001f467",
    "a joiner at the end": "\U0001f468\u200d",
    "two joiners": "\U0001f468\u200d\u200d\U0001f467",
    "a joiner beside a space": "\U0001f468 \u200d\U0001f467",
    "a space without width": "wo\u200brk",
    "a soft hyphen": "wo\u00adrk",
    "a byte order mark": "\ufeffwork",
    "a selector after a letter": "work\ufe0f",
    "a selector of a variant": "\u2764\ufe00",
    "a filler": "work\u3164",
    "a blank Braille pattern": "work\u2800",
    "letters in tags": "\U0001f3f4\U000e0068\U000e0069\U000e007f",
    "tags alone": "work\U000e0061",
    "private use": "work\ue000",
    "a lone surrogate": "work\udc80",
    "a line separator": "a\u2028b",
}


@pytest.mark.parametrize("name", GOOD.values(), ids=GOOD.keys())
def test_what_people_write_is_a_name_and_is_shown_as_it_is(name: str) -> None:
    assert names.unseen(name) == ""
    assert check_name(name) == name
    assert printable(name) == name
    assert name in shown_name(name)


@pytest.mark.parametrize("text", BAD.values(), ids=BAD.keys())
def test_what_nobody_sees_is_refused_with_its_number_and_shown_as_an_escape(text: str) -> None:
    unseen = names.unseen(text)
    assert unseen
    with pytest.raises(InvalidField) as refused:
        check_name(text)
    assert refused.value.field == "name"
    assert f"U+{ord(unseen):04X}" in refused.value.message
    assert "\\" in printable(text)
    assert names.unseen(printable(text)) == ""
    assert names.unseen(shown_name(text).strip("\u200e\u2068\u2069")) == ""


def test_two_names_that_differ_in_joiners_or_case_are_the_same() -> None:
    assert names.key(GOOD["a family"]) == names.key(GOOD["a family"].replace("\u200d", ""))
    assert names.key(" Work ") == names.key("wORK")
    assert names.key("Straße") == names.key("STRASSE")


def test_what_is_not_seen_takes_no_column() -> None:
    assert display_width("\u2764\ufe0f") == display_width("\u2764")
    assert display_width(GOOD["Persian"]) == len(GOOD["Persian"]) - 1


SPECIAL = (
    "a \u00f6\u0645\u094d\u0301\u200c\u200d\ufe0e\ufe0f\u202e1\u20e3"
    "\u2764\U0001f468\U0001f3fd\U0001f3f4\U000e0067\U000e007f"
)


@given(st.text(SPECIAL) | st.text(st.characters(min_codepoint=0, exclude_categories=())))
def test_of_all_that_is_seen_nothing_is_lost_and_nothing_else_stays(text: str) -> None:
    found: list[str] = []

    def note(character: str) -> str:
        found.append(character)
        return "?"

    escaped = names.replaced(text, note)
    assert len(escaped) == len(text)
    assert bool(found) == bool(names.unseen(text))
    changed = [(before, after) for before, after in zip(text, escaped, strict=True) if before != after]
    assert all(after == "?" for _, after in changed)
    assert all(unicodedata.category(before) == "Cc" for before, _ in changed if before.isascii())
