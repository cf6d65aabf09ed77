"""The floor: the same bytes checked, written and committed in the same groups, without a network.

The bodies are in memory already; two threads write, one commits, as in a run.

Usage: python -m benchmarks.peers.floor POOL EXPORT DEST
"""

from __future__ import annotations

import sys
import time
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from mmap import MAP_ANONYMOUS, MAP_PRIVATE, mmap
from pathlib import Path

from mirror.export import ExportFile, Selection, select_frames
from mirror.settings import Settings
from mirror.store import (
    Body,
    CommitResult,
    Committer,
    Destination,
    ExportRecord,
    FrameWriter,
    LargeBody,
    Layout,
    Ledger,
    PendingFrame,
    Refused,
    Written,
)
from mirror.sync.groups import CommitGroup, GroupBounds
from mirror.sync.saving import LARGE

WRITERS = 2
BATCH = 16
PAGE = 1024
CHUNK = 256 * 1024
"""A small body comes in pieces of at most this size."""

Kept = tuple[mmap | list[bytes], int]


def main(pool: str, export: str, dest: str) -> None:
    """Write every frame of the export."""
    bodies = {path.stem: _kept(path) for path in Path(pool).glob("*.png")}
    settings = Settings(username="u", password="p")
    with (
        Destination.open(Path(dest), Layout()) as destination,
        Ledger.open(destination) as ledger,
    ):
        _ask(ledger, Path(export))
        writer = FrameWriter(destination, settings.max_frame_bytes)
        committer = Committer(destination, ledger)
        with ThreadPoolExecutor(WRITERS) as writing, ThreadPoolExecutor(1) as committing:
            frames = committing.submit(_all_pending, ledger).result()
            batches = (
                [_body(frame, bodies) for frame in frames[at : at + BATCH]]
                for at in range(0, len(frames), BATCH)
            )
            _write(batches, writer, writing, _Commits(committer, committing, settings))


class _Commits:
    """Groups with the bounds of a run: one gathers while another is committed."""

    def __init__(
        self, committer: Committer, thread: ThreadPoolExecutor, settings: Settings
    ) -> None:
        self._committer = committer
        self._thread = thread
        self._bounds = GroupBounds.of(settings)
        self._group = CommitGroup()
        self._under_way: Future[CommitResult] | None = None

    def add(self, results: list[Written | Refused]) -> None:
        now = time.monotonic()
        self._group.add([item for item in results if isinstance(item, Written)], now)
        due = self._group.due_in(self._bounds, now)
        if due is not None and due <= 0:
            self.commit()

    def commit(self) -> None:
        self.wait()
        written, self._group = self._group.written, CommitGroup()
        self._under_way = self._thread.submit(self._committer.commit, written, [])

    def wait(self) -> None:
        if self._under_way is not None:
            self._under_way.result()


def _write(
    batches: Iterator[Sequence[Body | LargeBody]],
    writer: FrameWriter,
    threads: ThreadPoolExecutor,
    commits: _Commits,
) -> None:
    under_way: deque[Future[list[Written | Refused]]] = deque()
    for batch in batches:
        under_way.append(threads.submit(writer.write, batch))
        if len(under_way) > WRITERS:
            commits.add(under_way.popleft().result())
    for left in under_way:
        commits.add(left.result())
    commits.commit()
    commits.wait()


def _ask(ledger: Ledger, path: Path) -> None:
    with ExportFile.open(path) as export:
        record = ExportRecord(str(path), export.sha256, export.size, len(export.sequences))
        ledger.ingest(record, select_frames([export], Selection()))
        ledger.ask_exports([export.sha256], None)


def _all_pending(ledger: Ledger) -> list[PendingFrame]:
    found: list[PendingFrame] = []
    while page := ledger.pending(found[-1].row if found else 0, PAGE):
        found += page
    return found


def _kept(path: Path) -> Kept:
    """As a run has it: in a block, or in the pieces that came."""
    whole = path.read_bytes()
    if len(whole) < LARGE:
        return [whole[at : at + CHUNK] for at in range(0, len(whole), CHUNK)], len(whole)
    block = mmap(-1, len(whole), flags=MAP_PRIVATE | MAP_ANONYMOUS)
    block[:] = whole
    return block, len(whole)


def _body(frame: PendingFrame, bodies: dict[str, Kept]) -> Body | LargeBody:
    kept, size = bodies[frame.ref.frame_id[-2:]]
    return LargeBody(frame, kept, size) if isinstance(kept, mmap) else Body(frame, kept, size)


if __name__ == "__main__":
    main(*sys.argv[1:])
