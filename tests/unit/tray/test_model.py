"""The menu, the icon and the tooltip are what the state says, and nothing else."""

import itertools
from dataclasses import replace
from datetime import timedelta

import pytest

from nexo.connections.terms import HealthState, StoreState, VaultState
from nexo_client.types import Workspace, WorkspaceBinding
from nexo_tray.icons import Look
from nexo_tray.model import Click, Do, MenuItem, picture, shown_name
from nexo_tray.state import DaemonLink, LinkState, State, Switch
from tray_states import (
    NOW,
    STATUS,
    ago,
    away,
    connection,
    healthy,
    limited,
    live,
    unhealthy,
    unknown,
)


def lines(items: tuple[MenuItem, ...]) -> list[str]:
    return [item.label for item in items if not item.separator]


def radios(state: State) -> list[MenuItem]:
    return [item for item in picture(state, NOW).menu if item.radio]


def line(state: State, label: str) -> MenuItem:
    return next(item for item in picture(state, NOW).menu if item.label == label)


@pytest.mark.parametrize(
    ("health", "label"),
    [
        (healthy(0.312), "● work — 312 ms"),
        (healthy(4.23), "● work — 4.2 s"),
        (healthy(0.312, ago(minutes=12)), "● work — 312 ms, 10 min ago"),
        (limited(seconds=42), "◐ work — rate limited, 42 s"),
        (limited(minutes=9), "◐ work — rate limited, 9 min"),
        (limited("quota_exhausted"), "◐ work — quota exhausted"),
        (unhealthy("invalid_key", ago(hours=3)), "✕ work — key rejected 3 h ago"),
        (unhealthy("some_new_word"), "✕ work — some new word just now"),
        (unknown("never"), "○ work — never checked"),
        (unknown(""), "○ work — unknown"),
        (unknown("checking"), "○ work — checking again"),
        (unknown("offline", HealthState.HEALTHY), "○ work — this computer is offline, was healthy"),
        (unknown("locked"), "○ work — vault locked"),
    ],
)
def test_a_line_tells_glyph_name_and_latency_age_or_reason(health, label):
    assert radios(live(connection("work", health)))[0].label == label


def test_the_connections_stand_in_the_order_of_the_daemon_and_the_default_has_the_mark():
    state = live(connection("b"), connection("a", default=True), connection("c"))
    assert [(item.label[2], item.checked) for item in radios(state)] == [
        ("b", False),
        ("a", True),
        ("c", False),
    ]


def test_a_disabled_connection_is_greyed_and_says_so():
    (item,) = radios(live(connection("old", enabled=False)))
    assert (item.label, item.enabled) == ("○ old — disabled", False)


def test_a_click_shows_its_mark_before_the_daemon_confirms_it():
    state = live(connection("a", default=True), connection("b", unhealthy()))
    clicked = replace(state, switch=Switch("id-b", NOW))
    assert [item.checked for item in radios(clicked)] == [False, True]
    assert picture(clicked, NOW).look is Look.UNHEALTHY


def test_a_click_on_a_connection_that_is_gone_meanwhile_shows_what_the_daemon_says():
    state = replace(live(connection("a", default=True)), switch=Switch("id-gone", NOW))
    assert [item.checked for item in radios(state)] == [True]


@pytest.mark.parametrize(
    ("state", "look"),
    [
        (State(), Look.UNKNOWN),
        (State(DaemonLink(LinkState.AWAY)), Look.AWAY),
        (State(DaemonLink(LinkState.STARTING)), Look.AWAY),
        (away(live(connection("a", default=True))), Look.AWAY),
        (live(), Look.EMPTY),
        (live(connection("a")), Look.EMPTY),
        (live(connection("a", default=True)), Look.HEALTHY),
        (live(connection("a", limited(), default=True)), Look.LIMITED),
        (live(connection("a", unhealthy(), default=True)), Look.UNHEALTHY),
        (live(connection("a", unknown(), default=True)), Look.UNKNOWN),
        (live(connection("a", default=True, enabled=False)), Look.UNKNOWN),
        (live(connection("a", default=True), status=replace(STATUS, offline_since=NOW)), Look.OFFLINE),
        (live(connection("a", default=True), status=replace(STATUS, vault=VaultState.LOCKED)), Look.LOCKED),
        (live(connection("a", default=True), connection("b", unhealthy())), Look.HEALTHY),
    ],
)
def test_the_icon_says_the_state_of_the_default_or_what_stands_in_its_way(state, look):
    assert picture(state, NOW).look is look


def test_the_tooltip_tells_default_state_and_age():
    state = live(connection("work", healthy(checked=ago(minutes=2)), default=True))
    assert picture(state, NOW).tooltip == "Nexo: work — healthy, 312 ms, checked 2 min ago"


def test_without_the_daemon_the_last_lights_are_past_and_nothing_can_be_switched():
    state = away(live(connection("a", default=True), connection("b", unhealthy())))
    assert [(item.label, item.enabled) for item in radios(state)] == [
        ("○ a — was healthy", False),
        ("○ b — was failing", False),
    ]
    assert picture(state, NOW).tooltip == "Nexo: the daemon is not running"
    why = line(state, "Why?")
    assert lines(why.children) == ["The daemon is not running", "    start the daemon"]
    assert line(state, "Start daemon").action == Click(Do.START_DAEMON)


def test_the_daemon_can_be_stopped_from_the_menu_only_by_the_tray_that_started_it():
    state = live(connection("a", default=True))
    assert "Stop daemon" not in lines(picture(state, NOW).menu)
    assert "Stop daemon" in lines(picture(replace(state, started_daemon=True), NOW).menu)
    assert "Start daemon" not in lines(picture(state, NOW).menu)


