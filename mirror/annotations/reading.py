"""The way in: an export's annotations, read sequence by sequence, frame by frame.

Nothing is loaded whole: a frame is decoded when it is asked for and held by nobody here. Memory is
some 150 bytes for each frame of the one sequence that is read.

A frame can occur more than once: a sequence's later stage repeats it, and so may another export.
The last occurrence that has labels counts, or the last one where none has; of video annotations,
those of the last stage that has any. `frames` gives each frame once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec
from msgspec import Raw

from mirror.annotations.decoding import decode_duration, decode_frame, decode_intervals
from mirror.annotations.problems import Problems, problems_for
from mirror.annotations.values import AnnotatedFrame, Interval
from mirror.closing import Closing
from mirror.export import ExportFile, SequenceSlice
from mirror.export.frames import FrameReader, undecoded_frames
from mirror.export.selection import group_sequences, refuse_frame_twins, refuse_root_twins


class _Occurrence(msgspec.Struct, gc=False):
    id: str
    labels: list[Raw] | None = None


_occurrences = FrameReader(_Occurrence)


class UndecodedFrame(NamedTuple):
    """A frame's text in the mapped file; it keeps the file open. Its id is checked."""

    piece: SequenceSlice
    number: int
    frame_id: str
    raw: Raw

    def decode(self, problems: Problems) -> AnnotatedFrame:
        """The frame with its labels. Raises `ExportError`."""
        return decode_frame(self.piece, self.number, self.raw, problems)


class AnnotatedSequence:
    """One sequence; `slices` are its stages, in order. `root_id` may be empty without frames."""

    __slots__ = ("_problems", "_slices", "root_id", "workspace_id")

    def __init__(self, slices: Sequence[SequenceSlice], problems: Problems) -> None:
        self.workspace_id = slices[0].workspace_id
        self.root_id = slices[0].root_id
        self._slices = slices
        self._problems = problems

    @property
    def index(self) -> int:
        """Its number in its export, counted from 0: `annotation_data["sequences"][index]`."""
        return self._slices[0].index

    def frame_ids(self) -> list[str]:
        """Of every distinct frame, in the order in which `frames` gives them."""
        return [frame_id for chosen in self._choose() for frame_id in chosen.values()]

    def frames(self) -> Iterator[AnnotatedFrame]:
        """Every distinct frame with its labels: the guide, 'Working with frame annotations'.

        Raises `ExportError` where one is wrong beyond what can be left out.
        """
        for frame in self.undecoded():
            yield frame.decode(self._problems)

    def undecoded(self) -> Iterator[UndecodedFrame]:
        """The same frames, each to be decoded later. Raises `ExportError`."""
        for piece, chosen in zip(self._slices, self._choose(), strict=True):
            for number, raw in undecoded_frames(piece) if chosen else ():
                if number in chosen:
                    yield UndecodedFrame(piece, number, chosen[number], raw)

    def intervals(self) -> tuple[Interval, ...]:
        """Its video annotations, in export order: the guide, 'Working with video annotations'."""
        for piece in reversed(self._slices):
            if found := tuple(decode_intervals(piece, self._problems)):
                return found
        return ()

    @property
    def duration(self) -> int | None:
        """Milliseconds, where the export says how long the video is (not in the guide)."""
        found = (decode_duration(piece) for piece in reversed(self._slices))
        return next((each for each in found if each is not None), None)

    def _choose(self) -> list[dict[int, str]]:
        """By slice: the numbers of the occurrences that count, with the frame's id."""
        found: dict[str, tuple[int, int, bool]] = {}
        for place, piece in enumerate(self._slices):
            for number, frame in enumerate(_occurrences.read(piece)):
                earlier = found.get(frame.id)
                if frame.labels or earlier is None or not earlier[2]:
                    found[frame.id] = place, number, bool(frame.labels)
        refuse_frame_twins(found, list(self._slices))
        chosen: list[dict[int, str]] = [{} for _ in self._slices]
        for frame_id, (place, number, _) in found.items():
            chosen[place][number] = frame_id
        return [dict(sorted(each.items())) for each in chosen]

    def __repr__(self) -> str:
        return f"<AnnotatedSequence {self.root_id or self.index}>"


class AnnotatedExport(Closing):
    """One open export; a context manager. `problems`: what was left out so far."""

    def __init__(self, file: ExportFile, problems: Problems) -> None:
        self.file = file
        self.problems = problems

    @property
    def path(self) -> Path:
        """Where it lies."""
        return self.file.path

    @property
    def sequences(self) -> Iterator[AnnotatedSequence]:
        """Every entry of `sequences`, in order, each by itself: `annotation_data["sequences"]`."""
        for piece in self.file.sequences:
            yield AnnotatedSequence([piece], self.problems)

    def close(self) -> None:
        """Let go of the file."""
        self.file.close()

    def __repr__(self) -> str:
        return f"<AnnotatedExport {self.file!r}>"


def open_export(path: Path | str, *, strict: bool = False) -> AnnotatedExport:
    """The annotations of the export at `path`.

        with mirror.open_export("batch.json") as export:
            for sequence in export.sequences:
                for frame in sequence.frames():
                    for label in frame.labels: ...

    `strict`: an annotation that is wrong by itself raises `ExportError` with its place, instead of
    being left out and counted in `problems`. Raises `ExportError` where the file is no export.
    """
    return AnnotatedExport(ExportFile.open(path), problems_for(strict=strict))


def distinct_sequences(
    exports: Iterable[ExportFile], problems: Problems
) -> list[AnnotatedSequence]:
    """One for each (workspace, root) of all exports together, in the order of first appearance, and
    one for each entry without ids, which video batches may have. Raises `ExportError`."""
    exports = list(exports)
    groups = group_sequences(exports)
    refuse_root_twins(groups)
    nameless = [
        [piece]
        for export in exports
        for piece in export.sequences
        if not (piece.root_id and piece.workspace_id)
    ]
    return [AnnotatedSequence(pieces, problems) for pieces in (*groups.values(), *nameless)]
