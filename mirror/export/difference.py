"""What changed between two exports, one (workspace, root) after the other.

Frames are held against each other by the labels of the occurrence that counts: the last one that
has labels, else the last. Labels whose text is equal are equal and not looked into; of the others
the codes and the shapes' kinds and points count, in any order, and unknown fields don't. So memory
is that of one (workspace, root)'s ids in both exports, with where their labels stand, and of one
frame's labels.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum

import msgspec
from msgspec import UNSET, Raw, UnsetType

from mirror.export.cut import SequenceSlice
from mirror.export.essence import BadShapeError, essence, is_labelled
from mirror.export.file import ExportFile
from mirror.export.frames import FrameReader, wrong_frame
from mirror.export.selection import group_sequences, refuse_frame_twins, refuse_root_twins
from mirror.export.shapes import read_phases


class Presence(StrEnum):
    """In which of the two exports a sequence is."""

    ADDED = "added"
    REMOVED = "removed"
    BOTH = "both"


@dataclass(frozen=True, slots=True)
class PhaseTimes:
    """A video annotation, as it is compared; milliseconds, None where that end is open."""

    code: str
    start: float | None
    end: float | None


@dataclass(frozen=True, slots=True)
class LabelChange:
    """Frames that carry a label and did not, and the reverse."""

    gained: int
    lost: int


@dataclass(frozen=True, slots=True)
class SequenceDifference:
    """What changed in one sequence. The ids are empty for all entries that have none, together.

    `added`, `removed`, `relabelled`: frame ids, in export order; `relabelled` are in both exports
    and their labels or shapes differ; `redrawn` of them carry the same codes as before. `labels`:
    of those relabelled, by code. `phases_added`, `phases_removed`: video annotations; a changed one
    is in both.
    """

    workspace_id: str
    root_id: str
    presence: Presence
    added: tuple[str, ...]
    removed: tuple[str, ...]
    relabelled: tuple[str, ...]
    redrawn: int
    labels: dict[str, LabelChange]
    phases_added: tuple[PhaseTimes, ...]
    phases_removed: tuple[PhaseTimes, ...]

    @property
    def differs(self) -> bool:
        """Whether anything changed."""
        return self.presence is not Presence.BOTH or bool(
            self.added
            or self.removed
            or self.relabelled
            or self.phases_added
            or self.phases_removed
        )


def compare(old: ExportFile, new: ExportFile) -> Iterator[SequenceDifference]:
    """One item for each sequence that differs: those of `old` in order, then those new in `new`.

    Raises `ExportError`, also while iterating. Iterate while the exports are open.
    """
    before, after = group_sequences([old]), group_sequences([new])
    refuse_root_twins(before)
    refuse_root_twins(after)
    return _compare(old, new, before, after)


Groups = dict[tuple[str, str], list[SequenceSlice]]


def _compare(
    old: ExportFile, new: ExportFile, before: Groups, after: Groups
) -> Iterator[SequenceDifference]:
    for name in dict.fromkeys([*before, *after]):
        found = _compare_group(name, before.get(name), after.get(name))
        if found.differs:
            yield found
    nameless = _compare_phases(_phases_of_nameless(old), _phases_of_nameless(new))
    if any(nameless):
        yield SequenceDifference("", "", Presence.BOTH, (), (), (), 0, {}, *nameless)


def _compare_group(
    name: tuple[str, str],
    before: list[SequenceSlice] | None,
    after: list[SequenceSlice] | None,
) -> SequenceDifference:
    old, new = before or [], after or []
    was, now = _choose(old), _choose(new)
    changed: list[str] = []
    redrawn = 0
    gained: Counter[str] = Counter()
    lost: Counter[str] = Counter()
    for frame_id, labels in now.items():
        if frame_id not in was or _same_text(was[frame_id], labels):
            continue
        first = _essence(old, frame_id, was[frame_id])
        second = _essence(new, frame_id, labels)
        if first == second:
            continue
        changed.append(frame_id)
        had, has = {code for code, _ in first}, {code for code, _ in second}
        redrawn += had == has
        gained.update(has - had)
        lost.update(had - has)
    return SequenceDifference(
        *name,
        Presence.ADDED if before is None else Presence.REMOVED if after is None else Presence.BOTH,
        tuple(frame_id for frame_id in now if frame_id not in was),
        tuple(frame_id for frame_id in was if frame_id not in now),
        tuple(changed),
        redrawn,
        {code: LabelChange(gained[code], lost[code]) for code in sorted(gained | lost)},
        *_compare_phases(_phases_of(old), _phases_of(new)),
    )


class _Frame(msgspec.Struct, gc=False):
    id: str
    labels: Raw | UnsetType = UNSET


_frames = FrameReader(_Frame)


def _choose(pieces: list[SequenceSlice]) -> dict[str, Raw | None]:
    """The undecoded labels of each distinct frame, None where it has none."""
    found: dict[str, Raw | None] = {}
    for piece in pieces:
        for number, frame in enumerate(_frames.read(piece)):
            try:
                labelled = frame.labels is not UNSET and is_labelled(frame.labels)
            except msgspec.ValidationError as error:
                raise wrong_frame(piece, number, error, "labels") from None
            if labelled and frame.labels is not UNSET:
                found[frame.id] = frame.labels
            else:
                found.setdefault(frame.id, None)
    if pieces:
        refuse_frame_twins(found, pieces)
    return found


def _same_text(one: Raw | None, other: Raw | None) -> bool:
    if one is None or other is None:
        return one is other
    return bytes(one) == bytes(other)


def _essence(
    pieces: list[SequenceSlice], frame_id: str, labels: Raw | None
) -> list[tuple[str, list[tuple[str, bytes]]]]:
    """What is compared of a frame's labels. Raises `ExportError` with the place."""
    try:
        return [] if labels is None else essence(labels)
    except (ValueError, RecursionError) as error:
        # where a frame stands is not kept for all, so it is looked for
        for piece in pieces:
            for number, frame in enumerate(_frames.read(piece)):
                if frame.id == frame_id and frame.labels is not UNSET:
                    if bytes(frame.labels) != bytes(labels or b""):
                        continue
                    within = error.within if isinstance(error, BadShapeError) else "labels"
                    raise wrong_frame(piece, number, error, within) from None
        raise


def _phases_of(pieces: list[SequenceSlice]) -> list[PhaseTimes]:
    """Those of the last stage that has any."""
    for piece in reversed(pieces):
        if phases := read_phases(piece):
            return [PhaseTimes(one.code, one.timestamp_start, one.timestamp_end) for one in phases]
    return []


def _phases_of_nameless(export: ExportFile) -> list[PhaseTimes]:
    pieces = [piece for piece in export.sequences if not (piece.workspace_id and piece.root_id)]
    return [phase for piece in pieces for phase in _phases_of([piece])]


def _compare_phases(
    old: Iterable[PhaseTimes], new: Iterable[PhaseTimes]
) -> tuple[tuple[PhaseTimes, ...], tuple[PhaseTimes, ...]]:
    """What is only in `new`, and what is only in `old`, as often as it is."""
    before, after = Counter(old), Counter(new)
    return tuple((after - before).elements()), tuple((before - after).elements())
