"""Rows 1 to 4 and 10: the account, the login and the token."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mirror.events import HostPaused, HostResumed, LoggedIn, RequestFinished
from mirror.simulator import Fault
from tests.faults.kit import Site, frames_at, site
from tests.faults.network_kit import (
    FRAMES,
    asked,
    gaps,
    inject,
    nothing_left_behind,
    retries,
    soon,
    unavailable,
)


def refused(there: Site, report: Any, *words: str) -> None:
    """Assert exit 77, that nothing was fetched, and nothing tried again."""
    assert (report.exit_code, report.outcome) == (77, "failed"), report
    assert (report.frames.pending, report.failures) == (len(FRAMES), [])
    assert report.retries == 0
    for word in words:
        assert word in (report.error or ""), report.error
    assert frames_at(there.dest) == {}
    nothing_left_behind(there.dest)


async def test_fault_01_a_bad_password_is_tried_once_and_named_with_account_and_host(
    tmp_path: Path,
) -> None:
    async with site(tmp_path, api_latency=0.05) as there:
        report = await there.run(password="wrong-canary")
        refused(there, report, "'demo@example.com'", "127.0.0.1", "SAVANT_PASSWORD")
        assert there.simulator.count("login") == 1
        assert there.simulator.count("resolve") == 0
        assert "canary" not in repr(report) + repr(there.events)
        assert report.logins == 0


async def test_fault_01_an_account_that_is_not_verified_is_refused_once_too(tmp_path: Path) -> None:
    fault = Fault("bad_credentials", reason="LOGIN_USER_NOT_VERIFIED")
    async with site(tmp_path, fault, api_latency=0.05) as there:
        report = await there.run()
        refused(there, report, "'demo@example.com'", "not verified", "127.0.0.1")
        assert there.simulator.count("login") == 1


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (Fault("status", hop="login", attempts="1-2", code=500), "server_error"),
        (Fault("html_error", hop="login", attempts="1-2", code=503), "throttled"),
        (Fault("hang", hop="login", attempts="1-2"), "timeout"),
        (Fault("reset_mid_body", hop="login", attempts="1-2"), "truncated"),
    ],
    ids=["500", "503", "timeout", "cut"],
)
async def test_fault_02_a_failing_login_backs_off_in_single_flight(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: Fault, reason: str
) -> None:
    """Two bad logins, then a good one, by twelve workers: three in all, further and further apart,
    and no frame is blamed."""
    soon(monkeypatch, first=0.2, last=2.0)
    async with site(tmp_path, fault, api_latency=0.03) as there:
        report = await there.run(read_timeout=0.25, concurrency=12, outage_patience=20)
        there.complete(report)
        logins = asked(there, "login")
        assert len(logins) == 3, "single flight"
        first, second = gaps(logins)
        # as they arrive, which on a busy machine is later than they were sent
        assert first >= 0.15
        assert second >= 0.3, "it backs off"
        assert {(event.hop, event.reason) for event in there.told(HostPaused)} == {
            ("resolve", reason)
        }
        assert len(there.told(HostResumed)) == 1
        assert {event.attempt for event in retries(there)} == {0}, "nothing is charged"
        assert report.logins == 1
        assert len(asked(there, "resolve")) == len(FRAMES)
        statuses = [e.status for e in there.told(RequestFinished) if e.hop == "login"]
        assert len(statuses) == 3


@pytest.mark.parametrize("action", ["html_error", "early_fin", "close"])
async def test_fault_02_a_login_that_never_works_ends_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, action: str
) -> None:
    soon(monkeypatch, first=0.1, last=1.0)
    async with site(tmp_path, Fault(action, hop="login")) as there:
        report = await there.run(outage_patience=1.2)
        unavailable(
            there,
            report,
            "The API is unavailable",
            "127.0.0.1" if action != "html_error" else "login",
        )
        assert there.simulator.count("login") <= (14 if action == "close" else 7)
        assert there.simulator.count("resolve") == 0


async def test_fault_03_a_revoked_token_costs_one_login_and_the_requests_are_replayed(
    tmp_path: Path,
) -> None:
    """In the middle of the run, with several requests in flight."""
    fault = Fault("revoke_tokens", after=4, limit=1)
    async with site(tmp_path, fault, api_latency=0.03) as there:
        report = await there.run(concurrency=4)
        there.complete(report)
        refusals = there.simulator.statuses["resolve", 401]
        assert 1 <= refusals <= 4, "those in flight, and no others"
        assert there.simulator.count("login") == report.logins == 2
        assert len(there.told(LoggedIn)) == 2
        assert there.simulator.count("resolve") == len(FRAMES) + refusals
        assert report.retries == 0, "a replay is no retry of the frame"


async def test_fault_03_tokens_that_live_shorter_than_the_run(tmp_path: Path) -> None:
    """Without `exp` nobody can renew in time; every end costs one login."""
    behaviour: dict[str, Any] = {"token_lifetime": 0.15, "tokens_show_exp": False}
    async with site(tmp_path, api_latency=0.05, **behaviour) as there:
        report = await there.run(concurrency=2)
        there.complete(report)
        assert 2 <= report.logins <= there.simulator.statuses["resolve", 401] + 1
        assert report.retries == 0


async def test_fault_03_a_token_that_says_its_end_is_renewed_before_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the monotonic clock: 3580 of 3600 seconds pass while the fourth frame is resolved."""
    passed = [0.0]
    inject(monkeypatch, clock=lambda: passed[0])
    async with site(tmp_path) as there:
        answer = there.simulator._hosts["api"]._desk.answer

        class Desk:
            banner = "uvicorn"
            identify = there.simulator._hosts["api"]._desk.identify

            @staticmethod
            def answer(received: Any) -> Any:
                if there.simulator.count("resolve") == 4:
                    passed[0] = 3580.0
                return answer(received)

        monkeypatch.setattr(there.simulator._hosts["api"], "_desk", Desk)
        report = await there.run(concurrency=1, min_rate=0)
        there.complete(report)
        assert report.logins == 2
        assert ("resolve", 401) not in there.simulator.statuses, "none was used past its end"
        order = [request.hop for request in there.simulator.requests]
        assert order.index("login", 1) == 1 + 2 * 4, "right after the fourth frame"


