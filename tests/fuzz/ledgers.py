"""Damaged ledgers. An input is a damage to a sound one: bytes overwritten here and there, or a cut.

What is on the disk is what a run left behind, or what one left that was killed, with its WAL; but
for the damage.
"""

from __future__ import annotations

import atexit
import hashlib
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from mirror.errors import LedgerError
from mirror.export import SequenceFrames
from mirror.store import (
    Destination,
    ExportRecord,
    Failure,
    Layout,
    Ledger,
    LedgerReader,
    Written,
)

FRAMES = 40
GROUP = SequenceFrames("w1", "r1", tuple(f"frame-{n}" for n in range(FRAMES)), 0)
RECORD = ExportRecord("batch.json", "ab" * 32, 100, 1)


def ledger(data: bytes) -> None:
    """It is read, or damage is told; a run then uses it, or sets it aside and makes it anew.

    Byte 0 says what is damaged, and how: see `CASES`.
    """
    site = _site()
    state = site.root / ".mirror"
    for old in list(state.glob("ledger.*")):
        old.unlink()
    damaged_wal, damage = CASES[data[0] % len(CASES)] if data else CASES[0]
    if damaged_wal:
        (state / "ledger.sqlite3").write_bytes(site.killed)
        (state / "ledger.sqlite3-wal").write_bytes(damage(site.wal, data[1:]))
    else:
        (state / "ledger.sqlite3").write_bytes(damage(site.sound, data[1:]))
    _read(site.root)
    _use(site.root)


def _patched(sound: bytes, data: bytes) -> bytes:
    """Each patch is offset (2), length (1), bytes."""
    content, at = bytearray(sound), 0
    while at + 3 < len(data):
        offset, length = int.from_bytes(data[at : at + 2], "big"), data[at + 2]
        patch = data[at + 3 : at + 3 + length]
        offset %= len(sound) - len(patch)
        content[offset : offset + len(patch)] = patch
        at += 3 + length
    return bytes(content)


def _cut(sound: bytes, data: bytes) -> bytes:
    return sound[: int.from_bytes(data[:2], "big") % (len(sound) + 1)]


def _replaced(_: bytes, data: bytes) -> bytes:
    return data


CASES: tuple[tuple[bool, Callable[[bytes, bytes], bytes]], ...] = (
    (False, _patched),
    (False, _cut),
    (False, _replaced),
    (True, _patched),
    (True, _cut),
    (True, _replaced),
)
"""Whether the WAL is damaged, and how."""


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
            lambda: _few(reader.mirrored()),
            lambda: _few(reader.failures()),
        )
        for ask in asked:
            with suppress(LedgerError):
                ask()


def _few(rows: Iterator[object]) -> None:
    """All of them; a damaged ledger has more than were written, but not for ever."""
    for number, _ in enumerate(rows):
        assert number < 10_000, "it goes round"


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


class _Site(NamedTuple):
    """`sound`: a closed ledger; `killed`, `wal`: one that was open when its run was killed."""

    root: Path
    sound: bytes
    killed: bytes
    wal: bytes


@lru_cache(maxsize=1)
def _site() -> _Site:
    shared = Path("/dev/shm")
    root = Path(tempfile.mkdtemp(prefix="fuzz-", dir=shared if shared.is_dir() else None))
    atexit.register(shutil.rmtree, root, ignore_errors=True)
    path = root / ".mirror/ledger.sqlite3"
    with Destination.open(root, Layout()) as destination, Ledger.open(destination) as one:
        one.ingest(RECORD, [GROUP])
        one.ask_exports([RECORD.sha256], None)
        frames = one.pending(0, FRAMES)
        written = [
            Written(frame, None, 100, hashlib.sha256(b"x").digest(), 4, 4) for frame in frames[:-2]
        ]
        one.record(written, [Failure(frames[-1], "not_found", "The API says 404.", 1)])
        killed, wal = path.read_bytes(), path.with_name("ledger.sqlite3-wal").read_bytes()
    return _Site(root, path.read_bytes(), killed, wal)
