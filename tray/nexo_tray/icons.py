"""Draws the tray icon for each state with Pillow, in any size.

The icon is a bead on a wire: the wire is the connection, the bead its state. States differ in shape and not
only in colour, and each colour has a contrast of at least 3:1 to a light and to a dark panel (WCAG 2.2,
success criterion 1.4.11). `model` chooses the state.
"""

import enum
import math
from collections.abc import Callable
from functools import cache

from PIL import Image, ImageDraw


class Look(enum.StrEnum):
    """The states that the icon can show."""

    HEALTHY = "healthy"
    LIMITED = "limited"
    UNHEALTHY = "unhealthy"
    UNKNOWN = "unknown"
    OFFLINE = "offline"
    LOCKED = "locked"
    AWAY = "away"
    EMPTY = "empty"


Colour = tuple[int, int, int]

COLOURS: dict[Look, Colour] = {
    Look.HEALTHY: (0x22, 0x93, 0x47),
    Look.LIMITED: (0xC0, 0x78, 0x00),
    Look.UNHEALTHY: (0xDC, 0x35, 0x35),
    Look.UNKNOWN: (0x8A, 0x8A, 0x8A),
    Look.OFFLINE: (0x3F, 0x82, 0xC4),
    Look.LOCKED: (0x8E, 0x63, 0xD6),
    Look.AWAY: (0x8A, 0x8A, 0x8A),
    Look.EMPTY: (0x3F, 0x82, 0xC4),
}
WIRE: Colour = (0x8A, 0x8A, 0x8A)
WHITE: Colour = (0xFF, 0xFF, 0xFF)

_NOTHING = (0, 0, 0, 0)

# Each pixel is the average of a square with this many pixels per side.
_OVERSAMPLING = 8


class _Pencil:
    """Draws shapes on an enlarged image, with coordinates in pixels of the icon. The colour None erases."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.image = Image.new("RGBA", (size * _OVERSAMPLING,) * 2, (0, 0, 0, 0))
        self._draw = ImageDraw.Draw(self.image)
        # An even diameter on an even grid keeps the bead symmetrical and its edges sharp.
        self.centre = size / 2
        self.radius = round(6.5 * size / 16) if size > 16 else 6
        self.stroke = max(2, round(size / 8))

    def _box(self, x0: float, y0: float, x1: float, y1: float) -> tuple[float, float, float, float]:
        # In Pillow, a box includes its last pixel.
        return (
            x0 * _OVERSAMPLING,
            y0 * _OVERSAMPLING,
            x1 * _OVERSAMPLING - 1,
            y1 * _OVERSAMPLING - 1,
        )

    def at(self, x: float, y: float) -> tuple[float, float]:
        """A point given in bead radii from the centre."""
        return (self.centre + x * self.radius, self.centre + y * self.radius)

    def rectangle(
        self, x0: float, y0: float, x1: float, y1: float, colour: Colour | None, corner: float = 0
    ) -> None:
        """A box in pixels."""
        fill = (*colour, 255) if colour else _NOTHING
        self._draw.rounded_rectangle(self._box(x0, y0, x1, y1), corner * _OVERSAMPLING, fill=fill)

    def disc(self, colour: Colour) -> None:
        """A filled bead."""
        c, r = self.centre, self.radius
        self._draw.ellipse(self._box(c - r, c - r, c + r, c + r), fill=(*colour, 255))

    def ring(self, colour: Colour) -> None:
        """The outline of the bead."""
        c, r = self.centre, self.radius
        self._draw.ellipse(
            self._box(c - r, c - r, c + r, c + r), outline=(*colour, 255), width=self.stroke * _OVERSAMPLING
        )

    def half(self, colour: Colour, *, right: bool, radius: float | None = None) -> None:
        """The left or the right half of a disc; the radius in pixels, by default the bead's."""
        c, r = self.centre, radius or self.radius
        start = -90 if right else 90
        self._draw.pieslice(self._box(c - r, c - r, c + r, c + r), start, start + 180, fill=(*colour, 255))

    def line(self, points: list[tuple[float, float]], width: float, colour: Colour | None) -> None:
        """A line with round ends and joints; width in pixels."""
        fill = (*colour, 255) if colour else _NOTHING
        scaled = [(x * _OVERSAMPLING, y * _OVERSAMPLING) for x, y in points]
        thick = width * _OVERSAMPLING
        self._draw.line(scaled, fill=fill, width=round(thick))
        for x, y in scaled:
            self._draw.ellipse((x - thick / 2, y - thick / 2, x + thick / 2, y + thick / 2), fill=fill)

    def polygon(self, corners: int, colour: Colour, turn: float = 0) -> None:
        """A regular polygon in place of the bead; `turn` in degrees."""
        c = self.centre * _OVERSAMPLING
        # The sides, not the corners, touch the circle, so that it looks as large as the disc.
        r = self.radius * _OVERSAMPLING / math.cos(math.pi / corners)
        self._draw.polygon(
            [
                (
                    c + r * math.cos(math.radians(turn + 360 * i / corners)),
                    c + r * math.sin(math.radians(turn + 360 * i / corners)),
                )
                for i in range(corners)
            ],
            fill=(*colour, 255),
        )

    def wire(self) -> None:
        """The wire on both sides of the bead. Drawn first, because the bead covers its ends."""
        top = math.floor(self.centre - self.stroke / 2)
        reach = self.centre - self.radius + self.stroke / 2
        self.rectangle(0, top, reach, top + self.stroke, WIRE)
        self.rectangle(self.size - reach, top, self.size, top + self.stroke, WIRE)


