"""What the log says of events: plain sentences, ids as values."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping
from typing import Any

from structlog.typing import FilteringBoundLogger

from mirror.events import (
    Event,
    FileSetAside,
    FrameFailed,
    GroupCommitted,
    HostPaused,
    HostResumed,
    LedgerRebuilt,
    Listener,
    LoggedIn,
    Preparing,
    ProcessDied,
    PurgeUnfinished,
    RetryScheduled,
    RunFinished,
    RunStarted,
    ShardsFolded,
    Stopping,
)
from mirror.observe import phrases

MOST_FAILURES = 100
"""Failed frames that are told one by one in a run."""


def log_listener(logger: FilteringBoundLogger, destination: str = "DEST") -> Listener:
    """A listener that tells of what happens. `destination` is for the advice to look there."""
    tell: Mapping[type[Any], Callable[[FilteringBoundLogger, Any], None]] = _TELLERS
    failed = 0

    def listen(event: Event) -> None:
        nonlocal failed
        if isinstance(event, RunStarted):
            failed = 0
        elif isinstance(event, FrameFailed):
            failed += 1
            if failed > MOST_FAILURES:
                if failed == MOST_FAILURES + 1:
                    _too_many_failed(logger, destination)
                return
        teller = tell.get(type(event))
        if teller is not None:
            teller(logger, event)

    return listen


def _host(hop: str) -> str:
    return phrases.HOSTS[hop]


def _preparing(logger: FilteringBoundLogger, event: Preparing) -> None:
    logger.debug("Preparing.", what=event.what)


def _run_started(logger: FilteringBoundLogger, event: RunStarted) -> None:
    logger.debug("The plan stands.", total=event.total, already_mirrored=event.already_mirrored)


def _logged_in(logger: FilteringBoundLogger, _: LoggedIn) -> None:
    logger.debug("Logged in.")


def _retry_scheduled(logger: FilteringBoundLogger, event: RetryScheduled) -> None:
    logger.debug(
        "A frame will be tried again.",
        frame=event.ref,
        hop=event.hop,
        reason=event.reason,
        detail=event.detail,
        attempt=event.attempt,
        seconds=round(event.delay, 1),
    )


def _host_paused(logger: FilteringBoundLogger, event: HostPaused) -> None:
    logger.warning(
        f"No useful answer from the {_host(event.hop)}; next try in"
        f" {phrases.duration(event.delay)}.",
        reason=event.reason,
        detail=event.detail,
    )


def _host_resumed(logger: FilteringBoundLogger, event: HostResumed) -> None:
    logger.info(f"The {_host(event.hop)} answers again.")


def _group_committed(logger: FilteringBoundLogger, event: GroupCommitted) -> None:
    logger.debug(
        "A commit group is durable.",
        mirrored=event.mirrored,
        adopted=event.adopted,
        bytes=event.size,
        seconds=round(event.seconds, 3),
    )


def _frame_failed(logger: FilteringBoundLogger, event: FrameFailed) -> None:
    logger.warning(
        "A frame failed.",
        frame=event.ref,
        reason=event.reason,
        detail=event.detail,
        attempts=event.attempts,
    )


def _too_many_failed(logger: FilteringBoundLogger, destination: str) -> None:
    logger.warning(
        "Further failed frames are counted only;"
        f" `mirror status {shlex.quote(destination)} --failures` lists them."
    )


def _file_set_aside(logger: FilteringBoundLogger, event: FileSetAside) -> None:
    logger.warning(
        "What stood at a frame's name was not that frame; it was set aside.",
        frame=event.ref,
        kept_at=event.kept_at,
    )


def _ledger_rebuilt(logger: FilteringBoundLogger, event: LedgerRebuilt) -> None:
    logger.warning(event.what)


def _shards_folded(logger: FilteringBoundLogger, event: ShardsFolded) -> None:
    logger.debug(
        "The ledgers of shards were folded in.",
        shards=event.shards,
        mirrored=event.mirrored,
        failed=event.failed,
    )
    if event.damaged:
        logger.warning(
            "Ledgers of shards were damaged; the frames they had recorded are checked and kept.",
            shards=event.damaged,
        )


def _process_died(logger: FilteringBoundLogger, event: ProcessDied) -> None:
    logger.warning(
        "A process of this run died"
        + ("; another one goes on with its frames." if event.again else "."),
        shard=event.shard,
        cause=event.cause,
    )


def _purge_unfinished(logger: FilteringBoundLogger, _: PurgeUnfinished) -> None:
    logger.warning(
        "A purge of this destination was cut short; what it was to erase is left out."
        " `mirror purge DEST` finishes it."
    )


def _stopping(logger: FilteringBoundLogger, event: Stopping) -> None:
    logger.warning(phrases.stopping(event) + ".")


def _run_finished(logger: FilteringBoundLogger, event: RunFinished) -> None:
    logger.debug("The run ended.", outcome=event.outcome, exit_code=event.exit_code)


_TELLERS: dict[type[Any], Callable[[FilteringBoundLogger, Any], None]] = {
    Preparing: _preparing,
    RunStarted: _run_started,
    LoggedIn: _logged_in,
    RetryScheduled: _retry_scheduled,
    HostPaused: _host_paused,
    HostResumed: _host_resumed,
    GroupCommitted: _group_committed,
    FrameFailed: _frame_failed,
    FileSetAside: _file_set_aside,
    LedgerRebuilt: _ledger_rebuilt,
    ShardsFolded: _shards_folded,
    ProcessDied: _process_died,
    PurgeUnfinished: _purge_unfinished,
    Stopping: _stopping,
    RunFinished: _run_finished,
}
