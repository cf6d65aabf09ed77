"""What a report holds beyond its sums."""

from __future__ import annotations

import json

import pytest

from mirror.errors import CredentialsError, DestinationBusyError, ExitCode, MirrorError
from mirror.events import FileSetAside, GroupCommitted, LoggedIn, RequestFinished, RetryScheduled
from mirror.frames import FrameRef
from mirror.store import Failure, PendingFrame
from mirror.sync.report import (
    MOST_FAILURES,
    ExportEntry,
    FrameTotals,
    Happened,
    encode_report,
    report_failure,
)

REF = FrameRef("w", "r", "f")


@pytest.mark.parametrize(
    ("error", "outcome", "code"),
    [
        (CredentialsError("The API refuses."), "failed", ExitCode.CREDENTIALS),
        (DestinationBusyError("Another run."), "interrupted", ExitCode.INTERRUPTED),
    ],
)
def test_a_run_that_could_not_begin_has_a_report(
    error: MirrorError, outcome: str, code: int
) -> None:
    report = report_failure(error, "frames")
    assert (report.outcome, report.exit_code, report.error) == (outcome, code, str(error))
    assert report.destination == "frames"
    assert report.frames == FrameTotals()
    assert (report.failures, report.exports, report.set_aside) == ([], [], [])


def test_what_each_event_adds_is_added_to_what_was_there() -> None:
    happened = Happened()
    for event in (
        GroupCommitted(mirrored=1, adopted=2, size=3, seconds=0.1),
        GroupCommitted(mirrored=10, adopted=20, size=30, seconds=0.1),
        RequestFinished("download", "200", 0.1),
        RequestFinished("download", "error", 0.1),
        RequestFinished("download", "404", 0.1),
        *[RetryScheduled(REF, "resolve", "server_error", "500", 1, 0.5)] * 2,
        *[LoggedIn()] * 3,
    ):
        happened(event)
    assert (happened.mirrored, happened.adopted, happened.size) == (11, 22, 33)
    report = happened.report(FrameTotals(), [], [], "frames", 0.0, None)
    assert (report.requests.resolve, report.requests.download) == (0, 3)
    assert (report.bytes, report.retries, report.logins, report.error) == (33, 2, 3, None)


def test_files_set_aside_are_listed_up_to_a_number() -> None:
    happened = Happened()
    for n in range(MOST_FAILURES + 5):
        happened(FileSetAside(REF, f"kept/{n}"))
    assert happened.set_aside == [f"kept/{n}" for n in range(MOST_FAILURES)]
    report = happened.report(FrameTotals(), [], [], "frames", 0.0, None)
    assert (report.requests.resolve, report.requests.download) == (0, 0)
    assert report.set_aside == happened.set_aside


def test_the_report_of_a_run_that_ended_with_an_error() -> None:
    totals = FrameTotals(total=3, mirrored=1, failed=1, pending=1)
    failure = Failure(PendingFrame(7, REF, 0), "forbidden", "no", 4)
    export = ExportEntry("a.json", "ab" * 32, 2, 3, 1)
    error = CredentialsError("The API refuses.")
    report = Happened().report(totals, [failure], [export], "frames", 2.71828, error)
    assert report.frames is totals
    assert (report.outcome, report.exit_code, report.error) == ("failed", 77, "The API refuses.")
    assert (report.seconds, report.destination, report.failures_total) == (2.718, "frames", 1)
    assert report.exports == [export]
    (listed,) = report.failures
    assert (listed.workspace_id, listed.root_id, listed.frame_id) == REF
    assert (listed.reason, listed.detail, listed.attempts) == ("forbidden", "no", 4)


def test_a_report_is_one_object_in_lines() -> None:
    text = encode_report(report_failure(CredentialsError("no"), "frames"))
    assert text.startswith(b'{\n  "outcome": "failed",\n')
    assert text.endswith(b"\n}\n")
    assert json.loads(text)["dry_run"] is False
