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
    Layout,
    Ledger,
    PendingFrame,
    Refused,
    Written,
)
from mirror.sync.groups import CommitGroup, GroupBounds

WRITERS = 2
BATCH = 16
PAGE = 1024
CHUNK = 256 * 1024
"""A body comes in pieces of about this size."""


def main(pool: str, export: str, dest: str) -> None:
    """Write every frame of the export."""
    bodies = {path.stem: _chunks(path) for path in Path(pool).glob("*.png")}
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
    batches: Iterator[Sequence[Body]],
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


def _chunks(path: Path) -> list[bytes]:
    whole = path.read_bytes()
    return [whole[at : at + CHUNK] for at in range(0, len(whole), CHUNK)]


def _body(frame: PendingFrame, bodies: dict[str, list[bytes]]) -> Body:
    chunks = bodies[frame.ref.frame_id[-2:]]
    return Body(frame, chunks, sum(map(len, chunks)))


if __name__ == "__main__":
    main(*sys.argv[1:])