def _healthy(pencil: _Pencil) -> None:
    pencil.wire()
    pencil.disc(COLOURS[Look.HEALTHY])
    tick = [pencil.at(-0.48, 0.04), pencil.at(-0.12, 0.4), pencil.at(0.5, -0.34)]
    pencil.line(tick, pencil.size / 9, WHITE)


def _limited(pencil: _Pencil) -> None:
    pencil.wire()
    pencil.disc(COLOURS[Look.LIMITED])
    # A half-filled bead, the glyph that the menu uses; an hourglass is not recognisable at 16 pixels.
    pencil.half(WHITE, right=True, radius=pencil.radius - pencil.stroke * 0.8)


def _unhealthy(pencil: _Pencil) -> None:
    pencil.wire()
    pencil.polygon(8, COLOURS[Look.UNHEALTHY], 22.5)
    arm, width = 0.42, pencil.size / 9
    pencil.line([pencil.at(-arm, -arm), pencil.at(arm, arm)], width, WHITE)
    pencil.line([pencil.at(-arm, arm), pencil.at(arm, -arm)], width, WHITE)


def _unknown(pencil: _Pencil) -> None:
    pencil.wire()
    pencil.ring(COLOURS[Look.UNKNOWN])


def _offline(pencil: _Pencil) -> None:
    pencil.ring(COLOURS[Look.OFFLINE])
    ends = [pencil.at(-0.9, 0.9), pencil.at(0.9, -0.9)]
    pencil.line(ends, pencil.stroke * 2.2, None)
    pencil.line(ends, pencil.stroke, COLOURS[Look.OFFLINE])


def _locked(pencil: _Pencil) -> None:
    colour, c, r, stroke = COLOURS[Look.LOCKED], pencil.centre, pencil.radius, pencil.stroke
    top, bottom, waist = round(c - r), round(c + r), round(c - r * 0.1)
    half = round(r * 0.85)
    bow = max(round(r * 0.55), stroke + 1)
    pencil.rectangle(c - bow, top, c + bow, c, colour, corner=bow)
    pencil.rectangle(c - bow, top + bow, c + bow, c, colour)
    inner = bow - stroke
    pencil.rectangle(c - inner, top + stroke, c + inner, c, None, corner=inner)
    pencil.rectangle(c - inner, top + bow, c + inner, c, None)
    pencil.rectangle(c - half, waist, c + half, bottom, colour, corner=stroke / 2)
    hole = max(1, round(stroke * 0.5))
    middle = round((waist + bottom) / 2)
    pencil.rectangle(c - hole, middle - hole, c + hole, middle + hole, WHITE, corner=hole / 2)


def _away(pencil: _Pencil) -> None:
    # A bead broken in two.
    pencil.wire()
    pencil.half(COLOURS[Look.AWAY], right=False)
    pencil.half(COLOURS[Look.AWAY], right=True)
    gap = max(1, round(pencil.size * 0.09))
    pencil.rectangle(pencil.centre - gap, 0, pencil.centre + gap, pencil.size, None)


def _empty(pencil: _Pencil) -> None:
    pencil.disc(COLOURS[Look.EMPTY])
    arm, half = round(pencil.radius * 0.55), max(1, round(pencil.stroke / 2))
    c = pencil.centre
    pencil.rectangle(c - arm, c - half, c + arm, c + half, WHITE)
    pencil.rectangle(c - half, c - arm, c + half, c + arm, WHITE)


_DRAWINGS: dict[Look, Callable[[_Pencil], None]] = {
    Look.HEALTHY: _healthy,
    Look.LIMITED: _limited,
    Look.UNHEALTHY: _unhealthy,
    Look.UNKNOWN: _unknown,
    Look.OFFLINE: _offline,
    Look.LOCKED: _locked,
    Look.AWAY: _away,
    Look.EMPTY: _empty,
}


@cache
def icon(look: Look, size: int) -> Image.Image:
    """The icon as an RGBA image of `size` by `size` pixels."""
    pencil = _Pencil(size)
    _DRAWINGS[look](pencil)
    return pencil.image.reduce(_OVERSAMPLING)
