"""Frames on their way to pictures: each is opened once, and goes to its file, a sheet and the page.

Needs the extra `preview`. Memory: one frame, the thumbnails of one sheet, the pictures of a page.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from PIL import Image

from mirror.annotations.collection import Item
from mirror.annotations.preview.layout import Drawing, plan
from mirror.annotations.preview.page import Card
from mirror.annotations.preview.pictures import (
    UnreadableImageError,
    as_jpeg,
    draw_frame,
    measure,
    open_frame,
    paint,
    save_png,
    shrink,
)
from mirror.annotations.preview.sampling import Spread
from mirror.annotations.preview.sheets import Thumbnail, contact_sheet
from mirror.annotations.tally import Skip, Tally

MOST_CARDS = 400
"""Frames on the page, so that a browser can hold it."""
SHEET_ROWS = 8
_NAMED = 10


def page_pixels(frames: int) -> int:
    """The longer side of a picture on a page of so many: together some 10 MB."""
    if frames <= 60:
        return 960
    return 720 if frames <= 150 else 480


class Gallery:
    """Draws frames into a folder, one after the other; `finish` writes what is left.

    `unreadable`: sentences on the first frames that could not be drawn. `unknown`: shapes of kinds
    that can't be drawn, by kind. `cards`: what the page gets.
    """

    def __init__(self, folder: Path, tally: Tally, *, size: int, columns: int, expected: int):
        """`size`: pixels of a thumbnail's longer side; `expected`: about how many frames come."""
        self._folder = folder
        self._tally = tally
        self._size = size
        self._columns = columns
        self._page_pixels = page_pixels(expected)
        self._thumbnails: list[Thumbnail] = []
        self._sheets = 0
        self._cards: Spread[Card] = Spread(MOST_CARDS)
        self.unreadable: list[str] = []
        self.unknown: Counter[str] = Counter()

    def add(self, number: int, sequence: str, item: Item) -> None:
        """Draw a frame of the sequence with that number and name. Raises `OSError` of the disk."""
        if item.image is None:
            raise ValueError("the collection has no images")
        try:
            image = open_frame(item.image.path)
        except UnreadableImageError as error:
            self._tally.skip(Skip.UNREADABLE)
            if len(self.unreadable) < _NAMED:
                self.unreadable.append(f"{item.name}: {error}")
            return
        path = self._folder / "frames" / f"{item.name}.png"
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        caption = f"{item.name}  {image.width}x{image.height}"
        save_png(draw_frame(image, item.labels, caption), path)
        self._tally.wrote("frames")
        self._count(self._card(number, item, image).drawing)
        self._thumbnail(sequence, item, image)

    def _card(self, number: int, item: Item, image: Image.Image) -> Card:
        small = shrink(image, self._page_pixels)
        drawing = plan(item.labels, *small.size, measure)
        card = Card(number, item.name, image.size, as_jpeg(small), drawing, item.labels)
        self._cards.offer(card)
        return card

    def _count(self, drawing: Drawing) -> None:
        self._tally.wrote("shapes", len(drawing.marks))
        for kind, count in drawing.unknown.items():
            self.unknown[kind] += count
            self._tally.skip(Skip.UNKNOWN_KIND, count)
        if drawing.outside:
            self._tally.skip(Skip.OUTSIDE, drawing.outside)

    def _thumbnail(self, sequence: str, item: Item, image: Image.Image) -> None:
        small = shrink(image, self._size)
        drawing = plan(item.labels, *small.size, measure)
        painted = paint(small, drawing)
        self._thumbnails.append(Thumbnail(painted, sequence, item.ref.frame_id, drawing.legend))
        if len(self._thumbnails) == self._columns * SHEET_ROWS:
            self._write_sheet()

    def _write_sheet(self) -> None:
        self._sheets += 1
        name = "sheet.png" if self._sheets == 1 else f"sheet-{self._sheets}.png"
        title = "Frames with their annotations"
        title += f", sheet {self._sheets}" if self._sheets > 1 else ""
        save_png(contact_sheet(self._thumbnails, self._columns, title), self._folder / name)
        self._thumbnails = []
        self._tally.wrote("sheets")

    def finish(self) -> list[Card]:
        """Write the last sheet; what the page gets. Raises `OSError`."""
        if self._thumbnails:
            self._write_sheet()
        return self._cards.thin(MOST_CARDS)
