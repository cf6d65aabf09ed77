"""A destination with a ledger, and PNGs to put into it."""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from mirror.export import SequenceFrames
from mirror.frames import FrameRef
from mirror.store import (
    Body,
    Committer,
    Destination,
    ExportRecord,
    FrameWriter,
    Layout,
    Ledger,
    PendingFrame,
    Written,
    renaming,
)

MOST = 1024 * 1024
SHA = "ab" * 32


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(shade: int = 0, side: int = 4) -> bytes:
    """A grey PNG; `shade` makes it differ from others."""
    rows = zlib.compress(bytes([0, *[shade % 256] * side]) * side)
    header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    text = chunk(b"tEXt", b"n\0%d" % shade)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + text
        + chunk(b"IDAT", rows)
        + chunk(b"IEND", b"")
    )


def group(*frame_ids: str, root: str = "r1", workspace: str = "w1") -> SequenceFrames:
    return SequenceFrames(workspace, root, frame_ids, 0)


def record(sha256: str = SHA, path: str = "batch.json") -> ExportRecord:
    return ExportRecord(path, sha256, 100, 1)


@dataclass
class Store:
    destination: Destination
    ledger: Ledger
    writer: FrameWriter
    committer: Committer

    @property
    def root(self) -> Path:
        return self.destination.root

    def ask(self, *groups: SequenceFrames, sha256: str = SHA) -> list[PendingFrame]:
        """Take in an export and ask for it; what is pending."""
        self.ledger.ingest(record(sha256), groups)
        self.ledger.ask_exports([sha256], None)
        return self.ledger.pending(0, 10_000)

    def write(self, frames: Sequence[PendingFrame]) -> list[Written]:
        """Frames as temporaries; each has its own bytes, by its row."""
        results = self.writer.write([body(frame) for frame in frames])
        written = [result for result in results if isinstance(result, Written)]
        assert len(written) == len(frames), results
        return written

    def temporaries(self) -> list[str]:
        return names(self.destination.state / "tmp")

    def path(self, ref: FrameRef) -> Path:
        return self.root / self.destination.layout.relative(ref)


def body(frame: PendingFrame) -> Body:
    data = png(frame.row)
    return Body(frame, [data[:10], data[10:]], len(data))


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def files(root: Path) -> set[str]:
    """The frames' files, relative to the destination."""
    found = (path.relative_to(root) for path in root.rglob("*") if not path.is_dir())
    return {str(path) for path in found if path.parts[0] != ".mirror"}


@contextmanager
def store(root: Path, layout: Layout | None = None) -> Iterator[Store]:
    with (
        Destination.open(root, layout or Layout()) as destination,
        Ledger.open(destination) as ledger,
    ):
        writer = FrameWriter(destination, MOST)
        yield Store(destination, ledger, writer, Committer(destination, ledger))


def ids(frames: Iterable[PendingFrame]) -> list[str]:
    return [frame.ref.frame_id for frame in frames]


def failing(number: int) -> Callable[..., int]:
    """Stands in for a call of `os` that fails with errno `number`."""

    def fail(*_: object, **__: object) -> int:
        raise OSError(number, os.strerror(number))

    return fail


def target_of(descriptor: int) -> str:
    """The path that an open descriptor stands for."""
    return str(Path(f"/proc/self/fd/{descriptor}").readlink())


def descriptors() -> int:
    """How many descriptors this process has open."""
    return len(list(Path("/proc/self/fd").iterdir()))


def look_before_renaming(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a file system that can't rename without replacing: then `os.rename` does it."""
    monkeypatch.setattr(renaming, "_renameat2", None)
