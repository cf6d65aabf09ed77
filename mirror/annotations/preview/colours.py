"""Which colour a label has: by its code alone, so it is the same in every picture, run and machine.

The colours are far from each other in OKLab and lighter than tissue; the dark edge around lines
makes them seen on light images. With many labels two may share one: the text on the picture says
which is which.
"""

from __future__ import annotations

from hashlib import blake2b

PALETTE = (
    "#f45693", "#28f96c", "#1da0f3", "#ab9925", "#ebbdfe", "#49e9f8", "#fec766", "#b471fa",
    "#0db28f", "#6bc52f", "#fc62ec", "#f8a49e", "#93c1fe", "#c1e319", "#30dda2", "#ef911d",
    "#ad9bf6", "#51bccc", "#fd93e5", "#cfc226", "#7f8cf9", "#7baa2b", "#f57cb5", "#db7dfe",
    "#f544bc",
)  # fmt: skip
"""`#rrggbb`. The order is an interface: another one gives labels other colours."""

# chosen so that the labels of common cholecystectomy sets don't share a colour
_PERSON = b"mirror-197335"

BLACK, WHITE = "#000000", "#ffffff"


def colour_number(code: str) -> int:
    """Where in the palette the colour of a label is."""
    digest = blake2b(code.encode(errors="replace"), digest_size=8, person=_PERSON).digest()
    return int.from_bytes(digest) % len(PALETTE)


def colour_of(code: str) -> str:
    """The colour of the label with this code, as `#rrggbb`."""
    return PALETTE[colour_number(code)]


def ink_on(colour: str) -> str:
    """Black or white, whichever is easier to read on `colour` (WCAG 2, relative luminance)."""
    red, green, blue = (_linear(part) for part in channels(colour))
    luminance = 0.2126 * red + 0.7152 * green + 0.0722 * blue
    return BLACK if (luminance + 0.05) ** 2 > 0.05 * 1.05 else WHITE


def channels(colour: str) -> tuple[int, int, int]:
    """Red, green and blue of `#rrggbb`, each 0 to 255."""
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)


def _linear(part: int) -> float:
    value = part / 255
    return value / 12.92 if value <= 0.04045 else float(((value + 0.055) / 1.055) ** 2.4)
