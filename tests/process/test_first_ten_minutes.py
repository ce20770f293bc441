"""The page that shows a newcomer's first ten minutes shows what happens today."""

import newcomer
from typist import on_screen


def test_the_transcript_is_that_of_a_new_run() -> None:
    # `test --all` prints each result as it comes, so their order is the one thing that may differ.
    told, kept = newcomer.tell(), newcomer.PAGE.read_text(encoding="utf-8")
    assert sorted(told.splitlines()) == sorted(kept.splitlines()), "write it again: python tests/newcomer.py"


def test_what_a_spinner_wrote_is_gone() -> None:
    raw = "start\r\n⠋ work\r\n⠋ home\r\x1b[2K\x1b[1A\x1b[2K⠙ home\r\x1b[2K\rdone\r\n"
    assert on_screen(raw) == "start\ndone\n"
