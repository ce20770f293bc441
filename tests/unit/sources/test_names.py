"""A name that another program allows becomes one that the daemon accepts."""

import shlex

from hypothesis import example, given
from hypothesis import strategies as st

from nexo.connections.names import key as name_key
from nexo.connections.terms import Provider
from nexo_daemon.registry.drafts import check_name
from nexo_sources.finding import Finding, unique_names


def finding(name: str) -> Finding:
    return Finding(name=name, place="here", provider=Provider.CUSTOM, base_url="http://127.0.0.1:9")


@given(
    st.lists(
        st.text(st.characters(min_codepoint=0, exclude_categories=())) | st.text("-aA \u200d", max_size=90),
        max_size=6,
    )
)
@example(
    ["-dash", "--dash", "", "  ", "\N{WOMAN}\u200d\N{PERSONAL COMPUTER}", "\x1b[31mred", "\ud800", "a" * 200]
)
@example(["a" * 200] * 12)
def test_every_name_of_another_program_is_accepted_and_unique(names: list[str]) -> None:
    found = [one.name for one in unique_names(tuple(map(finding, names)), ("taken", "unnamed"))]
    assert [check_name(name) for name in found] == found
    keys = [name_key(name) for name in found]
    assert len({*keys, "taken", "unnamed"}) == len(names) + 2


@given(st.text(st.characters(min_codepoint=0, exclude_categories=())))
def test_the_command_that_is_proposed_has_such_a_name(name: str) -> None:
    proposed = shlex.split(finding(name).command("keyring:a/b"))[2]
    assert check_name(proposed) == proposed
