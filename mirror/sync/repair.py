"""Verifying a destination, and fetching again what is damaged.

A damaged file is set aside before its frame is asked for, so that it is neither adopted nor lost.
Whatever ends a repair, what it had found damaged is fetched by the next run.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from mirror.errors import InterruptedRunError, LedgerError
from mirror.events import Event, Events, FileSetAside, PurgeUnfinished, Verifying
from mirror.settings import Settings
from mirror.store import (
    Check,
    Damaged,
    Destination,
    Layout,
    Ledger,
    LedgerReader,
    Piece,
    put_aside,
    recorded_at,
    refuse_unmerged,
    verify,
    write_checksums,
)
from mirror.sync.held import HeldRun
from mirror.sync.processes import fold_shards
from mirror.sync.report import ExportEntry, RunReport
from mirror.sync.saving import Disk
from mirror.sync.stop import Stop

_TOLD_EVERY = 0.1
Found = Callable[[Damaged], None]
"""Told of each damaged frame, in the order of the ledger."""


@dataclass(slots=True)
class Verified:
    """How far a verification is. `size`: bytes of the whole frames; `unrecorded`: frames of the
    ledger that are pending or failed, so that there is nothing to verify."""

    recorded: int = 0
    unrecorded: int = 0
    frames: int = 0
    damaged: int = 0
    repairable: int = 0
    size: int = 0

    def add(self, piece: Piece) -> None:
        """Count a piece."""
        self.frames += piece.frames
        self.size += piece.size
        self.damaged += len(piece.damaged)
        self.repairable += sum(each.damage.repairable for each in piece.damaged)


def verify_destination(root: Path, check: Check, events: Events, found: Found) -> Verified:
    """Hold every recorded frame at `root` against its record. Reads only; a run may be going on.

    Raises `DestinationError`, also where shards have ledgers of their own.
    """
    refuse_unmerged(root)
    with LedgerReader.open(root) as reader:
        verified, layout = _expected(reader), Layout(reader.template())
    tell = _Teller(events.emit)
    for piece in verify(recorded_at(root), root, layout, check):
        verified.add(piece)
        for damaged in piece.damaged:
            found(damaged)
        tell(verified)
    return verified


async def repair_destination(
    root: Path, check: Check, settings: Settings, watching: tuple[Events, Found], stop: Stop
) -> tuple[Verified, RunReport]:
    """The same while holding the destination, and then fetch what is damaged again.

    Raises `MirrorError` for what is found before the destination is held; what ends the run later
    is in the report's `error` and `exit_code`.
    """
    settings.credentials()
    with LedgerReader.open(root) as reader:
        verified, template = _expected(reader), reader.template()
    layout = Layout(template, settings.file_mode, settings.dir_mode)
    with Destination.open(root, layout) as destination:
        repair = _Repair(destination, check, verified, watching, stop)
        run = HeldRun(repair.plan, settings, watching[0], stop, destination)
        return verified, await run.go(str(root))


def write_checksums_at(root: Path, settings: Settings) -> None:
    """Write `DEST/.mirror/SHA256SUMS` from the records, outside a run.

    Raises `DestinationError`, and `DestinationBusyError` while a run holds the destination.
    """
    refuse_unmerged(root)
    with LedgerReader.open(root) as reader:
        layout = Layout(reader.template(), settings.file_mode, settings.dir_mode)
    with Destination.open(root, layout) as destination, LedgerReader.open(root) as reader:
        write_checksums(destination, reader.mirrored())


class _Repair:
    """The plan of a run that asks for what is damaged."""

    def __init__(
        self,
        destination: Destination,
        check: Check,
        verified: Verified,
        watching: tuple[Events, Found],
        stop: Stop,
    ) -> None:
        self._destination = destination
        self._check = check
        self._verified = verified
        self._events, self._found = watching
        self._stop = stop
        self._loop = asyncio.get_running_loop()

    async def plan(self, disk: Disk) -> list[ExportEntry]:
        """Verify on the committing thread, and ask for what is damaged."""
        if disk.ledger.recovered is not None:
            raise LedgerError(
                f"{disk.ledger.recovered} Run `mirror sync` with the exports first, then repair."
            )
        await fold_shards(disk, self._events)
        if await disk.commit(disk.ledger.keep_unpurged):  # before anything is forgotten
            self._events.emit(PurgeUnfinished())
        await disk.commit(self._verify, disk.ledger)
        await disk.commit(disk.ledger.keep_unpurged)
        return []

    def _verify(self, ledger: Ledger) -> None:
        destination, tell = self._destination, _Teller(self._emit)
        ledger.ask_lost()
        for piece in verify(ledger.mirrored(), destination.root, destination.layout, self._check):
            if self._stop.requested:
                raise InterruptedRunError(
                    f"Interrupted by {self._stop.cause} while verifying; run it again."
                )
            self._verified.add(piece)
            self._ask_again(ledger, [each for each in piece.damaged if each.damage.repairable])
            for damaged in piece.damaged:
                self._found(damaged)
            tell(self._verified)

    def _ask_again(self, ledger: Ledger, damaged: list[Damaged]) -> None:
        for each in damaged:
            kept_at = put_aside(self._destination, each)
            if kept_at is not None:
                self._emit(FileSetAside(each.frame.ref, kept_at))
        ledger.forget(each.frame.row for each in damaged)
        ledger.ask_rows(each.frame.row for each in damaged)

    def _emit(self, event: Event) -> None:
        self._loop.call_soon_threadsafe(self._events.emit, event)


class _Teller:
    """Says how far it is, now and then."""

    def __init__(self, emit: Callable[[Event], None]) -> None:
        self._emit = emit
        self._last = 0.0

    def __call__(self, verified: Verified) -> None:
        now = time.monotonic()
        if now - self._last >= _TOLD_EVERY:
            self._last = now
            self._emit(
                Verifying(verified.frames, verified.recorded, verified.size, verified.damaged)
            )


def _expected(reader: LedgerReader) -> Verified:
    frames = reader.summary().frames
    return Verified(recorded=frames.mirrored, unrecorded=frames.pending + frames.failed)
