"""What passes between the pipeline, the writer, the committer and the ledger: plain values.

Sizes are bytes; `sha256` is the raw digest; a temporary is named by its name in `.mirror/tmp`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from mmap import mmap
from typing import NamedTuple

from mirror.errors import FrameError
from mirror.frames import FrameRef


class PendingFrame(NamedTuple):
    """A frame the ledger wants mirrored. `row`: its row id; `attempts`: those already recorded."""

    row: int
    ref: FrameRef
    attempts: int


class RecordedFrame(NamedTuple):
    """A frame recorded as mirrored. `size`: bytes of its file; `width`, `height`: pixels."""

    row: int
    ref: FrameRef
    size: int
    sha256: bytes
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Body:
    """A downloaded body in memory, as it arrived; `size` is the sum of its chunks."""

    frame: PendingFrame
    chunks: list[bytes]
    size: int


@dataclass(frozen=True, slots=True)
class LargeBody:
    """A downloaded body: the first `size` bytes of `memory`, which begins at a page."""

    frame: PendingFrame
    memory: mmap
    size: int


@dataclass(frozen=True, slots=True)
class StreamedBody:
    """A downloaded body that is already in its temporary `name`."""

    frame: PendingFrame
    name: str
    size: int


AnyBody = Body | LargeBody | StreamedBody
"""A downloaded body, wherever it is."""


@dataclass(frozen=True, slots=True)
class Written:
    """A whole PNG on disk, not durable yet. `name`: its temporary; None: it is at its place."""

    frame: PendingFrame
    name: str | None
    size: int
    sha256: bytes
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Refused:
    """A frame that could not be kept. Nothing of it is left in the temporaries."""

    frame: PendingFrame
    error: FrameError


@dataclass(frozen=True, slots=True)
class Failure:
    """A frame that failed for good, as the ledger records it. `attempts`: all of them."""

    frame: PendingFrame
    reason: str
    detail: str
    attempts: int


@dataclass(frozen=True, slots=True)
class Adopted:
    """What stands at the final names of some frames. `set_aside`: frame, and where its file is now;
    those frames are among `absent` too."""

    written: list[Written]
    absent: list[PendingFrame]
    set_aside: list[tuple[PendingFrame, str]]


@dataclass(frozen=True, slots=True)
class CommitResult:
    """What became of a commit group: every frame is in exactly one of the first three.

    `committed`: durable and recorded. `refused`: this one file can't be placed. `lost`: the disk
    did not keep it, or its temporary is gone; it must be fetched again. `set_aside`: what stood at
    a frame's name and differed, and where it is now.
    """

    committed: list[Written] = field(default_factory=list)
    refused: list[Refused] = field(default_factory=list)
    lost: list[Refused] = field(default_factory=list)
    set_aside: list[tuple[PendingFrame, str]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class ExportRecord:
    """One export as the ledger knows it. `sha256`: hex; `sequences`: how many it holds."""

    path: str
    sha256: str
    size: int
    sequences: int


@dataclass(frozen=True, slots=True)
class IngestResult:
    """Counts of frames: named by this export; new to the ledger; named by the previous export from
    the same path and no longer by this one; named, but purged here."""

    frames: int
    added: int
    left: int
    purged: int = 0


@dataclass(frozen=True, slots=True)
class Folded:
    """Shard ledgers that were taken in, the frames whose state they changed, and how many of them
    were damaged: what those recorded is found at the frames' names."""

    shards: int = 0
    mirrored: int = 0
    failed: int = 0
    damaged: int = 0

    def __add__(self, other: Folded) -> Folded:
        return Folded(
            self.shards + other.shards,
            self.mirrored + other.mirrored,
            self.failed + other.failed,
            self.damaged + other.damaged,
        )


class FrameState(IntEnum):
    """States of a frame, as the ledger stores them."""

    PENDING = 0
    MIRRORED = 1
    FAILED = 2


@dataclass(frozen=True, slots=True)
class FrameCounts:
    """Frames by state."""

    total: int
    mirrored: int
    failed: int
    pending: int
