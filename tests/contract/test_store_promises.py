"""What the store promises to the pipeline, by its public interface, on two kinds of file system
and for every kind of layout."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from mirror.export import SequenceFrames
from mirror.store import (
    Body,
    Committer,
    Destination,
    ExportRecord,
    Failure,
    FrameCounts,
    FrameWriter,
    Layout,
    Ledger,
    PendingFrame,
    Written,
)

SHA = "ab" * 32
GROUPS = [
    SequenceFrames("w1", "r1", ("a", "b", "c"), 0),
    SequenceFrames("w1", "r2", ("a", "d"), 0),
]
TEMPLATES = (
    "{root_id}/{frame_id}.png",
    "{workspace_id}/{root_id}/{frame_id}.png",
    "{root_id}_{frame_id}.png",
    "{frame_id}/{root_id}",
)


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(frame: PendingFrame) -> bytes:
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", 3, 2, 8, 0, 0, 0, 0))
    image = zlib.compress(bytes([0, frame.row, 1, 2]) * 2)
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", image) + chunk(b"IEND", b"")


@pytest.fixture(params=["disk", "memory"])
def root(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    if request.param == "disk":
        yield tmp_path / "dest"
        return
    shared = Path("/dev/shm")
    if not shared.is_dir():
        pytest.skip("no file system in memory at /dev/shm")
    with TemporaryDirectory(dir=shared) as folder:
        yield Path(folder) / "dest"


@pytest.fixture(params=TEMPLATES)
def layout(request: pytest.FixtureRequest) -> Layout:
    return Layout(request.param)


class Run:
    """One run on a destination."""

    def __init__(self, destination: Destination, ledger: Ledger) -> None:
        self.ledger = ledger
        self.writer = FrameWriter(destination, 10_000)
        self.committer = Committer(destination, ledger)
        ledger.ingest(ExportRecord("e.json", SHA, 1, 2), GROUPS)
        ledger.ask_exports([SHA], None)
        self.frames = ledger.pending(0, 100)

    def write(self, frames: list[PendingFrame]) -> list[Written]:
        results = self.writer.write([Body(f, [png(f)], len(png(f))) for f in frames])
        return [result for result in results if isinstance(result, Written)]


@contextmanager
def run(root: Path, layout: Layout) -> Iterator[Run]:
    with Destination.open(root, layout) as destination, Ledger.open(destination) as ledger:
        yield Run(destination, ledger)


def final_files(root: Path) -> dict[str, bytes]:
    found = (path for path in root.rglob("*") if path.is_file())
    relative = {str(path.relative_to(root)): path for path in found}
    return {
        name: path.read_bytes() for name, path in relative.items() if not name.startswith(".mirror")
    }


def test_a_committed_frame_is_at_its_place_recorded_and_stays(root: Path, layout: Layout) -> None:
    with run(root, layout) as one:
        frames = one.frames
        result = one.committer.commit(one.write(frames), [])
        assert [item.frame for item in result.committed] == frames
        assert all(item.sha256 == sha256(png(item.frame)).digest() for item in result.committed)
    assert final_files(root) == {layout.relative(f.ref): png(f) for f in frames}
    with run(root, layout) as one:
        assert one.ledger.counts() == FrameCounts(5, 5, 0, 0)
        assert one.frames == []
        assert list(one.ledger.missing()) == []


def test_what_is_not_committed_is_nowhere(root: Path, layout: Layout) -> None:
    with run(root, layout) as one:
        one.write(one.frames)
        assert final_files(root) == {}
    with run(root, layout) as one:
        assert list((root / ".mirror/tmp").iterdir()) == []
        assert one.ledger.counts().pending == 5


def test_committing_the_same_frame_again_changes_nothing(root: Path, layout: Layout) -> None:
    with run(root, layout) as one:
        one.committer.commit(one.write(one.frames), [])
        before = final_files(root)
        again = one.committer.commit(one.write(one.frames), [])
        assert len(again.committed) == 5
        assert again.set_aside == []
        assert final_files(root) == before
        assert one.ledger.counts().mirrored == 5


def test_every_frame_of_a_group_is_accounted_for_once(root: Path, layout: Layout) -> None:
    with run(root, layout) as one:
        written, failed = one.write(one.frames[:4]), one.frames[4]
        lost = written[1].name
        assert lost is not None
        (root / ".mirror/tmp" / lost).unlink()
        result = one.committer.commit(written, [Failure(failed, "not_found", "404", 1)])
        rows = [item.frame.row for item in (*result.committed, *result.refused, *result.lost)]
        assert sorted(rows) == [frame.row for frame in one.frames[:4]]
        assert one.ledger.counts() == FrameCounts(5, 3, 1, 1)


def test_files_without_a_record_are_adopted_and_others_kept(root: Path, layout: Layout) -> None:
    with run(root, layout) as one:
        frames = one.frames
        for frame, content in ((frames[0], png(frames[0])), (frames[1], b"mine")):
            path = root / layout.relative(frame.ref)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        adopted = one.writer.adopt(frames)
        assert [item.frame for item in adopted.written] == frames[:1]
        assert adopted.absent == frames[1:]
        ((frame, kept_at),) = adopted.set_aside
        assert frame == frames[1]
        assert (root / kept_at).read_bytes() == b"mine"
        one.committer.commit(adopted.written, [])
        one.committer.commit(one.write(adopted.absent), [])
        assert one.ledger.counts().mirrored == 5
    assert set(final_files(root).values()) == {png(frame) for frame in frames}


def test_a_frame_that_is_gone_is_asked_for_again(root: Path, layout: Layout) -> None:
    with run(root, layout) as one:
        frames = one.frames
        one.committer.commit(one.write(frames), [])
        (root / layout.relative(frames[2].ref)).unlink()
        assert [row for row, _ in one.ledger.missing()] == [frames[2].row]
        one.ledger.forget([frames[2].row])
        assert [frame.ref for frame in one.ledger.pending(0, 9)] == [frames[2].ref]
