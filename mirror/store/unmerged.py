"""What a destination holds while shards are not merged: their ledgers beside that of the whole.

Invariants: nothing is written, and runs may go on; what is told is what a merge would record. Each
row is looked at once, and memory grows with sequences and shards, not with frames.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from mirror.frames import FrameRef
from mirror.shards import Shard, shard_of
from mirror.store.folding import NEWER, ask_for_shards
from mirror.store.layout import STATE, place_of
from mirror.store.lock import LockState, lock_state
from mirror.store.reader import LedgerReader, readable
from mirror.store.schema import NAME, TABLES
from mirror.store.shards import shards_at
from mirror.store.summary import IngestedExport, LedgerSummary, SequenceSummary, exports_of
from mirror.store.values import FrameCounts

_NAMES = """
SELECT s.workspace_id, s.root_id, f.frame_id FROM frames f CROSS JOIN sequences s
ON s.id = f.sequence
"""
_SEQUENCES = """
SELECT s.workspace_id, s.root_id, COUNT(*) FROM frames f JOIN sequences s ON s.id = f.sequence
GROUP BY f.sequence ORDER BY MIN(f.id)
"""
_OWN = "shard_of(s.workspace_id, s.root_id, f.frame_id) = ?"
_BESIDE = """
FROM main.frames f CROSS JOIN main.sequences s ON s.id = f.sequence
LEFT JOIN whole.sequences ms ON ms.root_id = s.root_id AND ms.workspace_id = s.workspace_id
LEFT JOIN whole.frames mf ON mf.sequence = ms.id AND mf.frame_id = f.frame_id
"""
_IS_NEW = f"COALESCE(mf.id IS NULL OR {NEWER}, 0)"
# by the index of (sequence, frame_id), so that nothing has to be sorted
_SETTLED = f"""
(SELECT f.sequence, s.workspace_id, s.root_id, f.state, f.size, COALESCE(mf.state, 0) AS was,
mf.size AS had, {_IS_NEW} AS new {_BESIDE}
WHERE (f.state <> 0 OR f.mirrored_at IS NOT NULL) AND {_OWN})
"""
_CHANGES = (
    """
SELECT workspace_id, root_id, SUM(state = 1), SUM(state = 2),
SUM(new * (state = 1)) - SUM(new * (was = 1)), SUM(new * (state = 2)) - SUM(new * (was = 2)),
SUM(CASE WHEN new AND state = 1 THEN size ELSE 0 END)
- SUM(CASE WHEN new AND was = 1 THEN had ELSE 0 END)
FROM """
    + f"{_SETTLED} GROUP BY sequence"
)
_FAILED_NOW = f"""
SELECT f.reason, COUNT(*) {_BESIDE} WHERE f.state = 2 AND {_IS_NEW} AND {_OWN} GROUP BY f.reason
"""
_PAIRED = """
FROM whole.frames mf INDEXED BY failed_frames
CROSS JOIN whole.sequences ms ON ms.id = mf.sequence
CROSS JOIN main.sequences s ON s.root_id = ms.root_id AND s.workspace_id = ms.workspace_id
CROSS JOIN main.frames f ON f.sequence = s.id AND f.frame_id = mf.frame_id
"""
_FAILED_BEFORE = f"""
SELECT mf.reason, COUNT(*) {_PAIRED} WHERE mf.state = 2 AND {NEWER} AND {_OWN} GROUP BY mf.reason
"""


@dataclass(frozen=True, slots=True)
class ShardState:
    """A shard with a folder of its own: the frames of it that its ledger has, and who runs it.

    `total`: None where it has no ledger yet. A process's ledger has what it was given to fetch."""

    shard: Shard
    mirrored: int
    failed: int
    total: int | None
    lock: LockState

    @property
    def pending(self) -> int | None:
        """Those neither mirrored nor failed."""
        return None if self.total is None else max(0, self.total - self.mirrored - self.failed)


@dataclass(frozen=True, slots=True)
class Unmerged:
    """All shards that are not merged, and the whole with them; `summary`: None where the shards are
    of several counts, so that their frames overlap, or where there is no ledger yet."""

    shards: list[ShardState]
    summary: LedgerSummary | None

    @property
    def counts(self) -> list[int]:
        """Into how many shards the frames are cut."""
        return sorted({each.shard.count for each in self.shards})


def look_at_shards(root: Path, whole: LedgerSummary | None) -> Unmerged:
    """How far each shard at `root` is, and all together; `whole`: what the ledger of the whole
    says, None where there is none. Raises `LedgerError`."""
    look = _Look(root, whole)
    states = [look.at(shard) for shard in shards_at(root)]
    known = len({each.shard.count for each in states}) == 1 and look.sums.sequences
    return Unmerged(states, look.sums.summary() if known else None)


