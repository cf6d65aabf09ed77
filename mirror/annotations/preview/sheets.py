"""Contact sheets: many small pictures on one, each with its caption, and a legend of all."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from PIL import Image, ImageDraw

from mirror.annotations.preview.colours import colour_of
from mirror.annotations.preview.layout import Entry, Scale
from mirror.annotations.preview.pictures import (
    DIM,
    GROUND,
    TEXT,
    legend_strip,
    measure,
    write,
)
from mirror.annotations.preview.wording import drawable, short

_MARGIN, _GAP = 24, 16


class Thumbnail(NamedTuple):
    """One picture of a sheet, drawn already. `legend`: the labels on it."""

    image: Image.Image
    sequence: str
    frame: str
    legend: tuple[Entry, ...]


def contact_sheet(thumbnails: Sequence[Thumbnail], columns: int, title: str) -> Image.Image:
    """At least one thumbnail, in rows of `columns`, or fewer where there are fewer."""
    cell = max(120, *(each.image.width for each in thumbnails))
    high = max(each.image.height for each in thumbnails)
    font = max(11, cell // 24)
    scale = Scale(2, 1, 4, font)
    columns = min(columns, len(thumbnails))
    rows = -(-len(thumbnails) // columns)
    width = 2 * _MARGIN + columns * cell + (columns - 1) * _GAP
    top = _MARGIN + 2 * scale.row
    pitch = high + 2 * scale.row + _GAP
    legend = legend_strip(_together(thumbnails), [], width - _MARGIN, scale, "")
    sheet = Image.new("RGB", (width, top + rows * pitch + legend.height + _MARGIN // 2), GROUND)
    draw = ImageDraw.Draw(sheet)
    write(draw, _MARGIN, _MARGIN, short(drawable(title), 90), round(font * 1.4), TEXT)
    for number, each in enumerate(thumbnails):
        row, column = divmod(number, columns)
        x, y = _MARGIN + column * (cell + _GAP), top + row * pitch
        sheet.paste(
            each.image, (x + (cell - each.image.width) // 2, y + (high - each.image.height) // 2)
        )
        _caption(draw, (x, y + high + scale.pad), each, cell, scale)
    sheet.paste(legend, (_MARGIN - 2 * scale.pad, top + rows * pitch))
    return sheet


def _caption(
    draw: ImageDraw.ImageDraw, at: tuple[int, int], each: Thumbnail, width: int, scale: Scale
) -> None:
    """The frame's name; below it its labels, as many as there is room for."""
    x, y = at
    font = scale.font
    letters = int(width / measure("0", font))
    name = f"{short(each.sequence, 13)} / {short(each.frame, max(8, letters - 17))}"
    write(draw, x, y, name, font, DIM)
    y += scale.row - scale.pad
    reached = float(x)
    for entry in each.legend:
        wide = measure(entry.text, font) + font * 1.3
        if reached + wide > x + width:
            write(draw, reached, y, "...", font, DIM)
            break
        dot = [reached, y + font * 0.25, reached + font * 0.7, y + font * 0.95]
        draw.rounded_rectangle(dot, 2, fill=colour_of(entry.code))
        write(draw, reached + font, y, entry.text, font, TEXT)
        reached += wide + font * 0.4
    if not each.legend:
        write(draw, x, y, "no labels", font, DIM)


def _together(thumbnails: Sequence[Thumbnail]) -> list[Entry]:
    found: dict[str, Entry] = {}
    for each in thumbnails:
        for entry in each.legend:
            before = found.get(entry.code)
            count = entry.shapes + (before.shapes if before else 0)
            found[entry.code] = Entry(entry.code, entry.text, count)
    return [found[code] for code in sorted(found)]
