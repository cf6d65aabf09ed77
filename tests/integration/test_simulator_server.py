"""Both hosts over real sockets, with a plain aiohttp client."""

from __future__ import annotations

import asyncio
import socket
from hashlib import md5
from urllib.parse import urlsplit

import aiohttp
import pytest
from simulator_support import (
    ask,
    exact,
    first_frame,
    login_raw,
    presigned,
    raw,
    resolve_url,
    simulator,
    token,
)

from mirror.simulator import Fault, PortInUseError, Simulator


async def test_a_frame_is_brought_home_through_both_hops() -> None:
    async with simulator() as sim, aiohttp.ClientSession() as session:
        url = await presigned(sim, session)
        async with session.get(exact(url)) as answer:
            body = await answer.read()
        assert answer.status == 200
        assert body == sim.dataset.png(first_frame(sim)[1])
        assert answer.headers["ETag"] == f'"{md5(body).hexdigest()}"'
        assert answer.headers["Server"] == "AmazonS3"
        assert url.startswith(sim.store_origin + "/")
        assert (sim.count("login"), sim.count("resolve"), sim.count("download")) == (1, 1, 1)
        assert sim.statuses == {("login", 200): 1, ("resolve", 200): 1, ("download", 200): 1}


async def test_requests_are_recorded_byte_for_byte() -> None:
    async with simulator() as sim:
        odd = "/sequences/a%2fb/frames/%7ec?workspace_id=%41&presigned_url=True&x=a+b%2B"
        await raw(sim.domain + odd, X_Mine="1")
        (request,) = sim.requests
        assert request.target == odd.encode()
        assert (request.hop, request.method, request.frame_id) == ("resolve", "GET", "~c")
        assert (request.attempt, request.status) == (1, 401)
        assert request.headers["x-mine"] == "1"
        assert "presigned_url" not in repr(request)


async def test_a_url_that_was_requoted_is_refused() -> None:
    async with simulator() as sim, aiohttp.ClientSession() as session:
        url = await presigned(sim, session)
        async with session.get(url) as answer:
            assert answer.status == 403
            assert "SignatureDoesNotMatch" in await answer.text()
        assert sim.requests[-1].hop == "download"


async def test_a_range_is_answered_with_206() -> None:
    async with simulator() as sim, aiohttp.ClientSession() as session:
        url = await presigned(sim, session)
        async with session.get(exact(url), headers={"Range": "bytes=10-19"}) as answer:
            assert answer.status == 206
            assert await answer.read() == sim.dataset.png(first_frame(sim)[1])[10:20]


async def test_attempts_are_counted_for_each_frame_and_hop() -> None:
    async with simulator() as sim:
        root, frames = sim.dataset.sequences[0]
        for frame in (frames[0], frames[1], frames[0]):
            await raw(resolve_url(sim, (root, frame)))
        assert [request.attempt for request in sim.requests] == [1, 1, 2]


async def test_tokens_urls_and_credentials_can_be_ended_at_will() -> None:
    async with simulator() as sim, aiohttp.ClientSession() as session:
        bearer = {"Authorization": f"bearer {await token(sim, session)}"}
        url = await presigned(sim, session)
        sim.expire_tokens()
        async with session.get(resolve_url(sim), headers=bearer) as answer:
            assert answer.status == 401
        sim.expire_credentials()
        async with session.get(exact(url)) as answer:
            assert (answer.status, "ExpiredToken" in await answer.text()) == (400, True)
        sim.expire_urls()
        async with session.get(exact(url)) as answer:
            assert (answer.status, "Request has expired" in await answer.text()) == (403, True)
        assert sim.logins == 2


async def test_expiry_is_checked_when_the_request_starts_and_not_later() -> None:
    slow = Fault("drip", at=0.9, size=1000, interval=0.05)
    async with simulator(slow, url_lifetime=0.3) as sim, aiohttp.ClientSession() as session:
        url = await presigned(sim, session)
        async with session.get(exact(url)) as answer:
            sim.expire_urls()
            assert await answer.read() == sim.dataset.png(first_frame(sim)[1])


