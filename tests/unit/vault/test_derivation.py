"""Keys are derived from passphrases and recovery codes; typing mistakes give error messages."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nexo_daemon.vault import derivation
from nexo_daemon.vault.derivation import BadWordsError


def test_a_passphrase_gives_the_same_key_however_its_letters_are_composed() -> None:
    parameters = {**derivation.passphrase_parameters(), "n": 1 << 10}
    composed, decomposed = "M\u00fcnchen im Mai", "Mu\u0308nchen im Mai"
    assert derivation.from_passphrase(composed, parameters) == derivation.from_passphrase(
        decomposed, parameters
    )
    assert derivation.from_passphrase("Munchen im Mai", parameters) != derivation.from_passphrase(
        composed, parameters
    )


def test_the_cost_is_what_rfc_7914_asks_of_a_file_key() -> None:
    parameters = derivation.passphrase_parameters()
    assert (parameters["n"], parameters["r"], parameters["p"]) == (131072, 8, 1)
    assert derivation.passphrase_parameters()["salt"] != parameters["salt"]


@pytest.mark.parametrize("change", [{"n": 1 << 30}, {"r": 1 << 20}, {"p": 0}, {"n": "1024"}, {"kdf": "none"}])
def test_parameters_that_would_exhaust_the_memory_are_refused(change: dict[str, str | int]) -> None:
    with pytest.raises(BadWordsError):
        derivation.from_passphrase("x" * 10, {**derivation.passphrase_parameters(), **change})


def test_codes_are_different_and_can_be_read_aloud() -> None:
    codes = {derivation.new_recovery_code() for _ in range(50)}
    assert len(codes) == 50
    assert all(set(code) <= set("0123456789ABCDEFGHJKMNPQRSTVWXYZ-") for code in codes)
    assert all(len(code) == 39 for code in codes)


def test_a_code_belongs_to_its_slot() -> None:
    code = derivation.new_recovery_code()
    assert derivation.from_recovery_code(code, "a") != derivation.from_recovery_code(code, "b")


@given(st.integers(0, 38), st.sampled_from("0123456789ABCDEFGHJKMNPQRSTVWXYZ"))
def test_nearly_every_typing_mistake_is_noticed(position: int, letter: str) -> None:
    code = "0123-4567-89AB-CDEF-GHJK-MNPQ-RSTV-WX"
    body = code.replace("-", "")
    whole = body + derivation._check_characters(body)
    wrong = whole[: position % 32] + letter + whole[position % 32 + 1 :]
    if wrong == whole:
        assert derivation.from_recovery_code(whole, "s") == derivation.from_recovery_code(whole.lower(), "s")
        return
    try:
        derivation.from_recovery_code(wrong, "s")
    except BadWordsError:
        return
    # One in 1 024 slips through the ten check bits; it then opens nothing.
    assert derivation._check_characters(wrong[:30]) == wrong[30:]
