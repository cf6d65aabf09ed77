"""From bodies to recorded frames: batches on a few threads, commit groups on one of their own.

Invariants: a batch is whatever has arrived, or a share of it where bodies are large; intake waits
while as many frames are here and not recorded as may be uncommitted; the ledger is touched on the
committing thread alone. What becomes of a frame that could not be kept is decided by the `settle`
callbacks, not here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Protocol, TypeVar

from mirror.errors import DestinationError
from mirror.events import Events, FileSetAside, GroupCommitted
from mirror.settings import Settings
from mirror.store import (
    AnyBody,
    CommitResult,
    Committer,
    Failure,
    FrameWriter,
    LargeBody,
    Ledger,
    Refused,
    Written,
)
from mirror.sync.budget import ByteBudget
from mirror.sync.groups import CommitGroup, GroupBounds
from mirror.sync.tasks import together

T = TypeVar("T")
WRITERS = 2
"""Threads that write batches."""
LARGE = 512 * 1024
"""Bytes of a body for which a second writing thread pays: below, the two and the event loop wait
for the interpreter's lock more than they work."""
LEAST_BATCH = 4
"""Frames for which another hop to a thread is worth it."""


class Settle(Protocol):
    """Told what became of each frame that was handed over."""

    def recorded(self, written: Written) -> None:
        """The frame is durable and in the ledger."""

    def refused(self, refused: Refused) -> None:
        """The body was no whole PNG, or the disk did not keep it."""

    def failure_recorded(self, failure: Failure) -> None:
        """The ledger says that the frame failed."""


class Disk:
    """The blocking side, on threads of its own. A context manager: leaving it waits for them."""

    def __init__(self, writer: FrameWriter, committer: Committer, ledger: Ledger) -> None:
        self.writer = writer
        self.ledger = ledger
        self.committer = committer
        self._writing = ThreadPoolExecutor(WRITERS, thread_name_prefix="mirror-write")
        self._committing = ThreadPoolExecutor(1, thread_name_prefix="mirror-commit")

    def __enter__(self) -> Disk:
        return self

    def __exit__(self, *_: object) -> None:
        self._writing.shutdown()
        self._committing.shutdown()

    async def write(self, call: Callable[..., T], *args: object) -> T:
        """`call` on a thread that writes batches."""
        return await asyncio.get_running_loop().run_in_executor(self._writing, call, *args)

    async def commit(self, call: Callable[..., T], *args: object) -> T:
        """`call` on the thread that commits and owns the ledger."""
        return await asyncio.get_running_loop().run_in_executor(self._committing, call, *args)


