"""A run that holds its destination: plan, fetch, report.

The platform is asked only when a frame is missing. A run that ends with exit code 0 has read from
the ledger that every frame asked for is recorded, and the ledger is still at its place.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

import msgspec

from mirror.errors import InterruptedRunError, MirrorError, RunError
from mirror.events import Events, LedgerRebuilt, RunFinished, RunStarted
from mirror.settings import Settings
from mirror.shards import Shard
from mirror.store import (
    REPORT,
    Committer,
    Destination,
    Failure,
    FrameCounts,
    FrameWriter,
    Ledger,
    has_checksums,
    write_checksums,
)
from mirror.sync.report import (
    MOST_FAILURES,
    ExportEntry,
    FrameTotals,
    Happened,
    RunReport,
    encode_report,
)
from mirror.sync.saving import Disk
from mirror.sync.stop import Stop

Plan = Callable[[Disk], Awaitable[list[ExportEntry]]]
"""Marks in the ledger what a run asks for."""


class HeldRun:
    """A run that holds its destination. Used once."""

    def __init__(
        self,
        plan: Plan,
        settings: Settings,
        events: Events,
        stop: Stop,
        destination: Destination,
    ) -> None:
        self._plan = plan
        self._settings = settings
        self._events = events
        self._stop = stop
        self._destination = destination
        self._happened = Happened()
        self._entries: list[ExportEntry] = []
        self._totals = FrameTotals()
        self._failures: list[Failure] = []

    async def go(self, named: str, shard: Shard | None = None) -> RunReport:
        """Plan, fetch, report; `named` is what the report calls the destination, where it is kept,
        too, and `shard` what it says that it was all about."""
        self._events.subscribe(self._happened)
        started = time.monotonic()
        error: MirrorError | None = None
        try:
            with await asyncio.to_thread(Ledger.open, self._destination) as ledger:
                if ledger.recovered:
                    self._events.emit(LedgerRebuilt(ledger.recovered))
                await self._mirror(ledger)
        except RunError as ended:
            error = ended
        report = self._report(named, shard, started, error)
        try:
            self._destination.write_state(REPORT, [encode_report(report)])
        except RunError as unwritten:
            report = self._report(named, shard, started, error or unwritten)
        self._events.emit(RunFinished(report.outcome, report.exit_code))
        return report

    def _report(
        self, named: str, shard: Shard | None, started: float, error: MirrorError | None
    ) -> RunReport:
        report = self._happened.report(
            self._totals,
            self._failures,
            self._entries,
            named,
            time.monotonic() - started,
            error,
        )
        return report if shard is None else msgspec.structs.replace(report, shard=str(shard))

    async def _mirror(self, ledger: Ledger) -> None:
        committer = Committer(self._destination, ledger)
        writer = FrameWriter(self._destination, self._settings.max_frame_bytes)
        with Disk(writer, committer, ledger) as disk:
            self._entries = await self._plan(disk)
            counts = await disk.commit(ledger.counts)
            self._events.emit(RunStarted(counts.total, counts.mirrored))
            fetching = counts.mirrored < counts.total and not self._stop.requested
            try:
                if fetching:
                    await self._fetch(disk)
            finally:
                if fetching:
                    counts = await disk.commit(ledger.counts)
                self._totals = self._count(counts)
                self._failures = await disk.commit(ledger.failures, MOST_FAILURES)
            await disk.commit(ledger.check_place)
            await disk.commit(self._keep_checksums, ledger)
            if not self._stop.requested:
                await disk.commit(ledger.seal)
        if self._stop.requested and self._totals.failed + self._totals.pending:
            raise InterruptedRunError(
                f"Interrupted by {self._stop.cause}: {self._totals.pending} frames are pending."
                " Running the same command again resumes."
            )

    def _keep_checksums(self, ledger: Ledger) -> None:
        # once written, the file is kept true; a run that was killed may have left it behind
        if self._settings.write_checksums or has_checksums(self._destination):
            write_checksums(self._destination, ledger.mirrored())

    async def _fetch(self, disk: Disk) -> None:
        # what speaks HTTP takes as long to load as many a run that has nothing to fetch
        from mirror.sync import fetch_all  # noqa: PLC0415 - see above

        settings, events, stop = self._settings, self._events, self._stop
        await fetch_all.fetch_all(settings, events, stop, self._destination, disk)

    def _count(self, counts: FrameCounts) -> FrameTotals:
        return FrameTotals(
            total=counts.total,
            mirrored=self._happened.mirrored,
            already_mirrored=counts.mirrored - self._happened.mirrored,
            failed=counts.failed,
            pending=counts.pending,
        )
