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
    UNREADABLE = "unreadable"
    """A frame whose file is gone, or can't be read."""
    UNLABELLED = "unlabelled"
    """A frame without labels, where those were not wanted."""
    NO_INTERVALS = "no_intervals"
    """A sequence without video annotations, in a format that has a file for each with some."""


class Note(StrEnum):
    """The stable word for what was written otherwise than the export has it, or may surprise."""

    OVERLAPS = "overlaps"
    """An interval that begins while another one lasts, or at the same time."""
    OPEN_STARTS = "open_starts"
    """An interval whose start the export leaves open: it starts at 0."""
    OPEN_ENDS = "open_ends"
    """An interval whose end the export leaves open: it ends with its sequence."""
    POINT_EVENTS = "point_events"
    """An interval that starts and ends at once."""
    BEYOND_DURATION = "beyond_duration"
    """A sequence with an interval that ends after the duration which the export names."""
    BETWEEN_ROWS = "between_rows"
    """An interval that a format which looks once a second does not see."""
    HIDDEN = "hidden"
    """An interval of which a format with one phase at a time shows nothing: others cover it."""
    REWORDED = "reworded"
    """A label whose code or name can't stand in the format, and is written otherwise."""
    BOXED = "boxed"
    """An outline of which a format with nothing but boxes holds the box around it."""
    UNCOUNTED = "given_to_datumaro_and_not_counted"
    """A shape or label given to the library, which may leave it out without a word."""


class Tally:
    """Counts while things are written.

    `seen`: frames so far, for a display. `written`: by what, in the plural (`frames`, `shapes`,
    `intervals`, …). `clipped`: shapes of which a point was moved into the image. `skipped`: by
    `Skip`. `noted`: by `Note`.
    """

    def __init__(self) -> None:
        self.seen = 0
        self.written: Counter[str] = Counter()
        self.clipped = 0
        self.skipped: Counter[Skip] = Counter()
        self.noted: Counter[str] = Counter()

    def wrote(self, what: str, count: int = 1) -> None:
        """So many more of `what` are written."""
        self.written[what] += count

    def skip(self, why: Skip, count: int = 1) -> None:
        """So many more are left out."""
        self.skipped[why] += count

    def note(self, what: Note, count: int = 1) -> None:
        """So many more were written otherwise; 0 leaves no trace."""
        if count:
            self.noted[what.value] += count

    def clip(self, count: int = 1) -> None:
        """So many more shapes were clipped."""
        self.clipped += count

    def __repr__(self) -> str:
        return f"<Tally {dict(self.written)} skipped {dict(self.skipped)}>"
