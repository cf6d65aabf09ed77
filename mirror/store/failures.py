"""Which frames have failed while shards are not merged, one by one.

Invariants: a frame that several ledgers have is told once, by the record that a merge would keep;
memory does not grow with their number. Nothing is written.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from mirror.frames import FrameRef
from mirror.shards import Shard
from mirror.store.folding import NEWER
from mirror.store.layout import STATE, place_of
from mirror.store.reader import LedgerReader
from mirror.store.shards import shards_at
from mirror.store.values import Failure, PendingFrame

_FAILED = """
SELECT f.id, s.workspace_id, s.root_id, f.frame_id, f.attempts, f.reason, f.detail, f.mirrored_at
FROM frames f INDEXED BY failed_frames CROSS JOIN sequences s ON s.id = f.sequence
WHERE f.state = 2 AND f.id > ? ORDER BY f.id LIMIT 4096
"""
_GIVEN = "CROSS JOIN (SELECT 2 AS state, ?4 AS attempts, ?5 AS mirrored_at)"
_LATER = (
    f"FROM sequences s CROSS JOIN frames f ON f.sequence = s.id AND f.frame_id = ?3 {_GIVEN} mf"
)
_EARLIER = (
    f"FROM sequences s CROSS JOIN frames mf ON mf.sequence = s.id AND mf.frame_id = ?3 {_GIVEN} f"
)
_NAMED = "WHERE s.workspace_id = ?1 AND s.root_id = ?2"
_LOSES = f"SELECT 1 {_LATER} {_NAMED} AND {NEWER}"
_WINS_NOT = f"SELECT 1 {_EARLIER} {_NAMED} AND NOT COALESCE({NEWER}, 0)"


class _Failed(NamedTuple):
    """`mirrored_at`: it was mirrored before, until its file was found gone."""

    failure: Failure
    mirrored_at: str | None

    @property
    def ref(self) -> FrameRef:
        return self.failure.frame.ref


def failures_at(root: Path) -> Iterator[Failure]:
    """Every frame that has failed by the latest record of it, in the ledger of the whole or of a
    shard that is not merged; each once. Raises `LedgerError`, also while iterating."""
    sources = [None, *shards_at(root)]  # as a merge takes them in
    for place, source in enumerate(sources):
        for page in _pages(root, source):
            gone: set[FrameRef] = set()
            for other_place, other in enumerate(sources):
                if other_place != place and not _are_siblings(source, other):
                    asked = _LOSES if other_place > place else _WINS_NOT
                    gone |= _found(root, other, asked, page)
            yield from (each.failure for each in page if each.ref not in gone)


def _are_siblings(one: Shard | None, other: Shard | None) -> bool:
    """Whether no frame is of both."""
    return one is not None and other is not None and one.count == other.count


def _pages(root: Path, source: Shard | None) -> Iterator[list[_Failed]]:
    """What one ledger says has failed; of a shard's, its own frames alone."""
    reader = LedgerReader.find(root, _place(source))
    if reader is None:
        return
    with reader:
        after = 0
        while rows := reader.ask(partial(_page, after=after)):
            if rows[-1][0] <= after:  # out of order: it would never end
                return
            after = rows[-1][0]
            failed = [_failed(*row) for row in rows]
            yield [each for each in failed if source is None or source.holds(each.ref)]


def _page(db: sqlite3.Connection, after: int) -> list[tuple[Any, ...]]:
    return db.execute(_FAILED, (after,)).fetchall()


def _failed(row: int, *rest: Any) -> _Failed:
    *ref, attempts, reason, detail, mirrored_at = rest
    frame = PendingFrame(row, FrameRef(*ref), attempts)
    return _Failed(Failure(frame, reason, detail, attempts), mirrored_at)


def _found(root: Path, source: Shard | None, asked: str, page: Sequence[_Failed]) -> set[FrameRef]:
    """The frames of a page that `source` has, and of which it answers what is `asked`."""
    own = [each for each in page if source is None or source.holds(each.ref)]
    reader = LedgerReader.find(root, _place(source)) if own else None
    if reader is None:
        return set()
    with reader:
        return reader.ask(partial(_answered, asked=asked, page=own))


def _answered(db: sqlite3.Connection, asked: str, page: Sequence[_Failed]) -> set[FrameRef]:
    return {
        each.ref
        for each in page
        if db.execute(asked, (*each.ref, each.failure.attempts, each.mirrored_at)).fetchone()
    }


def _place(source: Shard | None) -> str:
    return STATE if source is None else place_of(source)
