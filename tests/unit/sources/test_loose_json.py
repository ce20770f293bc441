"""JSON as people write it: comments, trailing commas, names without quotes."""

from typing import Any

import pytest

from nexo_sources.loose_json import loose_json_of
from nexo_sources.reading import Unreadable


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('{"a": "// no comment", /* one */ "b": [1, 2,],}', {"a": "// no comment", "b": [1, 2]}),
        ("{a: 'it\\'s', $b: -1.5e3, c: true,}", {"a": "it's", "$b": -1500.0, "c": True}),
        ('{"url": "https://x/*y*/"}', {"url": "https://x/*y*/"}),
        ('["\\",", "},"]', ['",', "},"]),
        ("// only\n{}\n", {}),
        ('{"a": 1// one\n, b/* name */: true/* yes */}', {"a": 1, "b": True}),
        ("{a: x/y}", {"a": "x/y"}),
    ],
)
def test_loose_json_is_read(text: str, value: Any) -> None:
    assert loose_json_of(text) == value


@pytest.mark.parametrize(
    "text",
    [
        "{'a' 1}",
        '{"a": "\n"}',
        "{/* open",
        "",
        "[1 2]",
        "/* " * 1_000_000,
        *("{,}", "[,]", "[1,,]", '{"a": 1, /* two */ ,}', '{"a":,}'),
    ],
)
def test_what_is_no_json_either_is_named_by_its_line(text: str) -> None:
    with pytest.raises(Unreadable, match=r"line \d"):
        loose_json_of(text)
