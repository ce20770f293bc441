"""What is said about a pasted key, and what a fix makes of it."""

import pytest

from nexo.connections.terms import Provider
from nexo_daemon.domain.secret import sendable
from nexo_daemon.providers.keys import apply_fix, clean, inspect_key

KEY = "abcdefghij0123456789ABCDEFGHIJ"


@pytest.mark.parametrize(
    ("pasted", "fixes"),
    [
        (KEY, ()),
        (f" {KEY}", ("strip_white_space",)),
        (f"{KEY}\r\n", ("strip_white_space",)),
        (f"\u200b{KEY}\ufeff", ("strip_white_space",)),
        (f"\u00a0{KEY}", ("strip_white_space",)),
        (f'"{KEY}"', ("strip_quotes",)),
        (f"'{KEY}'", ("strip_quotes",)),
        (f"“{KEY}”", ("strip_quotes",)),
        (f"`{KEY}`", ("strip_quotes",)),
        (f"Bearer {KEY}", ("strip_auth_prefix",)),
        (f"Authorization: Bearer {KEY}", ("strip_auth_prefix",)),
        (f"x-api-key: {KEY}", ("strip_auth_prefix",)),
        (f"OPENAI_API_KEY={KEY}", ("strip_assignment",)),
        (f'export ANTHROPIC_AUTH_TOKEN="{KEY}"', ("strip_assignment",)),
        (f"{KEY[:10]}\n{KEY[10:]}", ("join_lines",)),
        (f' "Bearer {KEY}" \n', ("strip_white_space", "strip_auth_prefix")),
    ],
)
def test_every_blemish_has_its_fix(pasted: str, fixes: tuple[str, ...]) -> None:
    found = inspect_key(pasted, Provider.CUSTOM)
    assert tuple(suggestion.fix for suggestion in found) == fixes
    assert clean(pasted) == (KEY, fixes)
    text = pasted
    for name in fixes:
        text = apply_fix(name, text)
    assert text == KEY
    for name in fixes:
        assert apply_fix(name, text) == text, "a fix applied twice changes nothing more"
    for suggestion in found:
        assert suggestion.field == "api_key"
        assert KEY[:8] not in suggestion.text + suggestion.value


@pytest.mark.parametrize("masked", ["sk-abc...xyz", "sk-****wxyz", "sk-abc…", "gsk_••••", "sk-xxxxxxxxxxxx"])
def test_a_masked_key_is_called_so(masked: str) -> None:
    assert "masked" in inspect_key(masked, Provider.CUSTOM)[0].text


@pytest.mark.parametrize(
    ("key", "provider", "preset", "words"),
    [
        ("sk-ant-api03-x", Provider.OPENAI, "", "Anthropic"),
        ("sk-proj-x", Provider.ANTHROPIC, "", "OpenAI"),
        ("gsk_x", Provider.OPENAI, "", "Groq"),
        ("sk-or-v1-x", Provider.OPENAI, "", "OpenRouter"),
        ("AQ.x", Provider.OPENAI, "", "Google"),
        ("sk-proj-x", Provider.CUSTOM, "groq", "OpenAI"),
        ("sk-ant-oat01-x", Provider.ANTHROPIC, "", "OAuth"),
        ("sk-ant-admin01-x", Provider.ANTHROPIC, "", "admin key"),
        ("sk-admin-x", Provider.OPENAI, "", "admin key"),
        ("AIzaSyX", Provider.GOOGLE, "", "AQ."),
    ],
)
def test_a_key_in_the_wrong_place_is_a_warning(key: str, provider: Provider, preset: str, words: str) -> None:
    (warning,) = inspect_key(key, provider, preset)
    assert words in warning.text
    assert not warning.fix


@pytest.mark.parametrize(
    ("key", "provider", "preset"),
    [
        ("sk-proj-abcdef", Provider.OPENAI, ""),
        ("sk-abcdef", Provider.OPENAI, ""),
        ("sk-ant-api03-abc", Provider.ANTHROPIC, ""),
        ("AQ.abc", Provider.GOOGLE, ""),
        ("sk-0123456789abcdef0123456789abcdef", Provider.CUSTOM, "deepseek"),
        ("sk-or-v1-abc", Provider.CUSTOM, "openrouter"),
        ("sk-ant-api03-abc", Provider.CUSTOM, ""),
        ("whatever", Provider.OPENAI, ""),
        ("", Provider.OPENAI, ""),
    ],
)
def test_a_plausible_key_is_not_remarked_on(key: str, provider: Provider, preset: str) -> None:
    assert inspect_key(key, provider, preset) == ()


def test_what_cannot_be_cleaned_is_said() -> None:
    assert "empty" in inspect_key('""', Provider.OPENAI)[-1].text
    assert "no key has" in inspect_key("sk–abc", Provider.OPENAI)[-1].text
    assert "control" in inspect_key("sk\x00abc", Provider.OPENAI)[-1].text


def test_an_unknown_fix_is_refused() -> None:
    with pytest.raises(ValueError, match="strip_white_space"):
        apply_fix("rm", KEY)


@pytest.mark.parametrize(
    ("text", "expected"),
    [(KEY, True), ("a b", True), (" a", False), ("a\n", False), ("ä", False), ("a\x7f", False), ("", True)],
)
def test_sendable(text: str, expected: bool) -> None:
    assert sendable(text) is expected
