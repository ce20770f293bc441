"""What the tests of `nexo_sources` share: two keys, a file of a program, and what was found in it."""

import json
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from nexo_sources import Found

KEY = "canary-of-a-program"
OTHER = "canary-of-another-place"


def write(path: Path, content: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def told(found: Found) -> list[tuple[str, str, str, str, str]]:
    """Name, service, address, key and model of each finding."""
    return [
        (one.name, one.preset or one.provider.value, one.address, one.api_key, one.model)
        for one in found.merged().findings
    ]


def reasons(found: Found) -> dict[str, str]:
    return {one.what: one.reason for one in found.skipped}


def any_content(names: st.SearchStrategy[str], words: list[str]) -> st.SearchStrategy[Any]:
    """What a file of settings can hold; the names and words mean something to the source."""
    leaves = st.one_of(
        st.none(), st.booleans(), st.integers(-9, 99999), st.text(max_size=8), st.sampled_from(words)
    )
    return st.recursive(
        leaves,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=5),
        max_leaves=25,
    )