def test_why_lists_what_is_wrong_with_the_advice_and_is_absent_when_nothing_is():
    good = live(connection("a", default=True))
    assert "Why?" not in lines(picture(good, NOW).menu)
    broken = WorkspaceBinding(Workspace(path="/p"), "gone", True, NOW, False)
    status = replace(
        STATUS,
        vault=VaultState.LOCKED,
        vault_problem="Unlock it.",
        store=StoreState.READ_ONLY,
        store_problem="Restore it.",
        offline_since=ago(minutes=5),
    )
    state = live(
        connection("a", default=True), connection("b", unhealthy()), status=status, bindings=(broken,)
    )
    told = lines(line(state, "Why?").children)
    for expected in (
        "The vault is locked",
        "    Unlock it.",
        "The store is read-only",
        "    Restore it.",
        "This computer is offline, noticed 5 min ago",
        "✕ b — key rejected just now",
        "    Make a new key.",
        "✕ /p is bound to gone, which is gone",
    ):
        assert expected in told


def test_why_tells_of_a_vault_that_is_unlocked_for_the_last_time():
    status = replace(STATUS, vault_problem="The key is gone.")
    told = lines(line(live(connection("a", default=True), status=status), "Why?").children)
    assert ("The vault will not unlock again" in told, "    The key is gone." in told) == (True, True)


def test_advice_is_broken_into_lines_that_fit_into_a_menu_and_lead_to_the_whole():
    long = replace(unhealthy(), advice="word " * 60)
    why = line(live(connection("a", long, default=True)), "Why?")
    advice = [item for item in why.children if item.label.startswith("    ")]
    assert len(advice) > 3
    assert all(len(item.label) <= 76 for item in advice)
    assert {item.action for item in advice} == {Click(Do.WHY, "id-a")}
    assert " ".join(item.label.strip() for item in advice) == " ".join(["word"] * 60)


def test_each_connection_has_its_submenu():
    state = live(connection("a", default=True), connection("b", enabled=False))
    a, b = line(state, "Connections").children
    assert lines(a.children) == ["Make default", "Test now", "Copy base URL", "Models…", "Details…", "Edit…"]
    assert [item.enabled for item in a.children[:2]] == [False, True]
    assert [item.enabled for item in b.children[:2]] == [False, False]


def test_a_connection_under_test_says_so_and_can_not_be_tested_twice():
    state = replace(live(connection("a", default=True)), testing=frozenset({"id-a"}))
    assert radios(state)[0].label == "◌ a — testing…"
    assert not line(state, "Connections").children[0].children[1].enabled
    assert not line(state, "Test all").enabled


def test_bound_workspaces_are_listed():
    bound = WorkspaceBinding(Workspace(path="/home/p/client"), "b", False, NOW, False)
    state = live(connection("b"), bindings=(bound,))
    assert lines(line(state, "Workspaces").children) == ["/home/p/client → b"]


@pytest.mark.parametrize(("count", "said"), [(0, []), (1, ["1 program is"]), (3, ["3 programs are"])])
def test_programs_behind_the_gateway_are_counted(count, said):
    state = live(connection("b"), status=replace(STATUS, gateway_programs=count))
    shown = lines(line(state, "Workspaces").children)
    assert [one for one in shown if "gateway" in one] == [f"{words} behind the gateway" for words in said]


def test_pictures_of_the_same_content_are_equal_whenever_they_were_made():
    state = live(connection("a", healthy(checked=ago(minutes=6)), default=True))
    first, second = picture(state, NOW), picture(state, NOW + timedelta(minutes=2))
    assert first == second
    assert first.true_until == ago(minutes=6) + timedelta(minutes=10)
    assert picture(state, first.true_until) != first


def test_a_picture_without_ages_stays_true_for_ever():
    assert picture(live(connection("a", unknown("never"), default=True)), NOW).true_until is None


def test_names_are_kept_on_one_line_of_bearable_length():
    assert shown_name("a\nb\tc") == "a b c"
    assert shown_name("x" * 200) == "x" * 47 + "…"


@pytest.mark.parametrize(
    ("workspace", "label"),
    [
        (Workspace(path="/home/ann/a\nb"), "/home/ann/a b"),
        (Workspace(path=f"/home/ann/{'deep/' * 800}site"), f"…eep/{'deep/' * 11}site"),
        (Workspace(name="מרכז"), "\u200e\u2068מרכז\u2069"),
    ],
)
def test_a_workspace_takes_one_line_of_limited_length(workspace: Workspace, label: str):
    bound = WorkspaceBinding(workspace, "gone", True, NOW, False)
    menu = picture(live(connection("work"), bindings=(bound,)), NOW).menu
    for title, wanted in (("Workspaces", f"✕ {label} → gone"), ("Why?", f"✕ {label} is bound to gone")):
        (item,) = (one for one in menu if one.label == title)
        assert item.children[0].label.startswith(wanted)


def test_a_name_from_right_to_left_does_not_turn_its_line():
    state = live(connection("עבודה", healthy(0.312), default=True))
    assert radios(state)[0].label == "● \u200e\u2068עבודה\u2069 — 312 ms"
    assert picture(state, NOW).tooltip.startswith("Nexo: \u200e\u2068עבודה\u2069 — healthy")


def test_a_first_run_invites_to_add_a_connection():
    menu = picture(live(), NOW).menu
    assert menu[0].label == "No connections yet"
    assert "Add connection…" in lines(menu)
    assert "Test all" not in lines(menu)


def test_the_menu_never_has_a_rule_at_its_end_or_two_in_a_row():
    for state in (State(), live(), live(connection("a")), away(live(connection("a")))):
        menu = picture(state, NOW).menu
        assert not menu[0].separator
        assert not menu[-1].separator
        assert not any(a.separator and b.separator for a, b in itertools.pairwise(menu))
