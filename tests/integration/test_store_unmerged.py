"""What is told of shards before a merge is what is recorded after it, whatever ledgers say."""

from __future__ import annotations

import random
import shutil
from contextlib import closing
from pathlib import Path

import pytest
from store_kit import SHA

from mirror.settings import Settings
from mirror.shards import Shard
from mirror.store import (
    STATE,
    Layout,
    LedgerReader,
    LedgerSummary,
    failures_at,
    look_at_shards,
    place_of,
)
from mirror.store.schema import NAME, open_database
from mirror.sync.merging import merge_shards

FRAMES = 150
EARLIER, LATER = "2026-01-01T00:00:00Z", "2026-01-01T00:00:01Z"
Row = tuple[int, int, str | None, str | None, int | None, str | None]
"""State, attempts, reason, detail, size, when it was mirrored."""


def row(rng: random.Random) -> Row:
    state = rng.choice((0, 1, 2))
    attempts = rng.choice((0, 1, 2))
    size = rng.randrange(1, 100)
    at = rng.choice((EARLIER, LATER)) if state == 1 or rng.random() < 0.3 else None
    reason = rng.choice(("not_found", "timeout")) if state == 2 else None
    return state, attempts, reason, reason and f"{attempts}", size if at else None, at


def make(root: Path, place: str, rng: random.Random, rows: list[Row] | None = None) -> list[Row]:
    (root / place).mkdir(parents=True, exist_ok=True)
    rows = rows or [row(rng) for _ in range(FRAMES)]
    with closing(open_database(root / place / NAME, Layout().template)) as db:
        db.execute("BEGIN")
        db.execute(
            "INSERT INTO exports (id, path, sha256, size, sequences, frames)"
            " VALUES (1, 'batch.json', ?, 100, 3, ?)",
            (SHA, FRAMES),
        )
        for sequence in range(3):
            db.execute("INSERT INTO sequences VALUES (?, 'w1', ?)", (sequence + 1, f"r{sequence}"))
        for number, each in enumerate(rows):
            db.execute(
                "INSERT INTO frames (id, sequence, frame_id, state, attempts, reason, detail, size,"
                " mirrored_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (number + 1, number % 3 + 1, f"f{number}", *each),
            )
            db.execute("INSERT INTO export_frames VALUES (1, ?)", (number + 1,))
        db.execute("COMMIT")
    return rows


def failed(root: Path) -> list[tuple[str, str, str, int]]:
    return sorted(
        (each.frame.ref.root_id, each.frame.ref.frame_id, each.reason, each.attempts)
        for each in failures_at(root)
    )


def whole(root: Path) -> LedgerSummary | None:
    if reader := LedgerReader.find(root):
        with reader:
            return reader.summary()
    return None


def merged(root: Path, copy: Path) -> tuple[LedgerSummary | None, list[tuple[str, str, str, int]]]:
    shutil.copytree(root, copy)
    merge_shards(copy, Settings(), print)
    return whole(copy), failed(copy)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("has_whole", [True, False])
def test_shards_of_one_count(tmp_path: Path, seed: int, *, has_whole: bool) -> None:
    """Their ledgers hold rows of each other's frames, too, which mean nothing."""
    rng = random.Random(seed)
    root = tmp_path / "frames"
    if has_whole:
        make(root, STATE, rng)
    for index in range(3):
        make(root, place_of(Shard(index, 3)), rng)
    summary = look_at_shards(root, whole(root)).summary
    told = failed(root)
    after, then = merged(root, tmp_path / "copy")
    assert told == then
    assert summary is not None
    assert after is not None
    assert (summary.frames, summary.size, summary.sequences, summary.failures) == (
        after.frames,
        after.size,
        after.sequences,
        after.failures,
    )


@pytest.mark.parametrize("seed", range(4))
def test_failures_where_shards_of_two_counts_overlap(tmp_path: Path, seed: int) -> None:
    """What was never mirrored: records follow each other by their attempts."""
    rng = random.Random(seed)
    root = tmp_path / "frames"
    plain = [(0, 0, None, None, None, None), *((2, n, "late", "", None, None) for n in (1, 2, 3))]
    for place in (STATE, *(place_of(Shard(i, count)) for count in (2, 3) for i in range(count))):
        rows: list[Row] = [
            (1, 4, None, None, 9, LATER) if rng.random() < 0.1 else rng.choice(plain)
            for _ in range(FRAMES)
        ]
        make(root, place, rng, rows)
    found = look_at_shards(root, whole(root))
    assert (found.summary, found.counts) == (None, [2, 3])
    told = failed(root)
    assert len({each[:2] for each in told}) == len(told)
    assert told == merged(root, tmp_path / "copy")[1]
