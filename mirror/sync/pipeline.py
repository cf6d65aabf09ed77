"""Workers between a feeder and a saver: every frame of the plan to its end.

What becomes of an attempt is settled here, by what `retry.py` and `outage.py` decide. Shutdown has
stages: intake stops; what is in flight may finish within the grace period; then it is cancelled;
what has arrived is committed in every case.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from mirror.errors import FrameError
from mirror.events import Events, FileSetAside, FrameFailed, RetryScheduled, Stopping
from mirror.savant import Remote
from mirror.settings import Settings
from mirror.store import Destination, Failure, Refused, Written
from mirror.sync.budget import ByteBudget
from mirror.sync.delays import DelayQueue
from mirror.sync.feeding import PAGE, Feeder, Fresh, Page
from mirror.sync.fetching import Fetcher
from mirror.sync.hosts import Host, PostponedError
from mirror.sync.retry import RetryBudget, RetryDecision, RetryPolicy, Work
from mirror.sync.saving import Disk, Saver
from mirror.sync.stop import Stop
from mirror.sync.tasks import together

RETRY_CAPACITY = 128
"""Retries that may be out before any frame arrived, however many requests are in flight."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a pipeline works with; all of it outlives the pipeline."""

    settings: Settings
    events: Events
    stop: Stop
    remote: Remote
    destination: Destination
    disk: Disk


class Pipeline:
    """Fetches every frame that was asked for and is not mirrored. Used once."""

    def __init__(self, around: Surroundings) -> None:
        settings, events = around.settings, around.events
        self._around = around
        self._clock = clock = asyncio.get_running_loop().time
        self._works: dict[int, Work] = {}
        self._wake = asyncio.Event()
        self._turn = asyncio.Lock()
        self._delays = DelayQueue()
        self._policy = RetryPolicy(settings)
        self._budget = RetryBudget(RETRY_CAPACITY, settings.outage_patience, clock())
        self._hosts = (
            Host("resolve", settings, events, clock),
            Host("download", settings, events, clock),
        )
        memory = ByteBudget(settings.body_memory)
        self._saver = Saver(around.disk, memory, settings, events, self)
        self._fetcher = Fetcher(
            around.remote, self._hosts, around.destination, memory, self._saver, settings
        )
        self._fresh = Fresh(self._load_page, self._wake.set)
        self._feeder = Feeder(
            self._fresh, self._delays, self._budget, self._hosts, self._wake, around.stop
        )

    def __repr__(self) -> str:
        return f"<Pipeline {len(self._works)} frames under way, {self._saver!r}, {self._hosts!r}>"

    async def run(self) -> None:
        """Until every frame is recorded, or the run is stopped. Raises `RunError`."""
        saving = asyncio.ensure_future(self._saver.run())
        fetching = asyncio.ensure_future(self._fetch_all())
        try:
            # when the disk fails, nothing that is fetched from then on could be kept
            await asyncio.wait({saving, fetching}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            if not fetching.done():
                fetching.cancel()
                await asyncio.wait({fetching})
            self._saver.close()
            await asyncio.wait({saving})
        saving.result()
        fetching.result()

    # --- intake and workers -----------------------------------------------------------------

    async def _fetch_all(self) -> None:
        try:
            async with together() as tasks:
                workers = {
                    tasks.create_task(self._work())
                    for _ in range(self._around.settings.concurrency)
                }
                watching = tasks.create_task(self._drain_when_asked(workers))
                await asyncio.wait(workers)
                watching.cancel()
        finally:
            self._fresh.close()

    async def _work(self) -> None:
        while work := await self._next():
            try:
                await self._fetcher.fetch(work)
            except PostponedError:
                self._delays.put(work, self._clock())
            except FrameError as error:
                self._settle(work, error)
            self._wake.set()

    async def _next(self) -> Work | None:
        async with self._turn:
            await self._saver.wait_for_room()
            work = await self._feeder.next(self._idle)
            if work is not None:
                self._works[work.frame.row] = work
            return work

    def _idle(self) -> bool:
        """Whether nothing is under way. What only waits for its commit is committed at once."""
        if self._works and self._saver.holding >= len(self._works):
            self._saver.flush()
        return not self._works

    async def _drain_when_asked(self, workers: set[asyncio.Task[None]]) -> None:
        stop, grace = self._around.stop, self._around.settings.grace_period
        await stop.wait()
        self._around.events.emit(Stopping(stop.cause, grace))
        self._wake.set()
        try:
            async with asyncio.timeout(grace):
                await stop.wait_abort()
        except TimeoutError:
            pass  # the grace period is over: as if asked a second time
        for worker in workers:
            worker.cancel()

    async def _load_page(self, after: int) -> Page:
        disk = self._around.disk
        page = await disk.commit(disk.ledger.pending, after, PAGE)
        if not page:
            return [], None
        found = await disk.write(disk.writer.adopt, page)
        for written in found.written:
            self._works[written.frame.row] = Work(written.frame)
        for frame, kept_at in found.set_aside:
            self._around.events.emit(FileSetAside(frame.ref, kept_at))
        if found.written:
            self._saver.adopt(found.written)
        return found.absent, page[-1].row

    # --- what becomes of an attempt -----------------------------------------------------------

    def recorded(self, written: Written) -> None:
        """A frame is durable and in the ledger."""
        work = self._works.pop(written.frame.row)
        self._budget.succeed(work.borrowed, self._clock())
        self._wake.set()

    def refused(self, refused: Refused) -> None:
        """A body was no whole PNG, or the disk did not keep it."""
        if refused.error.overload:  # descriptors are short: connections hold most of them
            self._hosts[1].gate.lower()
        self._settle(self._works[refused.frame.row], refused.error)
        self._wake.set()

    def failure_recorded(self, failure: Failure) -> None:
        """The ledger says that a frame failed."""
        del self._works[failure.frame.row]
        self._around.events.emit(
            FrameFailed(failure.frame.ref, failure.reason, failure.detail, failure.attempts)
        )
        self._wake.set()

    def _settle(self, work: Work, error: FrameError) -> None:
        decision = self._decide(work, error)
        if decision is None:
            attempts = work.frame.attempts + work.attempts
            self._saver.fail(Failure(work.frame, error.reason, error.detail, attempts))
            return
        work.retry = not error.mints_again
        self._delays.put(work, self._clock() + decision.delay)
        self._around.events.emit(
            RetryScheduled(
                work.frame.ref,
                work.hop,
                error.reason,
                error.detail,
                work.attempts,
                decision.delay,
            )
        )

    def _decide(self, work: Work, error: FrameError) -> RetryDecision | None:
        host = next((host for host in self._hosts if host.hop == work.hop), None)
        if host is None or not error.blames_host:
            work.charge(error)
            return self._policy.decide(error, work)
        if host.breaker.open:  # the host is down; that is not the frame's fault
            return self._policy.wait(error, work.attempts)
        work.charge(error)
        decision = self._policy.decide(error, work)
        if decision is None and self._blames_host(work, error, host):
            host.trip(error)
            return self._policy.wait(error, work.attempts)
        return decision

    @staticmethod
    def _blames_host(work: Work, error: FrameError, host: Host) -> bool:
        """Whether a frame whose attempts are used up says more about the host than about itself:
        nobody else got a useful answer since, and no former run found the frame to fail."""
        others = host.breaker.answered_at >= work.since
        return error.host_fault and not others and not work.frame.attempts