async def test_fault_04_a_401_on_fresh_tokens_stops_after_two_logins(tmp_path: Path) -> None:
    fault = Fault("status", hop="resolve", code=401)
    async with site(tmp_path, fault, api_latency=0.03) as there:
        report = await there.run(concurrency=12)
        refused(there, report, "'demo@example.com'", "2 logins", "127.0.0.1")
        assert there.simulator.count("login") == 2
        assert there.simulator.count("resolve") <= 2 * 12
        assert there.simulator.count("download") == 0


async def test_fault_10_a_login_without_a_token_is_a_protocol_error(tmp_path: Path) -> None:
    async with site(tmp_path, Fault("login_without_token"), api_latency=0.05) as there:
        report = await there.run()
        assert (report.exit_code, report.outcome) == (69, "failed")
        assert "without a token" in (report.error or "")
        assert "SAVANT_DOMAIN" in (report.error or "")
        assert there.simulator.count("login") == 1, "asking again would not help"
        assert there.simulator.count("resolve") == 0
        assert report.frames.pending == len(FRAMES)
        assert frames_at(there.dest) == {}


@pytest.mark.parametrize("action", ["html_200", "wrong_json", "truncated_json", "empty_body"])
async def test_fault_10_a_login_page_of_something_else_is_one_too(
    tmp_path: Path, action: str
) -> None:
    async with site(tmp_path, Fault(action, hop="login")) as there:
        report = await there.run()
        assert (report.exit_code, report.outcome) == (69, "failed")
        assert "without a token" in (report.error or "")
        assert there.simulator.count("login") == 1
