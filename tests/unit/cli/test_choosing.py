"""Ticking some of many by number."""

import pytest

from nexo_cli.choosing import parsed, written


@pytest.mark.parametrize(
    ("answer", "chosen"),
    [
        ("1", {1}),
        ("1,3", {1, 3}),
        (" 2-4 ", {2, 3, 4}),
        ("1 3-4,5", {1, 3, 4, 5}),
        ("all", {1, 2, 3, 4, 5}),
        ("Yes", {1, 2, 3, 4, 5}),
        ("none", set()),
        ("n", set()),
    ],
)
def test_an_answer_means_numbers(answer: str, chosen: set[int]) -> None:
    assert parsed(answer, 5) == chosen


@pytest.mark.parametrize("answer", ["", "0", "6", "4-2", "1-9", "x", "1,x", "-1", "all 1", "99999999999999"])
def test_anything_else_is_asked_again(answer: str) -> None:
    assert parsed(answer, 5) is None


@pytest.mark.parametrize(
    ("numbers", "text"), [((), ""), ((2,), "2"), ((1, 2, 3, 5), "1-3, 5"), ((5, 1), "1, 5")]
)
def test_numbers_are_written_as_a_person_would(numbers: tuple[int, ...], text: str) -> None:
    assert written(frozenset(numbers)) == text
    if numbers:
        assert parsed(text, 9) == set(numbers)
