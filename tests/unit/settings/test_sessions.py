"""An address opens one tab, for a minute; a tab keeps its secret; nothing else opens anything."""

from nexo_settings.sessions import MOST_TABS, MOST_TOKENS, TOKEN_S, Sessions


class Hand:
    """A clock that only moves when told."""

    def __init__(self) -> None:
        self.s = 100.0

    def __call__(self) -> float:
        return self.s


def test_an_address_opens_one_tab() -> None:
    sessions = Sessions(Hand())
    token = sessions.token()
    secret = sessions.trade(token)
    assert secret is not None
    assert sessions.knows(secret)
    assert sessions.trade(token) is None
    assert sessions.trade(secret) is None
    assert not sessions.knows(token)


def test_an_address_is_good_for_a_minute() -> None:
    hand = Hand()
    sessions = Sessions(hand)
    fresh, old = sessions.token(), sessions.token()
    hand.s += TOKEN_S - 0.1
    assert sessions.trade(fresh) is not None
    hand.s += 0.1
    assert sessions.trade(old) is None


def test_nothing_opens_nothing() -> None:
    sessions = Sessions(Hand())
    token = sessions.token()
    for guess in ("", token[:-1], token + "x", token.upper(), "\ud800", "x" * 100_000):
        assert sessions.trade(guess) is None
        assert not sessions.knows(guess)
    assert sessions.trade(token) is not None


def test_tokens_and_tabs_are_bounded_and_the_newest_stay() -> None:
    sessions = Sessions(Hand())
    tokens = [sessions.token() for _ in range(MOST_TOKENS + 5)]
    assert [sessions.trade(one) is not None for one in tokens] == [False] * 5 + [True] * MOST_TOKENS
    secrets = [sessions.trade(sessions.token()) or "" for _ in range(MOST_TABS + 5)]
    assert [sessions.knows(one) for one in secrets] == [False] * 5 + [True] * MOST_TABS


def test_neither_token_nor_secret_is_kept() -> None:
    sessions = Sessions(Hand())
    secret, token = sessions.trade(sessions.token()), sessions.token()
    kept = repr(vars(sessions))
    assert secret is not None
    assert secret not in kept
    assert token not in kept
