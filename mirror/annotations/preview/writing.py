"""From a collection to a folder of pictures and a page, whole or not at all.

Whatever can't be drawn is counted and named, and does not end it: frames that are not mirrored,
files that are gone or no PNG, kinds of shape that the guide does not name.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatch
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from mirror.annotations.collection import Collection
from mirror.annotations.output import fresh_folder, refuse_foreign
from mirror.annotations.preview.choosing import chosen
from mirror.annotations.preview.page import Card, Contents, LabelCount, page
from mirror.annotations.preview.timeline import timeline
from mirror.annotations.preview.tracks import Track, arrange
from mirror.annotations.tally import Skip, Tally
from mirror.errors import UsageError

if TYPE_CHECKING:
    from mirror.annotations.preview.gallery import Gallery

MARKER = "preview.json"
"""The file in the folder that says what was written, and that we made it."""
MOST_TRACKS = 200
"""Sequences in a timeline."""

_OURS = (MARKER, "index.html", "timeline.svg", "sheet.png", "sheet-*.png", "frames")
_NAMED = 10


@dataclass(frozen=True, slots=True)
class PreviewOptions:
    """`limit`: how many frames, spread evenly; 0 is all. `size`: of a contact sheet's pictures, in
    pixels of the longer side; `columns`: how many of them lie side by side."""

    limit: int = 48
    size: int = 320
    columns: int = 6


DEFAULTS = PreviewOptions()


@dataclass(frozen=True, slots=True)
class Previewed:
    """What became of it; written to the folder, too, as `preview.json`.

    `frames`: drawn, of `frames_read`; `unreadable`: could not be drawn, with `examples`;
    `not_mirrored`: likewise, with `missing`. `unknown`: shapes of kinds that can't be drawn, by
    kind. `left_out`: annotations that are wrong, by kind of problem, with the first `problems`.
    `lacking`: a sentence where there was nothing to draw.
    """

    frames: int
    frames_read: int
    frames_on_page: int
    sheets: int
    shapes: int
    sequences: int
    timelines: int
    intervals: int
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


def write_preview(
    collection: Collection, out: Path, tally: Tally, options: PreviewOptions = DEFAULTS
) -> Previewed:
    """Draw `collection` into the folder `out`, in place of an earlier preview there.

    Raises `UsageError` for a folder of somebody else, for frames without a destination or without
    Pillow, `ExportError`, and `DestinationError` for what the disk says; then `out` is as it was.
    """
    refuse_strangers(out, collection.root)
    tracks = list(_tracks(collection, tally))
    drawing = _frames_to_draw(collection, tracks)
    with fresh_folder(out, MARKER) as folder:
        gallery = _gallery(folder, tally, collection, options) if drawing else None
        if gallery:
            for number, item in chosen(collection, tally, options.limit):
                gallery.add(number, collection.name(collection.sequences[number]), item)
        cards = gallery.finish() if gallery else []
        _look_for_nothing(collection, tally)
        previewed = _conclude(collection, tally, gallery, len(cards))
        if tracks:
            left_away = max(0, len(tracks) - MOST_TRACKS)
            text = timeline(tracks[:MOST_TRACKS], left_away=left_away)
            (folder / "timeline.svg").write_text(text, "utf-8")
        with (folder / "index.html").open("w", encoding="utf-8") as file:
            file.writelines(page(_contents(collection, cards, tracks[:MOST_TRACKS], previewed)))
        found = msgspec.json.format(msgspec.json.encode(previewed), indent=2)
        (folder / MARKER).write_bytes(found + b"\n")
    return previewed


def refuse_strangers(out: Path, dest: Path | None) -> None:
    """Raise `UsageError` where `out` holds anything but an earlier preview, or lies in `dest`."""
    if dest is not None and out.absolute().resolve().is_relative_to(dest.absolute().resolve()):
        raise UsageError(
            f"{str(out)!a} is in the destination {str(dest)!a}, which holds frames alone: name"
            " another folder."
        )
    refuse_foreign(out, MARKER)
    if not out.is_dir():
        return
    for path in sorted(out.iterdir()):
        if not any(fnmatch(path.name, name) for name in _OURS):
            raise UsageError(
                f"{str(out)!a} holds {path.name!a}, which is not of a preview and would be lost:"
                " move it away, or name another folder."
            )


def _tracks(collection: Collection, tally: Tally) -> Iterator[Track]:
    for number, sequence in enumerate(collection.sequences):
        if intervals := collection.intervals(sequence):
            track = arrange(
                intervals, sequence.duration, number=number, name=collection.name(sequence)
            )
            tally.wrote("intervals", len(track.bars) + len(track.events))
            tally.wrote("timelines")
            yield track


def _frames_to_draw(collection: Collection, tracks: Sequence[Track]) -> bool:
    if collection.root is not None:
        return True
    frames = any(sequence.frame_ids() for sequence in collection.sequences)
    if frames and not tracks:
        raise UsageError("The exports have frames: --frames DEST says where they are mirrored.")
    return False


def _gallery(
    folder: Path, tally: Tally, collection: Collection, options: PreviewOptions
) -> Gallery:
    try:
        # Pillow is an extra, which timelines alone can do without
        from mirror.annotations.preview.gallery import Gallery  # noqa: PLC0415 - see above
    except ImportError:
        raise UsageError(
            "Drawing on frames needs the extra: pip install 'savant-mirror[preview]'."
        ) from None
    expected = options.limit or sum(len(each.frame_ids()) for each in collection.sequences)
    return Gallery(folder, tally, size=options.size, columns=options.columns, expected=expected)


def _look_for_nothing(collection: Collection, tally: Tally) -> None:
    if not (tally.written["frames"] or tally.written["timelines"]):
        collection.problems.lack(
            "There was nothing to draw: no frame that was asked for is mirrored, and no video"
            " annotation is there; `mirror inspect` shows what the exports hold."
        )


def _conclude(
    collection: Collection, tally: Tally, gallery: Gallery | None, on_page: int
) -> Previewed:
    problems, written, skipped = collection.problems, tally.written, tally.skipped
    missing = islice(collection.missing(), _NAMED) if skipped[Skip.NOT_MIRRORED] else ()
    return Previewed(
        frames=written["frames"],
        frames_read=tally.seen,
        frames_on_page=on_page,
        sheets=written["sheets"],
        shapes=written["shapes"],
        sequences=len(collection.sequences),
        timelines=written["timelines"],
        intervals=written["intervals"],
        not_mirrored=skipped[Skip.NOT_MIRRORED],
        missing=[str(ref) for ref in missing],
        unreadable=skipped[Skip.UNREADABLE],
        examples=gallery.unreadable if gallery else [],
        unlabelled=skipped[Skip.UNLABELLED],
        outside=skipped[Skip.OUTSIDE],
        unknown=dict(gallery.unknown) if gallery else {},
        left_out={str(kind): count for kind, count in problems.counts.items()},
        problems=[str(problem) for problem in problems.examples],
        lacking=problems.lacking,
    )


def _contents(
    collection: Collection, cards: Sequence[Card], tracks: Sequence[Track], previewed: Previewed
) -> Contents:
    numbers = sorted({each.sequence for each in cards} | {each.number for each in tracks})
    return Contents(
        title="Annotations preview",
        facts=list(_facts(previewed)),
        notes=list(notes(previewed)),
        sequences={number: collection.name(collection.sequences[number]) for number in numbers},
        labels=_labels(cards, tracks),
        cards=cards,
        tracks=tracks,
    )


def _facts(found: Previewed) -> Iterator[tuple[str, str]]:
    if found.frames_read:
        yield f"{found.frames:,}", f"of {found.frames_read:,} frames drawn"
        yield f"{found.shapes:,}", "shapes on them"
    if found.timelines:
        yield f"{found.intervals:,}", "video annotations"
    yield f"{found.sequences:,}", "sequences"


def notes(found: Previewed) -> Iterator[str]:
    """Sentences on what is not there, for the page and for a terminal."""
    if found.lacking:
        yield found.lacking
    if found.not_mirrored:
        named = ", ".join(found.missing) + (", …" * (found.not_mirrored > len(found.missing)))
        yield f"{found.not_mirrored:,} frames are not mirrored, so not drawn: {named}"
    if found.unreadable:
        named = "; ".join(found.examples) + ("; …" * (found.unreadable > len(found.examples)))
        yield f"{found.unreadable:,} frames could not be drawn: {named}"
    if found.unknown:
        kinds = ", ".join(
            f"{kind} \N{MULTIPLICATION SIGN}{count:,}" for kind, count in found.unknown.items()
        )
        yield f"Shapes of a kind that can't be drawn: {kinds}"
    if found.outside:
        yield f"Shapes wholly outside their image, not drawn: {found.outside:,}"
    if found.left_out:
        kinds = ", ".join(
            f"{kind} \N{MULTIPLICATION SIGN}{count:,}" for kind, count in found.left_out.items()
        )
        yield f"Annotations that are wrong, left out: {kinds}; the first: {found.problems[0]}"
    if found.frames_on_page < found.frames:
        yield f"{found.frames_on_page:,} of the {found.frames:,} frames are on the page"
    if found.timelines > MOST_TRACKS:
        yield f"{MOST_TRACKS:,} of the {found.timelines:,} timelines are drawn"


def _labels(cards: Sequence[Card], tracks: Sequence[Track]) -> list[LabelCount]:
    """Those on the page, by code: frames' labels by shapes, video annotations one by one."""
    names: dict[str, str] = {}
    counts: Counter[str] = Counter()
    for card in cards:
        for label in card.labels:
            names.setdefault(label.code, label.name)
            counts[label.code] += max(1, len(label.shapes))
    for track in tracks:
        for code, name in track.drawn:
            names.setdefault(code, name)
            counts[code] += 1
    return [LabelCount(code, names[code], counts[code]) for code in sorted(names)]
