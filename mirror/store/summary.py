"""What `status` says of a destination: the ledger in short, and the report of the last run."""

from __future__ import annotations

import json
import os
import sqlite3
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from mirror.store.layout import STATE
from mirror.store.values import FrameCounts

REPORT = "report.json"
_LONGEST_REPORT = 16 * 1024**2
# by the index of (sequence, frame_id), so that nothing has to be sorted
_SEQUENCES = """
SELECT s.workspace_id, s.root_id, COUNT(*), SUM(f.state = 1), SUM(f.state = 2),
COALESCE(SUM(CASE f.state WHEN 1 THEN f.size END), 0), MIN(f.id)
FROM frames f JOIN sequences s ON s.id = f.sequence GROUP BY f.sequence
"""
_FAILURES = """
SELECT reason, COUNT(*) FROM frames INDEXED BY failed_frames WHERE state = 2
GROUP BY reason ORDER BY 2 DESC, 1
"""


@dataclass(frozen=True, slots=True)
class SequenceSummary:
    """Frames of one (workspace, root) by state."""

    workspace_id: str
    root_id: str
    frames: FrameCounts


@dataclass(frozen=True, slots=True)
class IngestedExport:
    """One ingested export. `ingested_at`: UTC, ISO 8601."""

    path: str
    sha256: str
    size: int
    sequences: int
    frames: int
    ingested_at: str


@dataclass(frozen=True, slots=True)
class LastRun:
    """The last run, as its report has it. `ended_at`: UTC, ISO 8601."""

    outcome: str
    exit_code: int
    ended_at: str


@dataclass(frozen=True, slots=True)
class LedgerSummary:
    """All that a ledger says in short. `size`: bytes of the mirrored frames; `failures`: frames by
    reason; `sequences` and `exports` in the order they came."""

    frames: FrameCounts
    size: int
    sequences: list[SequenceSummary]
    failures: dict[str, int]
    exports: list[IngestedExport]

    @classmethod
    def nothing(cls) -> LedgerSummary:
        """What there is to say before there is a ledger."""
        return cls(FrameCounts(0, 0, 0, 0), 0, [], {}, [])


def summarize(db: sqlite3.Connection) -> LedgerSummary:
    """Everything counted; inside the caller's read transaction."""
    size = 0
    found: list[tuple[int, SequenceSummary]] = []
    for workspace_id, root_id, total, mirrored, failed, held, first in db.execute(_SEQUENCES):
        frames = FrameCounts(total, mirrored, failed, total - mirrored - failed)
        found.append((first, SequenceSummary(workspace_id, root_id, frames)))
        size += held
    sequences = [summary for _, summary in sorted(found, key=lambda pair: pair[0])]
    return LedgerSummary(
        FrameCounts(
            sum(each.frames.total for each in sequences),
            sum(each.frames.mirrored for each in sequences),
            sum(each.frames.failed for each in sequences),
            sum(each.frames.pending for each in sequences),
        ),
        size,
        sequences,
        dict(db.execute(_FAILURES).fetchall()),
        exports_of(db),
    )


def exports_of(db: sqlite3.Connection) -> list[IngestedExport]:
    """Every ingested export, in the order they came."""
    rows = db.execute(
        "SELECT path, sha256, size, sequences, frames, ingested_at FROM exports ORDER BY id"
    )
    return [IngestedExport(*row) for row in rows]


def last_run(root: Path) -> LastRun | None:
    """What the report of the last run says; None where there is none that can be read."""
    with suppress(OSError, ValueError, KeyError, TypeError, RecursionError):
        file = os.open(root / STATE / REPORT, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        with os.fdopen(file, "rb") as lines:  # a pipe or a device that was put there ends nothing
            report = json.loads(lines.read(_LONGEST_REPORT))
            seen = os.fstat(file).st_mtime
        ended = datetime.fromtimestamp(seen, UTC).isoformat(timespec="seconds")
        return LastRun(str(report["outcome"]), int(report["exit_code"]), ended)
    return None
