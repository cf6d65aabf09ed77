"""A dataset that exists only as far as it is looked at: ids, pictures, the export that names them.

Everything follows from the spec, so two processes with the same spec hold the same frames. Memory
does not grow with the number of frames, except in `sequences`, which lists them all.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path

from mirror.simulator.export import write_export
from mirror.simulator.ids import FrameIds, plain_id
from mirror.simulator.png import Painter

_CACHE_BYTES = 16 * 1024**2
_SMALLEST_FRAME = 300


@dataclass(frozen=True, slots=True)
class DatasetSpec:
    """What a dataset holds. `frame_bytes`: about the size of each PNG."""

    sequences: int = 4
    frames_per_sequence: int = 50
    frame_bytes: int = 40_000
    seed: int = 1
    labelled: bool = True

    def __post_init__(self) -> None:
        if not 1 <= self.sequences <= 1 << 20:
            raise ValueError("sequences: 1 to 1048576 is allowed")
        if not 0 <= self.frames_per_sequence < 1 << 32:
            raise ValueError("frames_per_sequence: 0 to 4294967295 is allowed")
        if not _SMALLEST_FRAME <= self.frame_bytes <= 1 << 30:
            raise ValueError(f"frame_bytes: {_SMALLEST_FRAME} to 1073741824 is allowed")


class Dataset:
    """The frames of one workspace."""

    def __init__(self, spec: DatasetSpec | None = None) -> None:
        self.spec = spec or DatasetSpec()
        self.workspace_id = plain_id(self.spec.seed, "workspace")
        self.root_ids = tuple(
            plain_id(self.spec.seed, f"root {number}") for number in range(self.spec.sequences)
        )
        self._ids = FrameIds(self.spec.seed)
        self._painter = Painter(self.spec.frame_bytes, self.spec.seed)
        held = min(256, max(2, _CACHE_BYTES // self.spec.frame_bytes))
        self._paint = lru_cache(held)(self._painter.paint)

    def __repr__(self) -> str:
        return f"Dataset({self.spec})"

    def __len__(self) -> int:
        """How many frames there are."""
        return self.spec.sequences * self.spec.frames_per_sequence

    def frame_ids(self) -> Iterator[str]:
        """Every frame id, sequence by sequence."""
        for number in range(self.spec.sequences):
            yield from self.frames_of(number)

    def frames_of(self, sequence: int) -> Iterator[str]:
        """The frame ids of one sequence, counted from 0, in order."""
        for index in range(self.spec.frames_per_sequence):
            yield self._ids.make(sequence, index)

    @cached_property
    def sequences(self) -> tuple[tuple[str, tuple[str, ...]], ...]:
        """(root id, frame ids) of every sequence; held in memory once asked for."""
        return tuple(
            (root_id, tuple(self.frames_of(number))) for number, root_id in enumerate(self.root_ids)
        )

    def place(self, frame_id: str) -> tuple[int, int] | None:
        """(sequence, index) of a frame of this dataset, else None."""
        place = self._ids.place(frame_id)
        if place is None:
            return None
        sequence, index = place
        known = sequence < self.spec.sequences and index < self.spec.frames_per_sequence
        return place if known else None

    def png(self, frame_id: str) -> bytes:
        """The picture of a frame; `KeyError` for one that is not in the dataset."""
        place = self.place(frame_id)
        if place is None:
            raise KeyError(frame_id)
        return self._paint(frame_id, place[1])

    def other_png(self, frame_id: str, version: int) -> bytes:
        """A different picture under the same id, for any id: the object was replaced."""
        place = self.place(frame_id) or (0, 0)
        return self._painter.paint(frame_id, place[1], version)

    def write_export(self, path: Path) -> None:
        """Write the export that names every frame, a frame at a time."""
        sequences = (
            (root_id, self.frames_of(number)) for number, root_id in enumerate(self.root_ids)
        )
        write_export(path, self.workspace_id, sequences, labelled=self.spec.labelled)