@dataclass(slots=True)
class _Sums:
    """What the ledger of the whole says, with what those of shards change."""

    sequences: dict[tuple[str, str], list[int]] = field(default_factory=dict)
    """Frames, those mirrored, those failed."""
    size: int = 0
    failures: Counter[str] = field(default_factory=Counter)
    exports: dict[str, IngestedExport] = field(default_factory=dict)

    def add_whole(self, whole: LedgerSummary) -> None:
        for each in whole.sequences:
            frames = each.frames
            counts = [frames.total, frames.mirrored, frames.failed]
            self.sequences[each.workspace_id, each.root_id] = counts
        self.size = whole.size
        self.failures.update(whole.failures)
        self.exports = {export.sha256: export for export in whole.exports}

    def of(self, workspace_id: str, root_id: str) -> list[int]:
        return self.sequences.setdefault((workspace_id, root_id), [0, 0, 0])

    def summary(self) -> LedgerSummary:
        counted = [
            SequenceSummary(*name, FrameCounts(total, done, bad, max(0, total - done - bad)))
            for name, (total, done, bad) in self.sequences.items()
        ]
        frames = [each.frames for each in counted]
        failures = sorted((+self.failures).items(), key=lambda each: (-each[1], each[0]))
        together = FrameCounts(
            sum(each.total for each in frames),
            sum(each.mirrored for each in frames),
            sum(each.failed for each in frames),
            sum(each.pending for each in frames),
        )
        return LedgerSummary(
            together, self.size, counted, dict(failures), list(self.exports.values())
        )


class _Look:
    """Looks at one shard's ledger after the other."""

    def __init__(self, root: Path, whole: LedgerSummary | None) -> None:
        self._root = root
        self._whole = None if whole is None else root.absolute() / STATE / NAME
        self.sums = _Sums()
        self._shares: dict[tuple[object, ...], Counter[int]] = {}
        if whole is not None:
            self.sums.add_whole(whole)

    def at(self, shard: Shard) -> ShardState:
        lock = lock_state(self._root, place_of(shard))
        reader = LedgerReader.find(self._root, place_of(shard))
        if reader is None:
            return ShardState(shard, 0, 0, None, lock)
        with reader:
            return ShardState(shard, *reader.ask(partial(self._count, shard=shard)), lock)

    def _count(self, db: sqlite3.Connection, shard: Shard) -> tuple[int, int, int]:
        ask_for_shards(db, shard.count)
        mirrored = failed = 0
        with _beside(db, self._whole):
            total = self._total(db, shard)
            rows = db.execute(_CHANGES, (shard.index,))
            for workspace_id, root_id, done, bad, more_done, more_bad, more_size in rows:
                mirrored, failed = mirrored + done, failed + bad
                counts = self.sums.of(workspace_id, root_id)
                counts[1] += more_done
                counts[2] += more_bad
                self.sums.size += more_size
            self.sums.failures.update(dict(db.execute(_FAILED_NOW, (shard.index,)).fetchall()))
            before = dict(db.execute(_FAILED_BEFORE, (shard.index,)).fetchall())
            self.sums.failures.subtract(before)
        return mirrored, failed, total

    def _total(self, db: sqlite3.Connection, shard: Shard) -> int:
        """The shard's own frames; siblings of the same exports know of the same ones."""
        exports = {export.sha256: export for export in exports_of(db)}
        if not exports:  # a process's, which has its share alone
            own = Counter(row[:2] for row in db.execute(_NAMES) if shard.holds(FrameRef(*row)))
            if self._whole is None:
                for name, amount in own.items():
                    self.sums.of(*name)[0] += amount
            return own.total()
        frames = db.execute("SELECT COUNT(*) FROM frames").fetchone()[0]
        key = shard.count, frozenset(exports), frames
        if key not in self._shares:
            self._shares[key] = Counter(
                shard_of(workspace_id, root_id, frame_id, shard.count)
                for workspace_id, root_id, frame_id in db.execute(_NAMES)
            )
            for workspace_id, root_id, amount in db.execute(_SEQUENCES):
                counts = self.sums.of(workspace_id, root_id)
                counts[0] = max(counts[0], amount)
            self.sums.exports = exports | self.sums.exports
        return self._shares[key][shard.index]


@contextmanager
def _beside(db: sqlite3.Connection, whole: Path | None) -> Iterator[None]:
    """For the time of the block, the ledger of the whole is there as `whole`, an empty one if there
    is none."""
    db.execute("ATTACH DATABASE ? AS whole", (":memory:" if whole is None else readable(whole),))
    try:
        if whole is None:
            db.execute("PRAGMA query_only = OFF")  # the shard's itself is opened for reading only
            for statement in TABLES.split(";\n"):
                words = statement.strip().split(" ", 2)
                if len(words) == 3:
                    db.execute(f"{words[0]} {words[1]} whole.{words[2]}")
            db.execute("PRAGMA query_only = ON")
        yield
    finally:
        db.execute("DETACH DATABASE whole")
