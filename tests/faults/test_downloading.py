"""Rows 18 to 30 and 33 to 37: what may become of a body, and of the URL that leads to it."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mirror.settings import Settings
from mirror.simulator import Fault
from tests.faults.kit import SMALL, frames_at, promises, site
from tests.faults.network_kit import (
    FRAMES,
    VICTIM,
    VICTIMS,
    asked,
    failed_alone,
    fails_alone,
    nothing_left_behind,
    recovers,
    retries,
    unavailable,
)
from tests.integration.savant_server import Request, message, serve
from tests.tls import certified

CUTS = [0.0, 0.001, 0.5, 0.999]
"""Where a body ends: before its first byte, in its signature, in the middle, before its last."""
SIZE = SMALL.frame_bytes


# --- the body breaks off --------------------------------------------------------------------------


@pytest.mark.parametrize("at", [0.0, 0.5])
async def test_fault_18_reset_mid_body_is_discarded_and_fetched_again(
    tmp_path: Path, at: float
) -> None:
    fault = Fault("reset_mid_body", frames=VICTIMS, attempts=1, at=at)
    async with site(tmp_path, fault) as there:
        report = await there.run()
        there.complete(report)
        assert report.retries == 3
        assert {event.reason for event in retries(there)} <= {"truncated", "connection"}
        assert there.simulator.count("download") == there.simulator.count("resolve") == 15
        nothing_left_behind(there.dest)


async def test_fault_18_a_body_that_is_always_reset_fails_alone(tmp_path: Path) -> None:
    fault = Fault("reset_mid_body", frames=VICTIM)
    async with site(tmp_path, fault) as there:
        report = await there.run()
        failed_alone(there, report, report.failures[0].reason, 6)
        assert report.failures[0].reason in {"truncated", "connection"}
        assert len(asked(there, "download", VICTIM)) == 6


@pytest.mark.parametrize("at", CUTS)
async def test_fault_19_fin_before_content_length_is_discarded_and_fetched_again(
    tmp_path: Path, at: float
) -> None:
    await recovers(tmp_path, "early_fin", "truncated", at=at)


@pytest.mark.parametrize("action", ["early_fin", "reset_mid_body"])
async def test_fault_18_19_a_stream_that_breaks_off_leaves_no_temporary(
    tmp_path: Path, action: str
) -> None:
    """Above the threshold a body goes to disk as it comes; half a one goes away again."""
    fault = Fault(action, frames=VICTIMS, attempts="1-2", at=0.9)
    async with site(tmp_path, fault) as there:
        report = await there.run(stream_threshold=1000)
        there.complete(report)
        assert report.retries == 6
        nothing_left_behind(there.dest)


@pytest.mark.parametrize("at", CUTS)
async def test_fault_20_a_clean_but_short_chunked_body_is_caught_by_the_png_check(
    tmp_path: Path, at: float
) -> None:
    await recovers(tmp_path, "short_chunked", "not_png", told_at="write", at=at)


async def test_fault_20_it_is_not_tried_for_ever(tmp_path: Path) -> None:
    await fails_alone(tmp_path, "short_chunked", "not_png", 3)


async def test_fault_21_a_whole_body_without_a_length_is_accepted(tmp_path: Path) -> None:
    async with site(tmp_path, Fault("no_content_length")) as there:
        report = await there.run()
        there.complete(report)
        assert (report.retries, there.simulator.count("download")) == (0, len(FRAMES))


@pytest.mark.parametrize("settings", [{}, {"stream_threshold": 1000}], ids=["memory", "stream"])
async def test_fault_21_without_a_length_the_png_check_decides(
    tmp_path: Path, settings: dict[str, Any]
) -> None:
    await recovers(
        tmp_path, "no_content_length", "not_png", told_at="write", at=0.999, settings=settings
    )


async def test_fault_22_extra_bytes_after_the_image_are_rejected(tmp_path: Path) -> None:
    for name, count in (("one", 1), ("many", 100_000)):
        (tmp_path / name).mkdir()
        await fails_alone(tmp_path / name, "extra_bytes", "not_png", 3, count=count)


@pytest.mark.parametrize("settings", [{}, {"stream_threshold": 1000}], ids=["memory", "stream"])
async def test_fault_22_extra_bytes_are_bounded(tmp_path: Path, settings: dict[str, Any]) -> None:
    """Above the cap nothing is read at all where the length says so, and no other try is made."""
    report = await fails_alone(
        tmp_path,
        "extra_bytes",
        "too_large",
        1,
        count=100_000,
        settings={"max_frame_bytes": 50_000, **settings},
    )
    assert "MIRROR_MAX_FRAME_BYTES" in report.failures[0].detail


async def test_fault_22_a_body_that_announces_too_much_is_not_read(tmp_path: Path) -> None:
    async def boast(_: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 10000000000\r\n\r\n")
        await writer.drain()  # and then nothing: who reads on waits

    async with serve(boast) as store:
        fault = Fault("frame_path", frames=VICTIM, kind="value", value=f"{store.url}/frame")
        async with site(tmp_path, fault) as there:
            report = await there.run(read_timeout=1.0, max_attempts=1)
            failed_alone(there, report, "too_large", 1)
        assert len(store.requests) == 1


async def test_fault_22_a_body_without_a_length_and_an_end_is_cut_off_at_the_cap(
    tmp_path: Path,
) -> None:
    sent = 0

    async def endless(_: Request, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")
        while True:
            writer.write(bytes(16_384))
            await writer.drain()
            sent += 16_384

    async with serve(endless) as store:
        fault = Fault("frame_path", frames=VICTIM, kind="value", value=f"{store.url}/frame")
        async with site(tmp_path, fault) as there:
            report = await there.run(max_frame_bytes=100_000)
            failed_alone(there, report, "too_large", 1)
        assert len(store.requests) == 1
        assert sent < 100 * 1024**2, "it was hung up on"


# --- the body does not come -----------------------------------------------------------------------


@pytest.mark.parametrize("at", [0.0, 0.5])
async def test_fault_23_a_stall_mid_body_times_out(tmp_path: Path, at: float) -> None:
    await recovers(tmp_path, "stall", "timeout", at=at, settings={"read_timeout": 0.3})


async def test_fault_23_a_frame_that_always_stalls_fails_alone(tmp_path: Path) -> None:
    settings = {"read_timeout": 0.2, "connect_timeout": 3.0, "max_attempts": 3}
    report = await fails_alone(tmp_path, "stall", "timeout", 3, settings=settings)
    assert report.seconds < 6, "by the time-out of a read, not by that of the whole answer"


@pytest.mark.parametrize("settings", [{}, {"stream_threshold": 1000}], ids=["memory", "stream"])
async def test_fault_24_a_drip_is_given_up_for_its_rate(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: dict[str, Any]
) -> None:
    """A byte comes every 20 ms, so no read ever times out; the window is shortened for the test."""
    monkeypatch.setattr("mirror.savant.store.RATE_WINDOW", 0.3)
    await recovers(tmp_path, "drip", "too_slow", interval=0.02, settings=settings)


async def test_fault_24_a_frame_that_always_drips_fails_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mirror.savant.store.RATE_WINDOW", 0.1)
    report = await fails_alone(
        tmp_path, "drip", "too_slow", 2, interval=0.02, settings={"max_attempts": 2}
    )
    assert "MIRROR_MIN_RATE" in report.failures[0].detail


@pytest.mark.long
async def test_fault_24_one_byte_a_second_with_the_default_settings(tmp_path: Path) -> None:
    defaults = {name: Settings.model_fields[name].default for name in ("min_rate", "read_timeout")}
    fault = Fault("drip", frames=VICTIM, attempts=1, interval=1.0)
    async with site(tmp_path, fault) as there:
        report = await there.run(**defaults)
        there.complete(report)
        assert [event.reason for event in retries(there)] == ["too_slow"]
        assert report.seconds < 25


@pytest.mark.parametrize("action", ["pause_before_fin", "delay"])
async def test_fault_25_a_pause_is_no_failure(tmp_path: Path, action: str) -> None:
    """All bytes without a length, a pause, then FIN; or a pause before all of it."""
    async with site(tmp_path, Fault(action, frames=VICTIMS, seconds=0.6)) as there:
        report = await there.run(read_timeout=5)
        there.complete(report)
        assert (report.retries, there.simulator.count("download")) == (0, len(FRAMES))
        assert report.seconds >= 0.6


async def test_fault_25_with_a_length_nobody_waits_for_the_end_of_the_connection(
    tmp_path: Path,
) -> None:
    held = asyncio.Event()

    async def whole_then_nothing(_: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(message(200, body))
        await writer.drain()
        await held.wait()

    async with serve(whole_then_nothing) as store:
        fault = Fault("frame_path", frames=VICTIM, kind="value", value=f"{store.url}/frame")
        async with site(tmp_path, fault) as there:
            body = there.dataset.png(VICTIM)
            there.complete(await asyncio.wait_for(there.run(), 20))
        held.set()


# --- TLS ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> tuple[ssl.SSLContext, Path]:
    """A server's context, and the CA bundle to trust it by."""
    return certified(tmp_path_factory.mktemp("tls"))


