"""The three tables, column by column: what `rows` fills and every format writes, in this order.

Names are an interface: columns are added at the end, never renamed.
"""

from __future__ import annotations

from enum import Enum, auto
from typing import NamedTuple


class Kind(Enum):
    """What a column holds."""

    TEXT = auto()
    INTEGER = auto()
    NUMBER = auto()
    TRUTH = auto()
    TEXTS = auto()
    """A list of texts."""
    POINTS = auto()
    """A list of [x, y]."""


class Column(NamedTuple):
    """`empty`: whether a row may have nothing there."""

    name: str
    kind: Kind
    empty: bool = False


class Table(NamedTuple):
    """`name`: of the file, without its extension, and of what a row is."""

    name: str
    columns: tuple[Column, ...]

    @property
    def names(self) -> list[str]:
        """Of the columns."""
        return [column.name for column in self.columns]


_IDS = (Column("workspace_id", Kind.TEXT), Column("root_id", Kind.TEXT))
_BOX = ("left", "top", "right", "bottom")

FRAMES = Table(
    "frames",
    (
        *_IDS,
        Column("frame_id", Kind.TEXT),
        Column("sequence", Kind.TEXT),
        Column("split", Kind.TEXT),
        Column("image", Kind.TEXT, empty=True),
        Column("width", Kind.INTEGER, empty=True),
        Column("height", Kind.INTEGER, empty=True),
        Column("labels", Kind.INTEGER),
        Column("shapes", Kind.INTEGER),
        Column("codes", Kind.TEXTS),
        Column("names", Kind.TEXTS),
    ),
)
SHAPES = Table(
    "shapes",
    (
        *_IDS,
        Column("frame_id", Kind.TEXT),
        Column("split", Kind.TEXT),
        Column("label_index", Kind.INTEGER),
        Column("shape_index", Kind.INTEGER),
        Column("code", Kind.TEXT),
        Column("name", Kind.TEXT),
        Column("kind", Kind.TEXT),
        Column("points", Kind.POINTS),
        *(Column(side, Kind.NUMBER, empty=True) for side in _BOX),
        Column("outside", Kind.TRUTH),
        Column("pixel_points", Kind.POINTS, empty=True),
        *(Column(f"pixel_{side}", Kind.NUMBER, empty=True) for side in _BOX),
        Column("pixel_area", Kind.NUMBER, empty=True),
        Column("raw", Kind.TEXT, empty=True),
    ),
)
INTERVALS = Table(
    "intervals",
    (
        *_IDS,
        Column("sequence", Kind.TEXT),
        Column("split", Kind.TEXT),
        Column("interval_index", Kind.INTEGER),
        Column("code", Kind.TEXT),
        Column("name", Kind.TEXT),
        Column("start_ms", Kind.INTEGER),
        Column("end_ms", Kind.INTEGER, empty=True),
        Column("open_start", Kind.TRUTH),
        Column("open_end", Kind.TRUTH),
        Column("point", Kind.TRUTH),
    ),
)
TABLES = (FRAMES, SHAPES, INTERVALS)
