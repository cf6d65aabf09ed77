"""The long-running service: syncs every export that appears or changes in an inbox.

Invariants: one export at a time; an export is settled by a run that reached its end, or that would
end the same way again; nothing but a stop, a refusal of the credentials or a wrong configuration
ends the service, and each of those with its own exit code. What a run does is injected: nothing
here knows the pipeline.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import Enum, auto
from pathlib import Path
from typing import Protocol

from structlog.typing import FilteringBoundLogger

from mirror.errors import ConfigurationError, ExitCode
from mirror.service.health import Pulse
from mirror.service.inbox import Entry, Inbox, scan

FIRST_PAUSE = 15.0
LONGEST_PAUSE = 900.0
"""Seconds between runs when the platform or the destination is not available."""

SyncOne = Callable[[Path], Awaitable[int]]
"""Syncs one export; gives the run's exit code and raises nothing that a run foresees."""


class StopSignal(Protocol):
    """What is needed of `sync.Stop`."""

    @property
    def requested(self) -> bool:
        """Whether to end."""

    async def wait(self) -> None:
        """Until it is requested."""


class Verdict(Enum):
    """What a run's exit code means for the service."""

    SETTLED = auto()
    """Done with this export until it changes."""
    LATER = auto()
    """Nothing wrong with the export: pause, then try again."""
    LEAVE = auto()
    """No export can be synced until somebody steps in: end with the run's exit code."""


_VERDICTS: dict[int, Verdict] = {
    ExitCode.COMPLETE: Verdict.SETTLED,
    ExitCode.PARTIAL: Verdict.SETTLED,
    ExitCode.EXPORT: Verdict.SETTLED,
    ExitCode.INTERNAL: Verdict.SETTLED,  # it would fail again, and the others shall go on
    ExitCode.UNAVAILABLE: Verdict.LATER,
    ExitCode.DESTINATION: Verdict.LATER,
    ExitCode.INTERRUPTED: Verdict.LATER,
}
_OUTCOMES: dict[int, str] = {
    ExitCode.COMPLETE: "complete",
    ExitCode.PARTIAL: "partial",
    ExitCode.INTERRUPTED: "interrupted",
}


def judge(exit_code: int) -> Verdict:
    """What follows from a run's exit code; an unknown one ends the service."""
    return _VERDICTS.get(exit_code, Verdict.LEAVE)


def outcome(exit_code: int) -> str:
    """The outcome of a run, as in its report."""
    return _OUTCOMES.get(exit_code, "failed")


def pause_after(setbacks: int) -> float:
    """Seconds to wait after so many runs in a row came to nothing."""
    doublings = min(setbacks - 1, 16)
    return min(FIRST_PAUSE * 2.0**doublings, LONGEST_PAUSE)


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the service needs of the world. `count_export` is told each run's outcome."""

    sync_one: SyncOne
    stop: StopSignal
    pulse: Pulse
    count_export: Callable[[str], None]
    logger: FilteringBoundLogger
    clock: Callable[[], float] = time.monotonic


async def watch(inbox: Path, rescan_seconds: float, around: Surroundings) -> ExitCode:
    """Sync what is in `inbox` and what comes, until a stop: then 0 once the last run has drained.

    Gives the exit code of the run that ended the service otherwise. `ConfigurationError` where the
    inbox can't be listed at the start.
    """
    try:
        await asyncio.to_thread(scan, inbox)
    except OSError as error:
        raise ConfigurationError(
            f"The inbox {str(inbox)!r} can't be listed: {str(error.strerror).lower()}."
            " Make the folder, or name another one."
        ) from None
    return await _Watcher(inbox, rescan_seconds, around).run()


class _Watcher:
    def __init__(self, folder: Path, rescan_seconds: float, around: Surroundings) -> None:
        self._folder = folder
        self._rescan_seconds = rescan_seconds
        self._around = around
        self._inbox = Inbox()
        self._setbacks = 0
        self._not_before = around.clock()
        self._unreadable = False

    async def run(self) -> ExitCode:
        around = self._around
        around.logger.info("Watching the inbox.", inbox=str(self._folder))
        around.pulse.start()
        leaving = asyncio.create_task(self._drain_on_stop())
        try:
            while not around.stop.requested:
                around.pulse.beat()
                ended = await self._work()
                if ended is not None:
                    return ended
                await self._rest()
        finally:
            leaving.cancel()
        around.logger.info("Stopped.")
        return ExitCode.COMPLETE

    async def _drain_on_stop(self) -> None:
        await self._around.stop.wait()
        self._around.pulse.drain()

    async def _rest(self) -> None:
        try:
            async with asyncio.timeout(self._rescan_seconds):
                await self._around.stop.wait()
        except TimeoutError:
            pass

    async def _work(self) -> ExitCode | None:
        """One scan, and a run for each export that is ready; the exit code that ends it all."""
        for entry in self._inbox.look(await self._scan()):
            if self._around.stop.requested or self._around.clock() < self._not_before:
                break
            exit_code = await self._sync(entry)
            if self._around.stop.requested:
                break
            verdict = judge(exit_code)
            if verdict is Verdict.LEAVE:
                self._around.logger.error("The service ends: see above.", exit_code=exit_code)
                return ExitCode(exit_code)
            self._note(entry, verdict)
        return None

    async def _scan(self) -> list[Entry]:
        try:
            entries = await asyncio.to_thread(scan, self._folder)
        except OSError as error:
            if not self._unreadable:
                self._around.logger.warning(
                    "The inbox can't be listed; trying again.", reason=error.strerror
                )
            self._unreadable = True
            return []
        self._unreadable = False
        return entries

    async def _sync(self, entry: Entry) -> int:
        around = self._around
        around.logger.info("Syncing an export.", export=entry.name)
        exit_code = await around.sync_one(self._folder / entry.name)
        around.pulse.beat()
        around.count_export(outcome(exit_code))
        tell = around.logger.info if exit_code == ExitCode.COMPLETE else around.logger.warning
        tell("The run ended.", export=entry.name, outcome=outcome(exit_code), exit_code=exit_code)
        return exit_code

    def _note(self, entry: Entry, verdict: Verdict) -> None:
        if verdict is Verdict.SETTLED:
            self._inbox.settle(entry)
            self._setbacks = 0
            return
        self._inbox.set_back(entry)
        self._setbacks += 1
        pause = pause_after(self._setbacks)
        self._not_before = self._around.clock() + pause
        self._around.logger.warning(
            f"Trying again in {pause:.0f} s.", export=entry.name, setbacks=self._setbacks
        )
