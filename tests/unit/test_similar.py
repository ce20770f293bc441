import pytest

from nexo.connections.similar import most_similar


@pytest.mark.parametrize(
    ("word", "known", "meant"),
    [
        ("gpt5-nano", ["GPT-5-Nano", "claude-haiku-4-5"], "GPT-5-Nano"),
        ("zzzz", ["GPT-5-Nano"], ""),
        ("", ["work"], ""),
        ("--jsno", ["--json", "--socket"], "--json"),
        # Two dashes are no similarity.
        ("--since", ["--socket"], ""),
    ],
)
def test_the_word_that_was_meant(word: str, known: list[str], meant: str) -> None:
    assert most_similar(word, known) == meant


def test_of_a_long_list_only_the_first_are_compared() -> None:
    assert most_similar("model", (f"{number}-model" for number in range(10**12))) != ""
