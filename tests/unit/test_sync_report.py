"""The run report: outcomes and exit codes."""

import json

import pytest

from mirror.errors import (
    CredentialsError,
    DestinationError,
    InterruptedRunError,
    MirrorError,
    ServiceUnavailableError,
)
from mirror.events import GroupCommitted, LoggedIn, RequestFinished, RetryScheduled
from mirror.frames import FrameRef
from mirror.store import Failure, PendingFrame
from mirror.sync.report import FrameTotals, Happened, conclude, encode_report, report_failure


@pytest.mark.parametrize(
    ("totals", "error", "outcome", "code"),
    [
        (FrameTotals(total=3, mirrored=3), None, "complete", 0),
        (FrameTotals(), None, "complete", 0),
        (FrameTotals(total=3, mirrored=2, failed=1), None, "partial", 1),
        (FrameTotals(total=3, mirrored=2, pending=1), None, "interrupted", 75),
        (FrameTotals(total=3, failed=3), InterruptedRunError("x"), "interrupted", 75),
        (FrameTotals(total=3, pending=3), ServiceUnavailableError("x"), "failed", 69),
        (FrameTotals(total=3, pending=3), DestinationError("x"), "failed", 74),
        (FrameTotals(total=3, mirrored=3), CredentialsError("x"), "failed", 77),
    ],
)
def test_conclusions(
    totals: FrameTotals, error: MirrorError | None, outcome: str, code: int
) -> None:
    assert conclude(totals, error) == (outcome, code)


def test_the_report_adds_up_the_events() -> None:
    ref = FrameRef("w", "r", "f")
    happened = Happened()
    for event in (
        LoggedIn(),
        RequestFinished("login", "200", 0.1),
        RequestFinished("resolve", "200", 0.1),
        RequestFinished("resolve", "500", 0.1),
        RequestFinished("download", "200", 0.1),
        RetryScheduled(ref, "resolve", "server_error", "500", 1, 0.5),
        GroupCommitted(mirrored=1, adopted=2, size=77, seconds=0.1),
    ):
        happened(event)
    failures = [Failure(PendingFrame(1, ref, 0), "forbidden", "no", 1)]
    totals = FrameTotals(total=153, mirrored=1, already_mirrored=2, failed=150)
    report = json.loads(
        encode_report(happened.report(totals, failures, [], "frames", 1.23456, None))
    )
    assert report["outcome"] == "partial"
    assert report["exit_code"] == 1
    assert report["frames"] == {
        "total": 153,
        "mirrored": 1,
        "already_mirrored": 2,
        "failed": 150,
        "pending": 0,
    }
    assert report["bytes"] == 77
    assert report["seconds"] == 1.235
    assert report["requests"] == {"resolve": 2, "download": 1}
    assert report["retries"] == 1
    assert report["logins"] == 1
    assert report["failures_total"] == 150
    assert len(report["failures"]) == 1
    assert report["failures"][0] == {
        "workspace_id": "w",
        "root_id": "r",
        "frame_id": "f",
        "reason": "forbidden",
        "detail": "no",
        "attempts": 1,
    }


def test_a_run_that_could_not_begin_has_a_report_too() -> None:
    report = json.loads(encode_report(report_failure(CredentialsError("no"), "frames")))
    assert (report["outcome"], report["exit_code"], report["error"]) == ("failed", 77, "no")
    assert report["frames"]["total"] == 0