async def test_added_frames_are_served_whatever_their_ids() -> None:
    async with simulator() as sim, aiohttp.ClientSession() as session:
        sim.add_frame("w", "root 1", "ä?b", b"bytes of mine")
        bearer = {"Authorization": f"bearer {await token(sim, session)}"}
        path = "/sequences/root%201/frames/%C3%A4%3Fb?workspace_id=w&presigned_url=True"
        async with session.get(exact(sim.domain + path), headers=bearer) as answer:
            url = (await answer.json())["frame"]["frame_path"]
        async with session.get(exact(url)) as answer:
            assert await answer.read() == b"bytes of mine"
        assert sim.requests[-1].frame_id == "ä?b"


async def test_bytes_can_be_put_under_a_frame_there_is() -> None:
    async with simulator() as sim, aiohttp.ClientSession() as session:
        sim.add_frame(sim.dataset.workspace_id, *first_frame(sim), b"instead")
        async with session.get(exact(await presigned(sim, session))) as answer:
            assert await answer.read() == b"instead"


async def test_beyond_its_capacity_a_host_turns_requests_away() -> None:
    async with simulator(capacity=2, api_latency=0.2) as sim:
        answers = await asyncio.gather(*(raw(resolve_url(sim)) for _ in range(5)))
        assert sorted(answer.status or 0 for answer in answers) == [401, 401, 429, 429, 429]
        assert sim.peak("api") > 2
        assert sorted(request.attempt for request in sim.requests) == [0, 0, 0, 1, 2]


async def test_a_body_that_is_being_sent_counts_as_in_flight() -> None:
    slow = Fault("stall", attempts=1)
    async with simulator(slow, capacity=1) as sim, aiohttp.ClientSession() as session:
        url = await presigned(sim, session)
        stalled = await session.get(exact(url))
        answer = await raw(url)
        assert (answer.status, answer.header("Connection"), answer.end) == (503, "close", "eof")
        assert b"SlowDown" in answer.body
        stalled.close()


async def test_fault_13_a_refused_host_answers_again_on_the_same_port() -> None:
    async with simulator() as sim:
        before = sim.store_origin
        await sim.refuse("store")
        with pytest.raises(ConnectionRefusedError):
            await raw(before)
        await sim.accept("store")
        assert sim.store_origin == before
        assert (await raw(f"{before}/")).status == 403


async def test_refusing_drops_the_connections_there_are() -> None:
    async with simulator(Fault("hang")) as sim, aiohttp.ClientSession() as session:
        url = await presigned(sim, session)
        waiting = asyncio.create_task(raw(url))
        async with asyncio.timeout(5):
            while not sim.count("download"):  # noqa: ASYNC110 - the simulator has no event for it
                await asyncio.sleep(0.01)
        await sim.refuse("store")
        assert (await waiting).end in {"eof", "reset"}


async def test_the_api_closes_an_idle_connection() -> None:
    async with simulator(api_keepalive=0.1) as sim:
        host, port = urlsplit(sim.domain).netloc.split(":")
        reader, writer = await asyncio.open_connection(host, port)
        await ask(writer, host, "/")
        async with asyncio.timeout(5):
            assert (await reader.read()).startswith(b"HTTP/1.1 404")
        writer.close()


async def test_a_taken_port_is_named_and_nothing_is_left_listening() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        sim = simulator(port=port)
        with pytest.raises(PortInUseError, match=str(port)):
            await sim.__aenter__()
        with pytest.raises(ConnectionRefusedError):
            await raw(sim.store_origin)


async def test_kept_requests_can_be_bounded_while_all_are_counted() -> None:
    async with simulator(keep_requests=2) as sim:
        for _ in range(3):
            await login_raw(sim)
        assert len(sim.requests) == 2
        assert sim.count("login") == 3
        assert "3 requests" in repr(sim)


async def test_a_client_that_leaves_early_is_no_error(caplog: pytest.LogCaptureFixture) -> None:
    async with simulator() as sim, aiohttp.ClientSession() as session:
        sim.add_frame("w", "r", "large", b"x" * 20_000_000)
        sim.add_frame(sim.dataset.workspace_id, *first_frame(sim), b"x" * 20_000_000)
        url = await presigned(sim, session)
        answer = await session.get(exact(url))
        await answer.content.read(10)
        answer.close()
        assert (await login_raw(sim)).status == 200
    assert caplog.records == []


def test_a_url_lifetime_beyond_s3s_is_refused() -> None:
    with pytest.raises(ValueError, match="url_lifetime"):
        simulator(url_lifetime=604_801)


def test_the_account_is_shown_without_its_password() -> None:
    sim: Simulator = simulator()
    assert sim.account.password not in repr(sim.account) + repr(sim.behaviour) + repr(sim)
