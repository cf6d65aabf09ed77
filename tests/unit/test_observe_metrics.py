"""Metrics: what each event moves, and that docs/metrics.md tells the truth."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from mirror.events import (
    Event,
    FileSetAside,
    FrameFailed,
    GroupCommitted,
    LimitChanged,
    LoggedIn,
    RequestFinished,
    RequestStarted,
    RetryScheduled,
    RunFinished,
    RunStarted,
)
from mirror.frames import FrameRef
from mirror.observe.metrics import Metrics

REF = FrameRef("workspace-1", "root-1", "frame-1")
DOCS = Path(__file__).parents[2] / "docs" / "metrics.md"


@pytest.fixture
def metrics() -> Metrics:
    return Metrics("1.2.3", clock=lambda: 1234.5)


def value(metrics: Metrics, name: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(name, labels)


@pytest.mark.parametrize(
    ("event", "name", "labels", "expected"),
    [
        (GroupCommitted(3, 2, 50, 0.2), "mirror_frames_total", {"outcome": "mirrored"}, 3),
        (GroupCommitted(3, 2, 50, 0.2), "mirror_frames_total", {"outcome": "adopted"}, 2),
        (GroupCommitted(3, 2, 50, 0.2), "mirror_bytes_total", {}, 50),
        (GroupCommitted(3, 2, 50, 0.2), "mirror_commit_seconds_sum", {}, 0.2),
        (GroupCommitted(3, 2, 50, 0.2), "mirror_commit_frames_sum", {}, 5),
        (FrameFailed(REF, "not_found", "", 1), "mirror_frames_total", {"outcome": "failed"}, 1),
        (RunStarted(10, 4), "mirror_frames_total", {"outcome": "already_mirrored"}, 4),
        (LoggedIn(), "mirror_logins_total", {}, 1),
        (LimitChanged("download", 48), "mirror_concurrency_limit", {"hop": "download"}, 48),
        (RequestStarted("resolve"), "mirror_inflight", {"hop": "resolve"}, 1),
        (
            RetryScheduled(REF, "write", "write_lost", "", 1, 0.5),
            "mirror_retries_total",
            {"hop": "write", "reason": "write_lost"},
            1,
        ),
        (
            RequestFinished("resolve", "429", 0.3),
            "mirror_requests_total",
            {"hop": "resolve", "status": "429"},
            1,
        ),
        (
            RequestFinished("resolve", "200", 0.3),
            "mirror_request_seconds_bucket",
            {"hop": "resolve", "le": "0.5"},
            1,
        ),
        (RunFinished("complete", 0), "mirror_last_complete_timestamp_seconds", {}, 1234.5),
        (RunFinished("partial", 1), "mirror_last_complete_timestamp_seconds", {}, 0),
        (FileSetAside(REF, "x"), "mirror_build_info", {"version": "1.2.3"}, 1),
    ],
    ids=lambda case: case if isinstance(case, str) else "",
)
def test_an_event_moves_its_metric(
    metrics: Metrics, event: Event, name: str, labels: dict[str, str], expected: float
) -> None:
    metrics(event)
    assert value(metrics, name, **labels) == expected


def test_a_request_that_ended_is_no_longer_in_flight(metrics: Metrics) -> None:
    metrics(RequestStarted("download"))
    metrics(RequestStarted("download"))
    metrics(RequestFinished("download", "error", 1.0))
    assert value(metrics, "mirror_inflight", hop="download") == 1
    assert value(metrics, "mirror_requests_total", hop="download", status="error") == 1


def test_ledger_frames_follow_the_current_run(metrics: Metrics) -> None:
    """Every frame asked for is in exactly one state, and a new run starts afresh."""

    def states() -> list[float | None]:
        return [
            value(metrics, "mirror_ledger_frames", state=state)
            for state in ("mirrored", "failed", "pending")
        ]

    metrics(RunStarted(10, 4))
    metrics(GroupCommitted(2, 1, 50, 0.2))
    metrics(FrameFailed(REF, "not_found", "", 1))
    assert states() == [7, 1, 2]
    metrics(RunStarted(5, 5))
    assert states() == [5, 0, 0]


def test_two_instances_share_nothing() -> None:
    """Each has a registry of its own; a shared one would refuse the second."""
    one, other = Metrics("1"), Metrics("1")
    one(LoggedIn())
    assert value(other, "mirror_logins_total") == 0


def test_attack_22_no_id_detail_or_odd_status_becomes_a_label(metrics: Metrics) -> None:
    secret = "https://store/x?X-Amz-Signature=abc"
    metrics(RetryScheduled(REF, "download", "timeout", secret, 1, 0.5))
    metrics(FrameFailed(REF, "not_found", secret, 1))
    metrics(RequestFinished("download", secret, 0.1))
    metrics(RequestFinished("download", "٤٠٤", 0.1))
    text = metrics.render()[0].decode()
    assert secret not in text
    assert "٤" not in text
    assert not any(part in text for part in REF)
    assert value(metrics, "mirror_requests_total", hop="download", status="error") == 2


def test_exports_are_counted_by_outcome(metrics: Metrics) -> None:
    metrics.count_export("partial")
    assert value(metrics, "mirror_exports_total", outcome="partial") == 1
    assert value(metrics, "mirror_exports_total", outcome="complete") == 0


def test_render_is_prometheus_text_unless_openmetrics_is_asked_for(metrics: Metrics) -> None:
    text, content_type = metrics.render()
    assert content_type.startswith("text/plain; version=0.0.4")
    assert b"# EOF" not in text
    assert b"_created" not in text
    text, content_type = metrics.render("application/openmetrics-text; version=1.0.0")
    assert content_type.startswith("application/openmetrics-text; version=1.0.0")
    assert text.endswith(b"# EOF\n")


def _documented() -> dict[str, tuple[str, frozenset[str]]]:
    row = r"^\| `(mirror_\w+)(?:\{([\w,]+)\})?` \| (\w+) \|"
    rows = re.findall(row, DOCS.read_text(), re.MULTILINE)
    return {name: (kind, frozenset(filter(None, labels.split(",")))) for name, labels, kind in rows}


def test_the_document_and_the_registry_name_the_same_metrics(metrics: Metrics) -> None:
    """Names, types and labels, both ways."""
    for event in (
        RequestFinished("resolve", "200", 0.1),
        RetryScheduled(REF, "download", "timeout", "", 1, 0.5),
        LimitChanged("download", 48),
    ):
        metrics(event)
    built = {}
    for family in text_string_to_metric_families(metrics.render()[0].decode()):
        name = f"{family.name}_total" if family.type == "counter" else family.name
        labels = {label for sample in family.samples for label in sample.labels} - {"le"}
        built[name] = (family.type, frozenset(labels))
    assert _documented() == built
