"""What a package installs for the tray is what the tray itself would write and draw."""

from pathlib import Path

import pytest
from PIL import Image, ImageChops, ImageStat

from nexo_tray.autostart import entry
from nexo_tray.icons import Look, icon

PACKAGING = Path(__file__).parents[3] / "packaging"
ICONS = sorted((PACKAGING / "icons" / "hicolor").glob("*/apps/nexo-tray.png"))


@pytest.mark.parametrize("file", ICONS, ids=lambda file: file.parent.parent.name)
def test_the_icons_are_those_that_are_drawn(file: Path) -> None:
    with Image.open(file) as stored:
        size = stored.width
        assert file.parent.parent.name == f"{size}x{size}"
        difference = ImageChops.difference(stored.convert("RGBA"), icon(Look.HEALTHY, size))
    # Versions of Pillow smooth edges a little differently.
    assert max(ImageStat.Stat(difference).mean) < 3


def test_there_is_an_icon_for_the_sizes_of_every_panel() -> None:
    assert {"16x16", "22x22", "24x24", "32x32", "48x48", "64x64"} <= {
        file.parent.parent.name for file in ICONS
    }


def test_the_autostart_entry_is_that_of_install_autostart() -> None:
    packaged = (PACKAGING / "autostart" / "nexo-tray.desktop").read_bytes()
    assert packaged == entry("linux", ["/usr/bin/nexo-tray"])


def test_the_entry_of_the_application_menu_names_the_same_program_and_icon() -> None:
    lines = (PACKAGING / "applications" / "nexo-tray.desktop").read_text().splitlines()
    assert lines[0] == "[Desktop Entry]"
    assert {"Exec=nexo-tray", "Icon=nexo-tray", "Type=Application"} <= set(lines)
