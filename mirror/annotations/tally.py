"""What became of annotations: nothing is dropped without being counted."""

from __future__ import annotations

from collections import Counter
from enum import StrEnum


class Skip(StrEnum):
    """The stable word for why something was left out. `ProblemKind` has more, of what is wrong."""

    UNKNOWN_KIND = "unknown_kind"
    """A shape of a kind that the guide does not name."""
    NOT_IN_FORMAT = "not_in_format"
    """A shape, label or interval that the format has no place for."""
    OUTSIDE = "outside"
    """A shape of which nothing is left in the image after clipping."""
    NOT_MIRRORED = "not_mirrored"
    """A frame that is not at the destination."""
    UNLABELLED = "unlabelled"
    """A frame without labels, where those were not wanted."""


class Tally:
    """Counts while things are written.

    `seen`: frames so far, for a display. `written`: by what, in the plural (`frames`, `shapes`,
    `intervals`, …). `clipped`: shapes of which a point was moved into the image. `skipped`: by
    `Skip`.
    """

    def __init__(self) -> None:
        self.seen = 0
        self.written: Counter[str] = Counter()
        self.clipped = 0
        self.skipped: Counter[Skip] = Counter()

    def wrote(self, what: str, count: int = 1) -> None:
        """So many more of `what` are written."""
        self.written[what] += count

    def skip(self, why: Skip, count: int = 1) -> None:
        """So many more are left out."""
        self.skipped[why] += count

    def clip(self, count: int = 1) -> None:
        """So many more shapes were clipped."""
        self.clipped += count

    def __repr__(self) -> str:
        return f"<Tally {dict(self.written)} skipped {dict(self.skipped)}>"
