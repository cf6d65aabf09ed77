"""Mirrored frames with equal bytes under different ids, as the ledger's SHA-256 and size tell.

Invariants: reads only; the files are not looked at. Memory does not grow with the ledger: it is
looked through once for each part of the digests, and a part is what some 50,000 frames have, since
digests are spread evenly. No temporary is made. A million frames take 2 s of CPU, and up to 8 s
more where every one of them has an equal. A run may be going on: each part is as of one instant.
"""

from __future__ import annotations

import heapq
import sqlite3
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from mirror.frames import FrameRef
from mirror.store.reader import LedgerReader
from mirror.store.shards import open_whole

_A_PART = 50_000
"""Frames that are sorted at once."""
_MOST_PARTS = 256
_AT_ONCE = 500
_BEYOND = b"\xff" * 33
"""Sorts behind every digest."""

_EQUAL = """
SELECT sha256, size, group_concat(id) FROM frames
WHERE state = 1 AND sha256 >= ? AND sha256 < ? AND typeof(size) = 'integer'
GROUP BY sha256, size HAVING COUNT(*) > 1
"""
_NAMES = """
SELECT f.id, s.workspace_id, s.root_id, f.frame_id
FROM frames f CROSS JOIN sequences s ON s.id = f.sequence WHERE f.id IN ({})
"""


@dataclass(frozen=True, slots=True)
class EqualFrames:
    """Two frames or more whose files are equal, in the ledger's order. `sha256`: hex; `size`: bytes
    of each file."""

    sha256: str
    size: int
    frames: tuple[FrameRef, ...]

    @property
    def spent_twice(self) -> int:
        """Bytes of all files but one."""
        return self.size * (len(self.frames) - 1)

    @property
    def sequences(self) -> int:
        """In how many (workspace, root) they are."""
        return len({frame[:2] for frame in self.frames})


def equal_frames(root: Path) -> Iterator[EqualFrames]:
    """Every group of equal frames at the destination `root`, by digest.

    Shards that are not merged don't count. Raises `DestinationError` where there is no ledger, and
    `LedgerError`, also while iterating.
    """
    with open_whole(root) as reader:
        highest = reader.ask(_highest_row)
    parts = min(_MOST_PARTS, 1 + highest // _A_PART)
    for part in range(parts):
        # a reader for each: one that began without a run does not see what a run writes, and one
        # that waits for whoever takes the groups would keep the run's log from being cut
        with LedgerReader.open(root) as reader:
            found = reader.ask(partial(_find, part=part, parts=parts))
        yield from found


def _highest_row(db: sqlite3.Connection) -> int:
    return int(db.execute("SELECT COALESCE(MAX(id), 0) FROM frames").fetchone()[0])


def _find(db: sqlite3.Connection, part: int, parts: int) -> list[EqualFrames]:
    span = _digest_from(part, parts), _digest_from(part + 1, parts)
    db.execute("BEGIN")
    try:
        groups = [
            (digest, size, sorted(map(int, rows.split(","))))
            for digest, size, rows in db.execute(_EQUAL, span)
        ]
        names = _names(db, [row for _, _, rows in groups for row in rows])
    finally:
        db.execute("ROLLBACK")
    return [
        EqualFrames(digest.hex(), size, tuple(names[row] for row in rows if row in names))
        for digest, size, rows in groups
    ]


def _digest_from(part: int, parts: int) -> bytes:
    """Where a part of the digests begins: their first two bytes."""
    return (65536 * part // parts).to_bytes(2, "big") if part < parts else _BEYOND


def _names(db: sqlite3.Connection, rows: list[int]) -> dict[int, FrameRef]:
    found: dict[int, FrameRef] = {}
    for first in range(0, len(rows), _AT_ONCE):
        some = rows[first : first + _AT_ONCE]
        for row, *ids in db.execute(_NAMES.format(",".join("?" * len(some))), some):
            found[row] = FrameRef(*ids)
    return found


class Duplicates:
    """Counts while the groups pass. `frames`: all in them; `spent_twice`: bytes that the frames
    beyond each group's first take; `across`: groups over more than one sequence. `by_sequence`:
    frames of each (workspace, root) that are in a group."""

    def __init__(self, most: int) -> None:
        """`most`: how many of the largest groups are kept."""
        self.groups = 0
        self.frames = 0
        self.spent_twice = 0
        self.across = 0
        self.by_sequence: Counter[tuple[str, str]] = Counter()
        self._most = most
        self._largest: list[tuple[int, int, EqualFrames]] = []

    def add(self, found: EqualFrames) -> None:
        """One group."""
        self.groups += 1
        self.frames += len(found.frames)
        self.spent_twice += found.spent_twice
        self.across += found.sequences > 1
        self.by_sequence.update((frame.workspace_id, frame.root_id) for frame in found.frames)
        # of equal ones the earlier is kept
        heapq.heappush(self._largest, (found.spent_twice, -self.groups, found))
        if len(self._largest) > self._most:
            heapq.heappop(self._largest)

    def largest(self) -> list[EqualFrames]:
        """Those that spend most, most first."""
        return [found for *_, found in sorted(self._largest, key=lambda each: each[:2])][::-1]
