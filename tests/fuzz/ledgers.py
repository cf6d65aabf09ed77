"""Damaged ledgers. An input is a damage to a sound one: bytes overwritten here and there, or a cut.

What is on the disk is what a run left behind, but for the damage; there is no WAL.
"""

from __future__ import annotations

import atexit
import hashlib
import shutil
import tempfile
from collections.abc import Callable
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

from mirror.errors import LedgerError
from mirror.export import SequenceFrames
from mirror.frames import FrameRef
from mirror.store import (
    Destination,
    ExportRecord,
    Failure,
    Layout,
    Ledger,
    LedgerReader,
    PendingFrame,
    Written,
)

FRAMES = 40
GROUP = SequenceFrames("w1", "r1", tuple(f"frame-{n}" for n in range(FRAMES)), 0)
RECORD = ExportRecord("batch.json", "ab" * 32, 100, 1)
MOST_KEPT = 200


def ledger(data: bytes) -> None:
    """It is read, or damage is told; a run then uses it, or sets it aside and makes it anew."""
    root, sound = _site()
    state = root / ".mirror"
    for old in (*state.glob("ledger.*"),):
        old.unlink()
    (state / "ledger.sqlite3").write_bytes(damage(sound, data))
    _read(root)
    _use(root)


def damage(sound: bytes, data: bytes) -> bytes:
    """Byte 0: 1 cuts the file at the next two; else each patch is offset (2), length (1), bytes."""
    if data[:1] == b"\x01":
        return sound[: int.from_bytes(data[1:3], "big") % (len(sound) + 1)]
    if data[:1] == b"\x02":
        return data[1:]
    content, at = bytearray(sound), 1
    while at + 3 < len(data):
        offset, length = int.from_bytes(data[at : at + 2], "big"), data[at + 2]
        patch = data[at + 3 : at + 3 + length]
        offset %= len(sound) - len(patch)
        content[offset : offset + len(patch)] = patch
        at += 3 + length
    return bytes(content)


def _read(root: Path) -> None:
    reader = LedgerReader.find(root)
    if reader is None:
        with suppress(LedgerError):
            LedgerReader.open(root)
            raise AssertionError("found damaged, and opened")
        return
    with reader:
        reader.known_exports()
        asked: tuple[Callable[[], object], ...] = (
            reader.summary,
            lambda: reader.states("w1", "r1"),
            lambda: reader.sizes("w1", "r1"),
            lambda: list(reader.mirrored()),
            lambda: list(reader.failures()),
        )
        for ask in asked:
            with suppress(LedgerError):
                ask()


def _use(root: Path) -> None:
    with Destination.open(root, Layout()) as destination, Ledger.open(destination) as one:
        one.ingest(RECORD, [GROUP])
        one.ask_exports([RECORD.sha256], None)
        one.forget([row for row, _ in one.missing()])
        pending = one.pending(0, FRAMES + 1)
        assert [frame.ref.frame_id for frame in pending] == list(GROUP.frame_ids)
        one.failures(FRAMES)
        one.record([], [Failure(frame, "timeout", "late", 2) for frame in pending])
        assert one.counts().failed == FRAMES


@lru_cache(maxsize=1)
def _site() -> tuple[Path, bytes]:
    shared = Path("/dev/shm")
    root = Path(tempfile.mkdtemp(prefix="fuzz-", dir=shared if shared.is_dir() else None))
    atexit.register(shutil.rmtree, root, ignore_errors=True)
    with Destination.open(root, Layout()) as destination, Ledger.open(destination) as one:
        one.ingest(RECORD, [GROUP])
        frames = [
            PendingFrame(n, FrameRef("w1", "r1", name), 0)
            for n, name in enumerate(GROUP.frame_ids, 1)
        ]
        one.record(
            [
                Written(frame, None, 100, hashlib.sha256(b"x").digest(), 4, 4)
                for frame in frames[:-2]
            ],
            [Failure(frames[-1], "not_found", "The API says 404.", 1)],
        )
    return root, (root / ".mirror/ledger.sqlite3").read_bytes()
