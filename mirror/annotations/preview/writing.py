"""From a collection to a folder of pictures and a page, whole or not at all.

Whatever can't be drawn is counted and named, and does not end it: frames that are not mirrored,
files that are gone or no PNG, kinds of shape that the guide does not name.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from mirror.annotations.collection import Collection
from mirror.annotations.output import (
    fresh_folder,
    refuse_foreign,
    refuse_overlap,
    write_marker,
)
from mirror.annotations.preview.choosing import chosen
from mirror.annotations.preview.page import Card, Contents, LabelCount, page
from mirror.annotations.preview.previewed import MOST_TRACKS, Previewed, facts, notes
from mirror.annotations.preview.timeline import timeline
from mirror.annotations.preview.tracks import Track, arrange
from mirror.annotations.tally import Skip, Tally
from mirror.errors import UsageError

if TYPE_CHECKING:
    from mirror.annotations.preview.gallery import Gallery

MARKER = "preview.json"
"""The file in the folder that says what was written, and that we made it."""
_NAMED = 10


@dataclass(frozen=True, slots=True)
class PreviewOptions:
    """`limit`: how many frames, spread evenly; 0 is all. `size`: of a contact sheet's pictures, in
    pixels of the longer side; `columns`: how many of them lie side by side."""

    limit: int = 48
    size: int = 320
    columns: int = 6


DEFAULTS = PreviewOptions()


def write_preview(
    collection: Collection, out: Path, tally: Tally, options: PreviewOptions = DEFAULTS
) -> Previewed:
    """Draw `collection` into the folder `out`, in place of an earlier preview there.

    Raises `UsageError` for a folder of somebody else, for frames without a destination or without
    Pillow, `ExportError`, and `DestinationError` for what the disk says; then `out` is as it was.
    """
    refuse_overlap(out, (export.path for export in collection.exports), collection.root)
    refuse_foreign(out, MARKER)
    tracks = list(_tracks(collection, tally))
    drawing = _frames_to_draw(collection, tracks)
    with fresh_folder(out, MARKER) as folder:
        gallery = _gallery(folder, tally, collection, options) if drawing else None
        if gallery:
            for number, item in chosen(collection, tally, options.limit):
                gallery.add(number, collection.name(collection.sequences[number]), item)
        cards = gallery.finish() if gallery else []
        collection.refuse_unseen()
        _look_for_nothing(collection, tally)
        previewed = _conclude(collection, tally, gallery, tracks, len(cards))
        if tracks:
            left_away = max(0, len(tracks) - MOST_TRACKS)
            text = timeline(tracks[:MOST_TRACKS], left_away=left_away)
            (folder / "timeline.svg").write_text(text, "utf-8")
        with (folder / "index.html").open("w", encoding="utf-8") as file:
            file.writelines(page(_contents(collection, cards, tracks[:MOST_TRACKS], previewed)))
        write_marker(folder, MARKER, msgspec.to_builtins(previewed))
    return previewed


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
    collection: Collection,
    tally: Tally,
    gallery: Gallery | None,
    tracks: Sequence[Track],
    on_page: int,
) -> Previewed:
    problems, written, skipped = collection.problems, tally.written, tally.skipped
    deep = sum(track.deep for track in tracks)
    missing = islice(collection.missing(), _NAMED) if skipped[Skip.NOT_MIRRORED] else ()
    undrawn = 0 if gallery else sum(len(each.frame_ids()) for each in collection.sequences)
    return Previewed(
        frames=written["frames"],
        frames_read=tally.seen,
        frames_on_page=on_page,
        sheets=written["sheets"],
        shapes=written["shapes"],
        sequences=len(collection.sequences),
        timelines=written["timelines"],
        intervals=written["intervals"],
        intervals_not_drawn=deep,
        without_destination=undrawn,
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
        facts=list(facts(previewed)),
        notes=list(notes(previewed)),
        sequences={number: collection.name(collection.sequences[number]) for number in numbers},
        labels=_labels(cards, tracks),
        cards=cards,
        tracks=tracks,
    )


def _labels(cards: Sequence[Card], tracks: Sequence[Track]) -> list[LabelCount]:
    """Those on the page, by name: frames' labels by shapes, video annotations one by one."""
    names: dict[str, str] = {}
    counts: Counter[str] = Counter()
    for card in cards:
        for code, (name, shapes) in card.shown.items():
            names.setdefault(code, name)
            counts[code] += max(1, shapes)
    for track in tracks:
        for code, name in track.drawn:
            names.setdefault(code, name)
            counts[code] += 1
    ordered = sorted(names, key=lambda code: (names[code].casefold(), code))
    return [LabelCount(code, names[code], counts[code]) for code in ordered]