@pytest.mark.parametrize("at", CUTS)
async def test_fault_26_tls_cut_without_close_notify_is_as_a_fin(
    tmp_path: Path, tls: tuple[ssl.SSLContext, Path], at: float
) -> None:
    server, bundle = tls
    await recovers(
        tmp_path,
        "tls_cut",
        "truncated",
        at=at,
        behaviour={"ssl_context": server},
        settings={"ca_bundle": str(bundle)},
    )


async def test_fault_26_cut_without_a_length_the_png_check_decides(
    tmp_path: Path, tls: tuple[ssl.SSLContext, Path]
) -> None:
    """Nothing on the wire says that the body is short but the missing goodbye."""
    server, bundle = tls

    async def cut_short(request: Request, writer: asyncio.StreamWriter) -> None:
        body = whole if len(store.requests) > 1 else whole[:-1]
        writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + body)
        await writer.drain()
        writer.transport.abort()  # no close_notify

    async with serve(cut_short, server) as store:
        fault = Fault("frame_path", frames=VICTIM, kind="value", value=f"{store.url}/frame")
        async with site(tmp_path, fault, ssl_context=server) as there:
            whole = there.dataset.png(VICTIM)
            report = await there.run(ca_bundle=str(bundle))
            there.complete(report)
            assert [event.ref.frame_id for event in retries(there)] == [VICTIM]


