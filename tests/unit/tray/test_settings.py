"""A setting survives the tray; a file that can't be read never stops it."""

import pytest

from nexo_tray import settings
from nexo_tray.settings import TraySettings


@pytest.fixture(autouse=True)
def _config(monkeypatch, tmp_path):
    monkeypatch.setenv("NEXO_CONFIG_DIR", str(tmp_path / "config"))


def test_settings_are_kept_privately():
    settings.save(TraySettings(notifications=False))
    assert settings.load() == TraySettings(notifications=False)
    assert settings.settings_file().stat().st_mode & 0o777 == 0o600
    assert [path.name for path in settings.settings_file().parent.iterdir()] == ["tray.json"]


@pytest.mark.parametrize("content", ["", "{", "[]", '{"notifications": "maybe"}', "\x00", '{"other": 1}'])
def test_an_unreadable_file_means_the_defaults_and_is_left_alone(content):
    settings.settings_file().parent.mkdir(parents=True)
    settings.settings_file().write_text(content)
    assert settings.load() == TraySettings()
    assert settings.settings_file().read_text() == content


def test_no_file_means_the_defaults():
    assert settings.load() == TraySettings()
