"""Rows 5 to 9, 11 and 12: what the API may answer instead of a frame's URL."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mirror.events import HostPaused
from mirror.simulator import DatasetSpec, Fault
from tests.faults.kit import site
from tests.faults.network_kit import (
    FRAMES,
    VICTIM,
    asked,
    failed_alone,
    fails_alone,
    gaps,
    recovers,
    retries,
    soon,
    unavailable,
)


async def test_fault_05_a_403_is_permanent_for_that_frame(tmp_path: Path) -> None:
    report = await fails_alone(tmp_path, "status", "forbidden", 1, hop="resolve", code=403)
    assert "ask for access" in report.failures[0].detail
    assert report.retries == 0


async def test_fault_06_a_404_is_permanent_and_recorded(tmp_path: Path) -> None:
    """Recorded: the next run adds its attempt to those of this one; a frame that is back heals."""
    fault = Fault("status", hop="resolve", frames=VICTIM, attempts="1-2", code=404)
    async with site(tmp_path, fault) as there:
        failed_alone(there, await there.run(), "not_found", 1)
        assert len(asked(there, "resolve", VICTIM)) == 1
        again = await there.run()
        assert (again.exit_code, again.frames.already_mirrored) == (1, 11)
        assert [(one.reason, one.attempts) for one in again.failures] == [("not_found", 2)]
        assert len(asked(there, "resolve")) == len(FRAMES) + 1
        there.complete(await there.run())


async def test_fault_07_a_422_is_permanent_and_its_body_goes_nowhere(tmp_path: Path) -> None:
    fault = Fault("validation_error", hop="resolve", frames=VICTIM, value="canary-echoed")
    async with site(tmp_path, fault) as there:
        report = await there.run()
        failed_alone(there, report, "rejected", 1)
        assert len(asked(there, "resolve", VICTIM)) == 1
        assert "canary" not in repr(report) + repr(there.events)
        for path in there.dest.rglob("*"):
            assert not path.is_file() or b"canary" not in path.read_bytes()


# --- row 8 ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("hop", ["resolve", "download"])
@pytest.mark.parametrize(
    ("kind", "seconds", "least", "most"),
    [
        ("seconds", 0.8, 0.8, 0.88),
        ("date", 2.0, 1.0, 2.2),  # dates know whole seconds
        ("huge", 1.0, 1.5, 1.65),
        ("absent", 1.0, 0.1, 0.2),
    ],
)
async def test_fault_08_retry_after_is_obeyed_capped_and_jittered(
    tmp_path: Path, hop: str, kind: str, seconds: float, least: float, most: float
) -> None:
    """In each of its forms; what was asked is waited at least, and a bit more by chance."""
    victims = FRAMES[1::3]
    fault = Fault("retry_after", hop=hop, frames=victims, attempts=1, kind=kind, seconds=seconds)
    async with site(tmp_path, fault) as there:
        report = await there.run(retry_after_cap=1.5, backoff_base=0.2, backoff_cap=0.2)
        there.complete(report)
        told = retries(there)
        assert {(event.reason, event.hop) for event in told} == {("throttled", hop)}
        assert {event.ref.frame_id for event in told} == set(victims)
        assert all(least <= event.delay <= most for event in told), [e.delay for e in told]
        assert len({round(event.delay, 6) for event in told}) == len(victims), "jittered"
        for frame in victims:
            (waited,) = gaps(asked(there, hop, frame))
            assert waited >= least - 0.01, "the wait was waited"
        assert len(asked(there, "resolve")) == len(FRAMES) + len(victims)


@pytest.mark.parametrize("hop", ["resolve", "download"])
async def test_fault_08_the_slot_is_free_while_a_frame_waits(tmp_path: Path, hop: str) -> None:
    """With a single slot, all the other frames pass while the first one waits."""
    fault = Fault("retry_after", hop=hop, frames=FRAMES[0], attempts=1, seconds=1.5)
    async with site(tmp_path, fault) as there:
        there.complete(await there.run(concurrency=1))
        order = [request.frame_id for request in asked(there, hop)]
        assert order[0] == order[-1] == FRAMES[0]
        assert sorted(order[1:-1]) == sorted(FRAMES[1:])
        times = [request.time for request in asked(there, hop)]
        assert times[-2] < times[0] + 1.5 <= times[-1]


async def test_fault_08_a_frame_that_is_always_turned_away_fails_alone(tmp_path: Path) -> None:
    """Overload is charged to the frame only because the host answers all the others."""
    await fails_alone(tmp_path, "retry_after", "throttled", 6, hop="resolve", kind="absent")


async def test_fault_08_a_pause_the_host_asked_for_is_no_outage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All are turned away, for longer than the patience, and the run goes on afterwards."""
    soon(monkeypatch)
    fault = Fault("retry_after", attempts=1, seconds=1.6)
    spec = DatasetSpec(sequences=2, frames_per_sequence=12, frame_bytes=2_000)
    async with site(tmp_path, fault, spec=spec) as there:
        report = await there.run(outage_patience=0.8, concurrency=24)
        there.complete(report)
        assert len(there.told(HostPaused)) == 1
        assert report.seconds > 1.6