class Saver:
    """Takes bodies, adopted frames and failures; ends when closed and everything is recorded."""

    def __init__(
        self, disk: Disk, memory: ByteBudget, settings: Settings, events: Events, settle: Settle
    ) -> None:
        self._disk = disk
        self._memory = memory
        self._bounds = GroupBounds.of(settings)
        self._most_uncommitted = settings.commit_frames
        self._events = events
        self._settle = settle
        self._bodies: list[tuple[AnyBody, int]] = []
        self._group = CommitGroup()
        self._uncommitted = 0
        self._writing = 0
        self._arrived = asyncio.Event()
        self._grouped = asyncio.Event()
        self._room = asyncio.Event()
        self._flush = self._closed = self._all_written = False

    def __repr__(self) -> str:
        return f"<Saver {len(self._bodies)} bodies, {self._uncommitted} uncommitted>"

    @property
    def holding(self) -> int:
        """Frames that are here and not recorded yet."""
        return len(self._bodies) + self._uncommitted

    async def wait_for_room(self) -> None:
        """Until fewer frames are here than may be uncommitted: a kill costs no more than those."""
        while self.holding >= self._most_uncommitted:
            self._room.clear()
            await self._room.wait()

    def put(self, body: AnyBody, reserved: int) -> None:
        """Take a body; `reserved` bytes of memory are given back once it is on disk."""
        self._bodies.append((body, reserved))
        self._arrived.set()

    def adopt(self, written: list[Written]) -> None:
        """Take frames whose whole file is already there."""
        self._add(written)

    def fail(self, failure: Failure) -> None:
        """Take a frame that failed for good."""
        self._uncommitted += 1
        self._group.add_failure(failure, self._now())
        self._grouped.set()

    def flush(self) -> None:
        """Commit what is here once it is written, without waiting for more."""
        self._flush = True
        self._grouped.set()

    def close(self) -> None:
        """Nothing more will come; `run` ends when everything is recorded."""
        self._closed = True
        self._arrived.set()

    async def run(self) -> None:
        """All loops. Raises `DestinationError`; what is recorded then stays recorded."""
        try:
            async with together() as tasks:
                tasks.create_task(self._commit_groups())
                writers = [tasks.create_task(self._write_batches()) for _ in range(WRITERS)]
                await asyncio.wait(writers)
                self._all_written = True
                self._grouped.set()
        except DestinationError:
            # a disk that is full may still keep what it has taken already
            with suppress(DestinationError):
                await self._commit_group()
            raise

    async def _write_batches(self) -> None:
        while True:
            while self._worth_a_batch():
                await self._wait_for_place()
                if self._worth_a_batch():  # another writer may have taken them meanwhile
                    await self._write_batch()
            if self._closed:
                return
            self._arrived.clear()
            await self._arrived.wait()

    def _worth_a_batch(self) -> bool:
        """Whether something waits for a writer more than those that are at it."""
        return bool(self._bodies) and (not self._writing or self._bodies[0][0].size >= LARGE)

    async def _wait_for_place(self) -> None:
        while self._uncommitted >= self._most_uncommitted:
            self._room.clear()
            await self._room.wait()

    async def _write_batch(self) -> None:
        shared = WRITERS if self._bodies[0][0].size >= LARGE else 1
        share = max(LEAST_BATCH, len(self._bodies) // shared)
        count = min(share, self._most_uncommitted - self._uncommitted)
        batch, self._bodies = self._bodies[:count], self._bodies[count:]
        # counted before the hop, so that `holding` never misses a frame
        self._uncommitted += len(batch)
        self._writing += 1
        try:
            results = await self._disk.write(self._disk.writer.write, [body for body, _ in batch])
        finally:
            self._writing -= 1
        self._uncommitted -= len(batch)
        self._room.set()  # what was refused needs none, and may never see a commit
        self._memory.release(sum(reserved for _, reserved in batch))
        for body, _ in batch:
            if isinstance(body, LargeBody):
                self._memory.blocks.give(body.memory)
        self._add([item for item in results if isinstance(item, Written)])
        for item in results:
            if isinstance(item, Refused):
                self._settle.refused(item)

    def _add(self, written: list[Written]) -> None:
        self._uncommitted += len(written)
        self._group.add(written, self._now())
        self._grouped.set()

    async def _commit_groups(self) -> None:
        while True:
            await self._wait_until_due()
            if not len(self._group):
                if self._all_written:
                    return
                continue
            await self._commit_group()

    async def _commit_group(self) -> None:
        """Commit what has gathered. Once begun it is told to its end, also when cancelled."""
        committing = asyncio.ensure_future(self._commit_now())
        try:
            await asyncio.shield(committing)
        except asyncio.CancelledError:
            await asyncio.wait({committing})
            committing.exception()  # what stopped us is told already
            raise

    async def _commit_now(self) -> None:
        group, self._group = self._group, CommitGroup()
        started = self._now()
        result = await self._disk.commit(self._disk.committer.commit, group.written, group.failures)
        self._uncommitted -= len(group)
        self._room.set()
        self._report(result, group.failures, self._now() - started)

    async def _wait_until_due(self) -> None:
        while not (self._all_written or (self._flush and self._all_grouped())):
            wait = self._group.due_in(self._bounds, self._now())
            if wait is not None and wait <= 0:
                return
            self._grouped.clear()
            try:
                async with asyncio.timeout(wait):
                    await self._grouped.wait()
            except TimeoutError:
                return
        self._flush = False

    def _all_grouped(self) -> bool:
        """Whether all that is here is written, and only waits to be committed."""
        return 0 < len(self._group) == self.holding

    def _report(self, result: CommitResult, failures: list[Failure], seconds: float) -> None:
        fetched = [item for item in result.committed if item.name is not None]
        if result.committed:
            size = sum(item.size for item in fetched)
            adopted = len(result.committed) - len(fetched)
            self._events.emit(GroupCommitted(len(fetched), adopted, size, seconds))
        for frame, kept_at in result.set_aside:
            self._events.emit(FileSetAside(frame.ref, kept_at))
        for written in result.committed:
            self._settle.recorded(written)
        for failure in failures:
            self._settle.failure_recorded(failure)
        for refused in (*result.refused, *result.lost):
            self._settle.refused(refused)

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()