# --- the URL --------------------------------------------------------------------------------------


async def test_fault_28_credentials_that_die_early_cost_a_new_url(tmp_path: Path) -> None:
    await recovers(tmp_path, "expired_credentials", "url_expired")


async def test_fault_28_they_are_minted_again_a_bounded_number_of_times(tmp_path: Path) -> None:
    report = await fails_alone(tmp_path, "expired_credentials", "url_expired", 6)
    assert "credentials" in report.failures[0].detail


async def test_fault_28_credentials_revoked_in_the_middle_of_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every URL that is out then is refused once, and each refusal costs one new one."""
    async with site(tmp_path, store_latency=0.05) as there:
        store = there.simulator._hosts["store"]._desk
        judged = 0

        def answer(received: Any) -> Any:
            nonlocal judged
            judged += 1
            if judged == 3:
                there.simulator.expire_credentials()
            return type(store).answer(store, received)

        monkeypatch.setattr(there.simulator._hosts["store"], "_desk", _Desk(store, answer))
        report = await there.run(concurrency=6)
        there.complete(report)
        refused = there.simulator.statuses["download", 400]
        assert 1 <= refused <= 6
        assert {event.reason for event in retries(there)} == {"url_expired"}
        assert there.simulator.count("resolve") == len(FRAMES) + refused
        assert there.simulator.logins == 1, "another URL needs no other token"


class _Desk:
    """A desk that answers by `answer`."""

    def __init__(self, inner: Any, answer: Callable[[Any], Any]) -> None:
        self.banner, self.identify, self.overload = inner.banner, inner.identify, inner.overload
        self.answer = answer


async def test_fault_29_a_bad_signature_is_asked_about_once_more(tmp_path: Path) -> None:
    await recovers(tmp_path, "signature_error", "url_refused")


async def test_fault_29_a_second_bad_signature_is_permanent(tmp_path: Path) -> None:
    report = await fails_alone(tmp_path, "signature_error", "url_refused", 2)
    assert "signature" in report.failures[0].detail


@pytest.mark.parametrize(
    ("action", "reason"), [("no_such_key", "object_missing"), ("access_denied", "url_refused")]
)
async def test_fault_30_what_may_be_missing_is_asked_for_once_more(
    tmp_path: Path, action: str, reason: str
) -> None:
    for name in ("again", "for-good"):
        (tmp_path / name).mkdir()
    await recovers(tmp_path / "again", action, reason)
    await fails_alone(tmp_path / "for-good", action, reason, 2)


async def test_fault_30_many_missing_objects_are_no_outage_and_drain_no_budget(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mirror.sync.pipeline.RETRY_CAPACITY", 0)
    missing = FRAMES[:10]
    async with site(tmp_path, Fault("no_such_key", frames=missing)) as there:
        report = await there.run(concurrency=1)
        assert (report.exit_code, report.frames.mirrored, report.frames.failed) == (1, 2, 10)
        assert {one.reason for one in report.failures} == {"object_missing"}
        assert there.simulator.count("download") == 2 + 2 * 10
        promises(there.dest, there.dataset)


# --- the body is another one ----------------------------------------------------------------------


@pytest.mark.parametrize("action", ["xml_200", "html_200"])
async def test_fault_33_a_document_with_status_200_is_rejected(tmp_path: Path, action: str) -> None:
    for name in ("again", "for-good"):
        (tmp_path / name).mkdir()
    await recovers(tmp_path / "again", action, "not_png", told_at="write")
    await fails_alone(tmp_path / "for-good", action, "not_png", 3)


@pytest.mark.parametrize("at", [0.0, 0.002, 0.5, 0.9, 0.999])
async def test_fault_34_a_bit_flip_is_caught(tmp_path: Path, at: float) -> None:
    """In the signature, the header, the pixels, and the end."""
    await recovers(tmp_path, "bit_flip", "not_png", told_at="write", at=at)


async def test_fault_34_a_frame_that_is_always_damaged_is_never_kept(tmp_path: Path) -> None:
    await fails_alone(tmp_path, "bit_flip", "not_png", 3)
    (tmp_path / "stream").mkdir()
    settings = {"stream_threshold": 1000}
    await fails_alone(tmp_path / "stream", "bit_flip", "not_png", 3, settings=settings)


@pytest.mark.parametrize("settings", [{}, {"stream_threshold": 1000}], ids=["memory", "stream"])
async def test_fault_35_an_object_that_changes_between_attempts_is_never_spliced(
    tmp_path: Path, settings: dict[str, Any]
) -> None:
    """Half of the old one, then the new one: what is kept is the new one alone."""
    faults = (
        Fault("early_fin", frames=VICTIMS, attempts=1),
        Fault("object_changes", frames=VICTIMS, attempts="2-"),
    )
    async with site(tmp_path, *faults) as there:
        report = await there.run(**settings)
        assert (report.exit_code, report.frames.mirrored, report.retries) == (0, 12, 3)

        def truth(frame: str) -> bytes:
            if frame in VICTIMS:
                return there.dataset.other_png(frame, 2)
            return there.dataset.png(frame)

        promises(there.dest, there.dataset, truth=truth)
        assert frames_at(there.dest).keys() == set(FRAMES)
        for request in asked(there, "download"):
            assert "Range" not in request.headers


@pytest.mark.parametrize("at", [0.5, 1.0])
async def test_fault_36_a_206_to_a_plain_get_is_rejected(tmp_path: Path, at: float) -> None:
    """Also where the part is all of it: the answer is to a question that was not asked."""
    for name in ("again", "for-good"):
        (tmp_path / name).mkdir()
    await recovers(tmp_path / "again", "partial_206", "bad_answer", at=at)
    await fails_alone(tmp_path / "for-good", "partial_206", "bad_answer", 3, at=at)


async def test_fault_37_a_zero_byte_body_is_rejected(tmp_path: Path) -> None:
    for name in ("again", "for-good"):
        (tmp_path / name).mkdir()
    await recovers(tmp_path / "again", "empty_body", "not_png", told_at="write")
    await fails_alone(tmp_path / "for-good", "empty_body", "not_png", 3)


async def test_fault_37_32_a_store_of_empty_bodies_ends_with_69(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mirror.sync.pipeline.RETRY_CAPACITY", 4)
    async with site(tmp_path, Fault("empty_body")) as there:
        report = await there.run(concurrency=2, outage_patience=0.5)
        assert there.simulator.count("download") <= len(FRAMES) + 4 + 2
        unavailable(there, report, "retry budget is spent")


# --- one answer is taken for another --------------------------------------------------------------


@pytest.mark.parametrize("together", [True, False], ids=["at-once", "while-idle"])
async def test_fault_22_an_answer_nobody_asked_for_is_given_to_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, together: bool
) -> None:
    """Behind a body, on the same connection, comes another whole answer, with another picture."""
    first, second = FRAMES[0], FRAMES[1]
    idle = asyncio.Event()

    async def reply(request: Request, writer: asyncio.StreamWriter) -> None:
        body = pictures[request.target.strip("/")]
        surplus = message(200, pictures["other"]) if request.target == f"/{first}" else b""
        writer.write(message(200, body) + (surplus if together else b""))
        await writer.drain()
        if surplus and not together:
            await idle.wait()
            writer.write(surplus)

    async with serve(reply) as store:
        faults = [
            Fault("frame_path", frames=one, kind="value", value=f"{store.url}/{one}")
            for one in (first, second)
        ]
        async with site(tmp_path, *faults, api_latency=0.1) as there:
            pictures = {one: there.dataset.png(one) for one in FRAMES}
            pictures["other"] = there.dataset.other_png(second, 1)
            desk = there.simulator._hosts["api"]._desk

            def identify(method: str, path: str) -> Any:
                if path.endswith(second):  # the connection to the store idles now
                    idle.set()
                return type(desk).identify(desk, method, path)

            listening = _Desk(desk, desk.answer)
            listening.identify = identify
            monkeypatch.setattr(there.simulator._hosts["api"], "_desk", listening)
            there.complete(await there.run(concurrency=1))