# --- rows 9, 11 and 12 ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "reason"), [(502, "server_error"), (503, "throttled"), (504, "server_error")]
)
async def test_fault_09_a_proxys_html_is_retried(tmp_path: Path, code: int, reason: str) -> None:
    await recovers(tmp_path, "html_error", reason, hop="resolve", code=code)


async def test_fault_09_a_frame_that_breaks_the_api_each_time_fails_alone(tmp_path: Path) -> None:
    report = await fails_alone(tmp_path, "html_error", "server_error", 6, hop="resolve", code=502)
    assert report.retries == 5


async def test_fault_09_a_proxy_that_is_down_pauses_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A burst of HTML: single probes find the end of it, and no frame is charged with it."""
    soon(monkeypatch)
    fault = Fault("html_error", hop="resolve", after=3, limit=12, code=502)
    async with site(tmp_path, fault) as there:
        report = await there.run(max_attempts=2)
        there.complete(report)
        assert {event.hop for event in there.told(HostPaused)} == {"resolve"}


@pytest.mark.parametrize("kind", ["null", "missing", "number", "list", "empty", "not_url"])
async def test_fault_11_a_frame_path_that_is_no_url_is_permanent(tmp_path: Path, kind: str) -> None:
    reason = "unsafe_url" if kind == "not_url" else "no_frame_path"
    report = await fails_alone(tmp_path, "frame_path", reason, 1, hop="resolve", kind=kind)
    assert report.requests.download == 11
    assert report.retries == 0


@pytest.mark.parametrize(
    "value",
    ["not a url", {"a": 1}, True, "http://127.0.0.1:1/" + "x" * 8000, "frames/1.png", "\u202e"],
    ids=["words", "object", "true", "long", "path", "bidi"],
)
async def test_fault_11_nor_is_anything_else(tmp_path: Path, value: Any) -> None:
    await fails_alone(
        tmp_path, "frame_path", "no_frame_path", 1, hop="resolve", kind="value", value=value
    )


@pytest.mark.parametrize("action", ["truncated_json", "wrong_json", "empty_body", "html_200"])
async def test_fault_12_json_that_is_none_is_retried_a_bounded_number_of_times(
    tmp_path: Path, action: str
) -> None:
    report = await fails_alone(tmp_path, action, "bad_answer", 3, hop="resolve")
    assert "not the JSON of a frame" in report.failures[0].detail


async def test_fault_12_truncated_json_that_was_an_accident_is_forgotten(tmp_path: Path) -> None:
    await recovers(tmp_path, "truncated_json", "bad_answer", hop="resolve")


async def test_fault_12_json_cut_on_the_wire_is_retried(tmp_path: Path) -> None:
    await recovers(tmp_path, "early_fin", "truncated", hop="resolve")


async def test_fault_12_an_api_that_makes_no_sense_mirrors_nothing(tmp_path: Path) -> None:
    """Every frame's answer is bad: each fails after three attempts, none is taken for mirrored."""
    async with site(tmp_path, Fault("wrong_json", hop="resolve")) as there:
        report = await there.run()
        assert (report.exit_code, report.frames.failed) == (1, len(FRAMES))
        assert {one.reason for one in report.failures} == {"bad_answer"}
        assert there.simulator.count("resolve") == 3 * len(FRAMES)
        assert there.simulator.count("download") == 0


async def test_fault_09_32_an_api_behind_a_dead_proxy_ends_with_69(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    soon(monkeypatch)
    async with site(tmp_path, Fault("html_error", hop="resolve", code=504)) as there:
        report = await there.run(outage_patience=0.5)
        unavailable(there, report, "The API is unavailable", "answered 504")
        assert there.simulator.count("download") == 0
