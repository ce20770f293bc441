"""The icons can be told apart at every size, on any panel, and without colour."""

import itertools

import pytest
from PIL import Image, ImageChops, ImageStat

from nexo_tray.icons import COLOURS, WIRE, Look, icon

# That panels ask for, the doubled ones of high resolution included.
SIZES = (16, 22, 24, 32, 44, 48, 64, 96, 128)
PANELS = {"light": (246, 245, 244), "white": (255, 255, 255), "dark": (38, 38, 38), "black": (0, 0, 0)}


def luminance(colour: tuple[int, ...]) -> float:
    def channel(value: int) -> float:
        part = value / 255
        return part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4

    red, green, blue = (channel(value) for value in colour[:3])
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: tuple[int, ...], other: tuple[int, ...]) -> float:
    lighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("look", Look)
def test_every_icon_has_its_size_and_a_transparent_corner(look, size):
    drawn = icon(look, size)
    assert drawn.size == (size, size)
    assert drawn.mode == "RGBA"
    assert drawn.getpixel((0, 0))[3] == 0
    box = drawn.getbbox()
    assert box is not None
    assert box[3] - box[1] >= size * 0.7


@pytest.mark.parametrize("panel", PANELS.values(), ids=PANELS)
@pytest.mark.parametrize("colour", [*COLOURS.values(), WIRE], ids=[*COLOURS, "wire"])
def test_every_colour_stands_out_from_every_panel(colour, panel):
    assert contrast(colour, panel) >= 3.0


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("panel", PANELS.values(), ids=PANELS)
def test_any_two_icons_differ_without_their_colour(size, panel):
    def grey(look: Look) -> Image.Image:
        # White on the coloured shape is shape; which colour it is on, is not.
        drawn = icon(look, size)
        flat = Image.new("RGBA", drawn.size, (128, 128, 128, 255))
        bright = drawn.convert("RGB").convert("L").point(lambda value: 255 if value > 200 else 0)
        flat.paste((255, 255, 255, 255), (0, 0), bright)
        flat.putalpha(drawn.getchannel("A"))
        ground = Image.new("RGBA", drawn.size, (*panel, 255))
        ground.alpha_composite(flat)
        return ground.convert("L")

    for one, other in itertools.combinations(Look, 2):
        difference = ImageStat.Stat(ImageChops.difference(grey(one), grey(other))).mean[0]
        assert difference > 4, f"{one} and {other} look alike at {size}"


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("look", [Look.HEALTHY, Look.LIMITED, Look.UNHEALTHY, Look.LOCKED, Look.EMPTY])
def test_the_colour_of_the_state_is_really_there(look, size):
    drawn = icon(look, size)
    same = sum(count for count, pixel in drawn.getcolors(size * size) if pixel == (*COLOURS[look], 255))
    assert same >= size * size * 0.1
