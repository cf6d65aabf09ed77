"""What became of a preview, for its folder, its page and a terminal."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from mirror.observe.phrases import number

_MOST_NAMED = 10
MOST_TRACKS = 200
"""Sequences in a timeline."""


@dataclass(frozen=True, slots=True)
class Previewed:
    """What became of it; written to the folder, too, as `preview.json`.

    `frames`: drawn, of `frames_read`; `unreadable`: could not be drawn, with `examples`;
    `not_mirrored`: likewise, with `missing`; `without_destination`: none was named. `unknown`:
    shapes of kinds that can't be drawn, by kind. `left_out`: annotations that are wrong, by kind of
    problem, with the first `problems`. `lacking`: a sentence where there was nothing to draw.
    """

    frames: int
    frames_read: int
    frames_on_page: int
    sheets: int
    shapes: int
    sequences: int
    timelines: int
    intervals: int
    intervals_not_drawn: int = 0
    without_destination: int = 0
    not_mirrored: int = 0
    missing: list[str] = field(default_factory=list)
    unreadable: int = 0
    examples: list[str] = field(default_factory=list)
    unlabelled: int = 0
    outside: int = 0
    unknown: dict[str, int] = field(default_factory=dict)
    left_out: dict[str, int] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    lacking: str = ""


def facts(found: Previewed) -> Iterator[tuple[str, str]]:
    """Numbers, and what they are of."""
    if found.frames_read:
        yield f"{found.frames:,}", f"of {number(found.frames_read, 'frame')} drawn"
    for count, one in (
        (found.shapes, "shape"),
        (found.intervals, "video annotation"),
        (found.sequences, "sequence"),
    ):
        if count:
            amount, _, what = number(count, one).partition(" ")
            yield amount, what


def notes(found: Previewed) -> Iterator[str]:
    """Sentences on what is not there, for the page and for a terminal."""
    if found.lacking:
        yield found.lacking
    yield from _frames(found)
    yield from _annotations(found)
    if found.frames_on_page < found.frames:
        yield f"{found.frames_on_page:,} of the {found.frames:,} frames are on the page"
    if found.intervals_not_drawn:
        count = number(found.intervals_not_drawn, "video annotation")
        yield f"Not drawn, where too many overlap: {count}"
    if found.timelines > MOST_TRACKS:
        yield f"{MOST_TRACKS:,} of the {found.timelines:,} timelines are drawn"


def _frames(found: Previewed) -> Iterator[str]:
    if found.without_destination:
        count = number(found.without_destination, "frame")
        yield f"Not drawn, as --frames names no destination: {count}"
    if found.unlabelled:
        yield f"Left out, with no label on them to be shown: {number(found.unlabelled, 'frame')}"
    if found.not_mirrored:
        named = ", ".join(found.missing) + (", …" * (found.not_mirrored > len(found.missing)))
        yield f"Not mirrored, so not drawn: {number(found.not_mirrored, 'frame')} ({named})"
    if found.unreadable:
        named = "; ".join(found.examples) + ("; …" * (found.unreadable > len(found.examples)))
        yield f"Could not be drawn: {number(found.unreadable, 'frame')} ({named})"


def _annotations(found: Previewed) -> Iterator[str]:
    if found.unknown:
        yield f"Shapes of a kind that can't be drawn: {_counted(found.unknown)}"
    if found.outside:
        yield f"Shapes wholly outside their image, not drawn: {found.outside:,}"
    if found.left_out:
        kinds = _counted(found.left_out)
        yield f"Annotations that are wrong, left out: {kinds}; the first: {found.problems[0]}"


def _counted(counts: dict[str, int]) -> str:
    first = list(counts.items())[:_MOST_NAMED]
    named = ", ".join(f"{what} \N{MULTIPLICATION SIGN}{count:,}" for what, count in first)
    return named + (f" and {len(counts) - len(first):,} more" if len(counts) > len(first) else "")
