"""Which frames of the exports are meant: distinct, grouped by (workspace, root), in order.

Invariants: memory is that of one group's ids; every frame is given once however often it occurs
in however many exports; two ids that a file system may take for one end the reading.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass

import msgspec

from mirror.errors import ExportError
from mirror.export import place
from mirror.export.cut import SequenceSlice
from mirror.export.file import ExportFile
from mirror.export.frames import FrameReader


@dataclass(frozen=True, slots=True)
class Selection:
    """What was asked for; what is empty narrows nothing.

    `sequences`: root ids. `labels`: codes, of which a frame must carry one. `labelled_only`: a
    frame must carry a label. Where a frame occurs more than once, one occurrence that fits is
    enough.
    """

    sequences: frozenset[str] = frozenset()
    labels: frozenset[str] = frozenset()
    labelled_only: bool = False

    @property
    def everything(self) -> bool:
        """Whether nothing was narrowed."""
        return not (self.sequences or self.labels or self.labelled_only)


@dataclass(frozen=True, slots=True)
class SequenceFrames:
    """The distinct frames of one (workspace, root), in the order of their first occurrence.

    `repeats`: how often one of them occurred again.
    """

    workspace_id: str
    root_id: str
    frame_ids: tuple[str, ...]
    repeats: int


class _Frame(msgspec.Struct, gc=False):
    id: str


class _Label(msgspec.Struct, gc=False):
    code: str | None = None


class _LabelledFrame(msgspec.Struct, gc=False):
    id: str
    labels: list[_Label] | None = None


_frames = FrameReader(_Frame)
_labelled_frames = FrameReader(_LabelledFrame)

Group = tuple[str, str]


def group_sequences(exports: Iterable[ExportFile]) -> dict[Group, list[SequenceSlice]]:
    """The slices that have ids by (workspace, root), in the order of first appearance."""
    groups: dict[Group, list[SequenceSlice]] = {}
    for export in exports:
        for piece in export.sequences:
            if piece.root_id and piece.workspace_id:
                groups.setdefault((piece.workspace_id, piece.root_id), []).append(piece)
    return groups


def select_frames(exports: Iterable[ExportFile], selection: Selection) -> Iterator[SequenceFrames]:
    """One item for each distinct (workspace, root) that has a selected frame.

    Raises `ExportError`: at once where two root ids differ only by case, and while iterating where
    a frame is wrong or two frame ids of one root differ only by case. Iterate while the exports
    are open.
    """
    groups = group_sequences(exports)
    _narrow(groups, selection)
    refuse_root_twins(groups)
    return _select(groups, selection)


def _narrow(groups: dict[Group, list[SequenceSlice]], selection: Selection) -> None:
    """Leave what is selected and has frames; in place, because there may be very many."""
    unwanted = []
    for group, pieces in groups.items():
        if any(piece.frames is None for piece in pieces):
            pieces[:] = [piece for piece in pieces if piece.frames is not None]
        if not pieces or (selection.sequences and group[1] not in selection.sequences):
            unwanted.append(group)
    for group in unwanted:
        del groups[group]


def _select(
    groups: dict[Group, list[SequenceSlice]], selection: Selection
) -> Iterator[SequenceFrames]:
    for (workspace_id, root_id), pieces in groups.items():
        seen: dict[str, None] = {}
        occurrences = 0
        for piece in pieces:
            for frame_id in _selected_ids(piece, selection):
                occurrences += 1
                seen[frame_id] = None
        refuse_frame_twins(seen, pieces)
        if seen:
            yield SequenceFrames(workspace_id, root_id, tuple(seen), occurrences - len(seen))


def _selected_ids(piece: SequenceSlice, selection: Selection) -> Iterator[str]:
    if selection.labels:
        for labelled in _labelled_frames.read(piece):
            if any(label.code in selection.labels for label in labelled.labels or ()):
                yield labelled.id
    elif selection.labelled_only:
        for labelled in _labelled_frames.read(piece):
            if labelled.labels:
                yield labelled.id
    else:
        for frame in _frames.read(piece):
            yield frame.id


def case_twins(ids: Collection[str]) -> tuple[str, str] | None:
    """Two of `ids` that differ only by case, or None; `ids` must be quick to look into.

    Ids are ASCII, so no other Unicode form of one exists.
    """
    lowered: dict[str, str] = {}
    for one in ids:
        low = one.lower()
        if low == one:
            continue
        if low in ids:
            return low, one
        other = lowered.setdefault(low, one)
        if other is not one:
            return other, one
    return None


def refuse_frame_twins(ids: Collection[str], pieces: list[SequenceSlice]) -> None:
    """Raise `ExportError` where two frames of one root could share a file name."""
    twins = case_twins(ids)
    if twins:
        raise ExportError(
            f"{pieces[0].place}: the frame ids {twins[0]!r} and {twins[1]!r} differ only by case,"
            " and would be one file on some file systems; take one out of the export."
        )


def refuse_root_twins(groups: dict[Group, list[SequenceSlice]]) -> None:
    """Raise `ExportError` where two roots could share a folder name."""
    twins = case_twins({root_id: None for _, root_id in groups})
    if twins:
        pieces = [found for (_, root_id), found in groups.items() if root_id in twins]
        files = " and ".join(sorted({place.named(found[0].source.path) for found in pieces}))
        raise ExportError(
            f"{files}: the rootIds {twins[0]!r} and {twins[1]!r} differ only by case, and would be"
            " one folder on some file systems; bring them to two destinations with --sequence."
        )
