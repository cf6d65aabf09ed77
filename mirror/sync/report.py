"""The run report: what `--json` prints and `DEST/.mirror/report.json` keeps.

Its fields are an interface (`docs/report.md`). Frames, counted and failed, come from the ledger, so
that the report says what is recorded, not what was hoped for; requests come from the events.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import msgspec

from mirror.errors import ExitCode, MirrorError
from mirror.events import (
    Event,
    FileSetAside,
    GroupCommitted,
    LoggedIn,
    RequestFinished,
    RetryScheduled,
)
from mirror.store import Failure

Outcome = Literal["complete", "partial", "interrupted", "failed"]
MOST_FAILURES = 100
"""Failures listed one by one; `failures_total` counts all."""


class FrameTotals(msgspec.Struct, frozen=True):
    """Frames asked for, and what became of them. `total` is the sum of the others."""

    total: int = 0
    mirrored: int = 0
    already_mirrored: int = 0
    failed: int = 0
    pending: int = 0


class RequestTotals(msgspec.Struct, frozen=True):
    """HTTP requests that went out."""

    resolve: int = 0
    download: int = 0


class FailureEntry(msgspec.Struct, frozen=True):
    """One frame that failed for good."""

    workspace_id: str
    root_id: str
    frame_id: str
    reason: str
    detail: str
    attempts: int


class ExportEntry(msgspec.Struct, frozen=True):
    """One export of the run. `frames`: distinct ones; `left`: in the export that this file name
    held before and not in it any more (they stay at the destination); `purged`: named by it, but
    purged here, so they are not asked for."""

    path: str
    sha256: str
    sequences: int
    frames: int
    left: int = 0
    purged: int = 0


class RunReport(msgspec.Struct, frozen=True, omit_defaults=False):
    """What a run did."""

    outcome: Outcome
    exit_code: int
    frames: FrameTotals = FrameTotals()
    bytes: int = 0
    seconds: float = 0.0
    requests: RequestTotals = RequestTotals()
    retries: int = 0
    logins: int = 0
    failures: list[FailureEntry] = msgspec.field(default_factory=list)
    failures_total: int = 0
    exports: list[ExportEntry] = msgspec.field(default_factory=list)
    destination: str = ""
    shard: str | None = None
    dry_run: bool = False
    set_aside: list[str] = msgspec.field(default_factory=list)
    error: str | None = None


def encode_report(report: RunReport) -> bytes:
    """One JSON object, in lines, with a newline at its end."""
    return msgspec.json.format(msgspec.json.encode(report), indent=2) + b"\n"


@dataclass(slots=True)
class Happened:
    """A listener that keeps what the report needs and the ledger does not hold."""

    mirrored: int = 0
    adopted: int = 0
    size: int = 0
    retries: int = 0
    logins: int = 0
    requests: dict[str, int] = field(default_factory=dict)
    set_aside: list[str] = field(default_factory=list)

    def __call__(self, event: Event) -> None:
        """Take in one event."""
        match event:
            case RequestFinished(hop=hop):
                self.requests[hop] = self.requests.get(hop, 0) + 1
            case GroupCommitted():
                self.mirrored += event.mirrored
                self.adopted += event.adopted
                self.size += event.size
            case RetryScheduled():
                self.retries += 1
            case LoggedIn():
                self.logins += 1
            case FileSetAside():
                if len(self.set_aside) < MOST_FAILURES:
                    self.set_aside.append(event.kept_at)

    def report(
        self,
        totals: FrameTotals,
        failures: Sequence[Failure],
        exports: Sequence[ExportEntry],
        destination: str,
        seconds: float,
        error: MirrorError | None,
    ) -> RunReport:
        """The report of a run that ended with `error`, or by itself."""
        outcome, code = conclude(totals, error)
        return RunReport(
            outcome=outcome,
            exit_code=int(code),
            frames=totals,
            bytes=self.size,
            seconds=round(seconds, 3),
            requests=RequestTotals(
                resolve=self.requests.get("resolve", 0), download=self.requests.get("download", 0)
            ),
            retries=self.retries,
            logins=self.logins,
            failures=[
                FailureEntry(*failure.frame.ref, failure.reason, failure.detail, failure.attempts)
                for failure in failures
            ],
            failures_total=totals.failed,
            exports=list(exports),
            destination=destination,
            set_aside=self.set_aside,
            error=str(error) if error else None,
        )


def conclude(totals: FrameTotals, error: MirrorError | None) -> tuple[Outcome, ExitCode]:
    """Outcome and exit code. Complete means: every frame asked for is recorded as mirrored."""
    if error is not None:
        interrupted = error.exit_code is ExitCode.INTERRUPTED
        return ("interrupted" if interrupted else "failed"), error.exit_code
    if totals.pending:
        return "interrupted", ExitCode.INTERRUPTED
    if totals.failed:
        return "partial", ExitCode.PARTIAL
    return "complete", ExitCode.COMPLETE


def report_failure(error: MirrorError, destination: str) -> RunReport:
    """The report of a run that could not begin."""
    outcome, code = conclude(FrameTotals(), error)
    return RunReport(
        outcome=outcome, exit_code=int(code), destination=destination, error=str(error)
    )
