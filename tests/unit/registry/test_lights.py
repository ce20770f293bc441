"""How often a connection is checked: by what a person set for it, else by what was set for all."""

from typing import Any

import pytest

from nexo_daemon.domain.model import HealthSettings
from nexo_daemon.registry.health_board import MIN_INTERVAL_S, watched
from store_parts import connection

SETTINGS = HealthSettings(important_interval_s=30.0, other_interval_s=120.0)
PAUSED = HealthSettings(30.0, 120.0, paused=True)


@pytest.mark.parametrize(
    ("changes", "settings", "important", "interval_s", "paused"),
    [
        ({}, SETTINGS, True, 30.0, False),
        ({}, SETTINGS, False, 120.0, False),
        ({"check_interval_s": 20.0}, SETTINGS, True, 20.0, False),
        ({"check_interval_s": 900.0}, SETTINGS, True, 900.0, False),
        ({"check_interval_s": 0.1}, SETTINGS, False, MIN_INTERVAL_S, False),
        ({"checks_paused": True}, SETTINGS, True, 30.0, True),
        ({}, PAUSED, False, 120.0, True),
        ({"check_interval_s": 20.0, "checks_paused": True}, PAUSED, False, 20.0, True),
    ],
)
def test_what_is_set_for_one_connection_goes_before_what_is_set_for_all(
    changes: dict[str, Any], settings: HealthSettings, important: bool, interval_s: float, paused: bool
) -> None:
    seen = watched(connection(**changes), settings, important=important)
    assert (seen.interval_s, seen.important, seen.paused) == (interval_s, important, paused)
