"""When the server ends: two minutes after the last tab, twelve hours after the first, not before."""

from nexo_settings.presence import IDLE_S, MOST_S, Presence


class Hand:
    """A clock that only moves when told."""

    def __init__(self) -> None:
        self.s = 100.0

    def __call__(self) -> float:
        return self.s


def test_it_waits_for_the_first_tab_and_outlives_the_last() -> None:
    hand = Hand()
    presence = Presence(hand)
    hand.s += IDLE_S - 1
    assert presence.remaining_s == 1
    presence.came()
    hand.s += 3600
    assert presence.remaining_s > IDLE_S
    presence.left()
    assert presence.remaining_s == IDLE_S
    hand.s += IDLE_S
    assert presence.remaining_s == 0


def test_it_stays_while_one_of_two_tabs_is_open() -> None:
    hand = Hand()
    presence = Presence(hand)
    presence.came()
    presence.came()
    presence.left()
    hand.s += 3600
    assert presence.remaining_s > 0


def test_a_new_address_gives_it_time() -> None:
    hand = Hand()
    presence = Presence(hand)
    hand.s += IDLE_S - 1
    presence.touch()
    assert presence.remaining_s == IDLE_S


def test_no_tab_keeps_it_for_ever() -> None:
    hand = Hand()
    presence = Presence(hand)
    presence.came()
    hand.s += MOST_S
    assert presence.remaining_s == 0
