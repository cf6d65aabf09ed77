"""Large bodies straight into memory, over real sockets: what arrives, what must not, and what
becomes of the connection."""

from __future__ import annotations

import asyncio
import os
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from savant_server import Host, Reply, Request, answer, cut, in_turn, message, reset, send, serve
from yarl import URL

from mirror.errors import (
    FrameError,
    TimedOutError,
    TooSlowError,
    TruncatedError,
)
from mirror.events import Event, RequestFinished, RequestStarted
from mirror.savant import PresignedUrl, Remote, connect
from mirror.savant.receiving import PAUSE
from mirror.settings import Settings
from tests.tls import certified

BODY = os.urandom(700_001)
OTHER = os.urandom(600_000)
HALF = len(BODY) // 2
WHOLE = message(200, BODY)
HEAD = WHOLE[: -len(BODY)]
SECRET = "canary"
HOLLOW = bytes(len(BODY))


@dataclass
class Store:
    """A scripted store, and the remote side that asks it."""

    host: Host
    remote: Remote
    events: list[Event] = field(default_factory=list)

    @property
    def url(self) -> PresignedUrl:
        text = f"{self.host.url}/f.png?X-Amz-Signature={SECRET}"
        return PresignedUrl(text, URL(text, encoded=True))

    async def fetch(self, memory: bytearray | None = None) -> bytes:
        """One body, in memory that nobody looks at afterwards."""
        async with self.remote.download(self.url) as stream:
            assert stream.length is not None
            filled = bytearray(stream.length) if memory is None else memory
            with memoryview(filled) as view:
                await stream.read_into(view)
        body = bytes(filled)
        filled.clear()  # a BufferError where anything still looks at it
        return body

    async def fails(self, kind: type[FrameError]) -> FrameError:
        """The error of one body; it shows no secret, not even by what led to it."""
        with pytest.raises(FrameError) as caught:
            await self.fetch()
        error: BaseException | None = caught.value
        assert type(error) is kind
        while error is not None:
            assert SECRET not in f"{error} {error!r}"
            assert isinstance(error, FrameError)
            error = error.__context__
        return caught.value

    def told(self) -> list[str]:
        """How each request ended; every one that began did."""
        started = [event for event in self.events if isinstance(event, RequestStarted)]
        finished = [event.status for event in self.events if isinstance(event, RequestFinished)]
        assert len(started) == len(finished)
        return finished


Open = Callable[..., Any]


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[ssl.SSLContext, Path]:
    """A server's context, and the CA bundle to trust it by."""
    return certified(tmp_path_factory.mktemp("tls"))


@pytest.fixture(params=["plain", "tls"])
def opened(request: pytest.FixtureRequest, certificate: tuple[ssl.SSLContext, Path]) -> Open:
    """Opens a store that answers so."""
    tls, bundle = certificate if request.param == "tls" else (None, None)

    @asynccontextmanager
    async def open_(reply: Reply, **changes: Any) -> AsyncIterator[Store]:
        events: list[Event] = []
        async with serve(reply, tls) as host:
            settings = Settings(
                domain=host.url,
                username="me",
                password="p",
                read_timeout=changes.pop("read_timeout", 5.0),
                ca_bundle=bundle,
                **changes,
            )
            async with connect(settings, events.append) as remote:
                store = Store(host, remote, events)
                yield store
            store.told()

    return open_


async def settle() -> None:
    """Let both ends see what was sent: each turn of the loop looks at the sockets."""
    for _ in range(50):
        await asyncio.sleep(0)


async def until(condition: Callable[[], bool]) -> None:
    while True:
        if condition():
            return
        await asyncio.sleep(0.001)


def talk(script: Callable[[asyncio.StreamWriter], Awaitable[None]]) -> Reply:
    async def reply(_: Request, writer: asyncio.StreamWriter) -> None:
        await script(writer)

    return reply


# --- all of it ------------------------------------------------------------------------------------


async def in_one_go(writer: asyncio.StreamWriter) -> None:
    writer.write(WHOLE)


async def headers_first(writer: asyncio.StreamWriter) -> None:
    writer.write(HEAD)
    await writer.drain()
    await settle()
    writer.write(BODY)


async def all_but_a_byte_with_the_headers(writer: asyncio.StreamWriter) -> None:
    writer.write(WHOLE[:-1])
    await writer.drain()
    await settle()
    writer.write(WHOLE[-1:])


async def in_tiny_pieces(writer: asyncio.StreamWriter) -> None:
    for at in range(0, len(WHOLE), 1461):
        writer.write(WHOLE[at : at + 1461])
        await writer.drain()
        await asyncio.sleep(0)


@pytest.mark.parametrize(
    "script", [in_one_go, headers_first, all_but_a_byte_with_the_headers, in_tiny_pieces]
)
async def test_a_body_arrives_byte_for_byte_and_its_connection_is_used_again(
    opened: Open, script: Callable[[asyncio.StreamWriter], Awaitable[None]]
) -> None:
    async with opened(in_turn(talk(script), answer(200, OTHER), talk(script))) as store:
        assert await store.fetch() == BODY
        assert await store.fetch() == OTHER
        assert await store.fetch() == BODY
        assert store.host.connections == 1
        assert store.told() == ["200"] * 3


async def test_a_body_that_came_while_it_had_no_memory_arrives(opened: Open) -> None:
    """Then the reading pauses, and goes on once there is memory."""
    async with opened(send(WHOLE)) as store:
        for _ in range(2):
            async with store.remote.download(store.url) as stream:
                await asyncio.sleep(0.02)
                memory = bytearray(len(BODY))
                await stream.read_into(memoryview(memory))
                assert memory == BODY
        assert store.host.connections == 1


async def test_a_body_that_is_there_with_its_headers_needs_no_receiver(opened: Open) -> None:
    async with opened(answer(200, b"small")) as store:
        assert await store.fetch() == b"small"
        assert await store.fetch() == b"small"
        assert store.host.connections == 1


async def test_many_at_once_do_not_meet(opened: Open) -> None:
    bodies = [bytes([n]) * (600_000 + n) for n in range(8)]

    async def reply(request: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(message(200, bodies[request.connection - 1]))

    async with opened(reply) as store:
        came = await asyncio.gather(*(store.fetch() for _ in bodies))
    assert sorted(came) == bodies


async def test_the_last_body_of_a_connection_is_whole(opened: Open) -> None:
    """Its FIN comes with its last byte."""
    async with opened(send(message(200, BODY, Connection="close"), cut)) as store:
        assert await store.fetch() == BODY
        assert await store.fetch() == BODY
        assert store.host.connections == 2


async def test_a_body_of_unknown_length_still_goes_the_other_way(opened: Open) -> None:
    parts = [BODY[:HALF], BODY[HALF:], b""]
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts)
    head = b"HTTP/1.1 200 X\r\nTransfer-Encoding: chunked\r\n\r\n"
    async with opened(in_turn(send(head + chunks), send(WHOLE))) as store:
        async with store.remote.download(store.url) as stream:
            assert stream.length is None
            assert b"".join([part async for part in stream]) == BODY
        assert await store.fetch() == BODY
        assert store.host.connections == 1


async def test_a_length_beside_chunks_is_refused(opened: Open) -> None:
    """Which of the two counts is what answers are smuggled by."""
    part = b"%x\r\n%b\r\n0\r\n\r\n" % (len(BODY), BODY)
    head = HEAD[:-2] + b"Transfer-Encoding: chunked\r\n\r\n"
    async with opened(send(head + part)) as store:
        with pytest.raises(FrameError):
            await store.fetch()


# --- not all of it --------------------------------------------------------------------------------


async def test_fault_19_26_a_body_that_is_cut_is_truncated(opened: Open) -> None:
    """Under TLS without close_notify."""
    async with opened(in_turn(send(WHOLE[:-1], cut), send(WHOLE))) as store:
        await store.fails(TruncatedError)
        assert await store.fetch() == BODY
        assert store.told() == ["error", "200"]


@pytest.mark.parametrize("there", [0, 1, HALF])
async def test_fault_19_a_body_that_is_cut_later_is_truncated(opened: Open, there: int) -> None:
    """Once the receiver waits; under TLS with close_notify."""

    async def script(writer: asyncio.StreamWriter) -> None:
        writer.write(HEAD + BODY[:there])
        await writer.drain()
        await asyncio.sleep(0.05)
        writer.close()

    async with opened(talk(script)) as store:
        before = time.monotonic()
        await store.fails(TruncatedError)
        assert time.monotonic() - before < 2
        assert store.told() == ["error"]


async def test_fault_18_a_body_that_is_reset_is_truncated(opened: Open) -> None:
    async with opened(in_turn(send(WHOLE[:HALF], reset), send(WHOLE))) as store:
        await store.fails(TruncatedError)
        assert await store.fetch() == BODY


async def test_fault_18_a_connection_lost_while_its_body_had_no_memory_is_noticed(
    opened: Open,
) -> None:
    async with (
        opened(send(WHOLE[: len(HEAD) + 10], reset)) as store,
        store.remote.download(store.url) as stream,
    ):
        await store.host.closed.wait()
        await settle()
        with pytest.raises(TruncatedError):
            await stream.read_into(memoryview(bytearray(len(BODY))))


async def test_a_connection_that_is_going_is_not_waited_for(opened: Open) -> None:
    """Its loss is on its way to aiohttp's protocol already, so that the receiver never hears it."""

    async def script(writer: asyncio.StreamWriter) -> None:
        writer.write(HEAD + b"x")
        await writer.drain()
        await asyncio.sleep(60)

    async with opened(talk(script)) as store, store.remote.download(store.url) as stream:
        connection = stream._response._connection
        assert connection is not None
        assert connection.transport is not None
        connection.transport.abort()
        await asyncio.sleep(0)
        async with asyncio.timeout(2):
            with pytest.raises(TruncatedError):
                await stream.read_into(memoryview(bytearray(len(BODY))))


async def test_fault_23_silence_ends_the_wait_and_bytes_that_trickle_do_not(opened: Open) -> None:
    sent, silence = [], 0.6

    async def script(writer: asyncio.StreamWriter) -> None:
        writer.write(HEAD)
        for at in range(15):
            await asyncio.sleep(0.1)
            writer.write(BODY[at : at + 1])
            await writer.drain()
            sent.append(time.monotonic())
        await asyncio.sleep(60)

    async with opened(talk(script), read_timeout=silence) as store:
        await store.fails(TimedOutError)
        took = time.monotonic() - sent[-1]
    assert len(sent) == 15
    assert silence - 2 * PAUSE <= took < 5
    assert store.told() == ["error"]


async def test_fault_24_a_drip_is_given_up_for_its_rate(
    opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mirror.savant.store.RATE_WINDOW", 0.3)

    async def script(writer: asyncio.StreamWriter) -> None:
        writer.write(HEAD)
        for at in range(1000):
            writer.write(BODY[at : at + 1])
            await writer.drain()
            await asyncio.sleep(0.02)

    async with opened(talk(script)) as store:
        before = time.monotonic()
        await store.fails(TooSlowError)
        assert time.monotonic() - before < 5
        assert store.told() == ["error"]


# --- more than all of it --------------------------------------------------------------------------

UNASKED = {
    "an answer": message(200, b"evil"),
    "a large answer": message(200, OTHER),
    "noise": b"\x00evil" * 1000,
    "a byte": b"e",
}


@pytest.mark.parametrize("extra", UNASKED.values(), ids=UNASKED.keys())
async def test_fault_22_what_follows_a_body_is_given_to_nobody(opened: Open, extra: bytes) -> None:
    async with opened(in_turn(send(WHOLE + extra), send(WHOLE))) as store:
        assert await store.fetch() == BODY
        await settle()
        assert await store.fetch() == BODY
        assert store.host.connections == 2, "it can't be trusted any more"


@pytest.mark.parametrize("extra", UNASKED.values(), ids=UNASKED.keys())
async def test_fault_22_what_comes_while_a_connection_idles_is_given_to_nobody(
    opened: Open, extra: bytes
) -> None:
    done = asyncio.Event()

    async def late(writer: asyncio.StreamWriter) -> None:
        writer.write(WHOLE)
        await done.wait()
        writer.write(extra)
        await writer.drain()

    async with opened(in_turn(talk(late), send(WHOLE))) as store:
        assert await store.fetch() == BODY
        done.set()
        await settle()
        assert await store.fetch() == BODY
        assert store.host.connections == 2, "it can't be trusted any more"


# --- given up -------------------------------------------------------------------------------------


async def test_a_cancelled_body_takes_its_connection_with_it_and_writes_nothing_more(
    opened: Open,
) -> None:
    half, sent = asyncio.Event(), asyncio.Event()

    async def script(writer: asyncio.StreamWriter) -> None:
        writer.write(WHOLE[: len(HEAD) + HALF])
        await writer.drain()
        half.set()
        await sent.wait()
        for at in range(HALF, len(BODY), 50_000):
            writer.write(BODY[at : at + 50_000])
            await asyncio.sleep(0)
        await writer.drain()

    memory = bytearray(len(BODY))
    async with opened(in_turn(talk(script), send(WHOLE))) as store:
        task = asyncio.create_task(store.fetch(memory))
        await half.wait()
        await until(lambda: memory[:HALF] == BODY[:HALF])
        task.cancel()
        sent.set()  # the other half is on its way when the task ends
        with pytest.raises(asyncio.CancelledError):
            await task
        memory[:] = HOLLOW
        await asyncio.wait_for(store.host.closed.wait(), 5)
        await settle()
        assert memory == HOLLOW
        assert await store.fetch() == BODY
        assert store.host.connections == 2
        assert store.told() == ["error", "200"]


async def test_a_body_that_timed_out_writes_nothing_more(opened: Open) -> None:
    """The same where nobody cancelled it, and the connection is not closed yet."""
    given_up = asyncio.Event()

    async def script(writer: asyncio.StreamWriter) -> None:
        writer.write(WHOLE[: len(HEAD) + HALF])
        await given_up.wait()
        writer.write(WHOLE[len(HEAD) + HALF :])
        await writer.drain()

    memory = bytearray(len(BODY))
    async with (
        opened(talk(script), read_timeout=0.2) as store,
        store.remote.download(store.url) as stream,
    ):
        with pytest.raises(TimedOutError):
            await stream.read_into(memoryview(memory))
        assert memory[:HALF] == BODY[:HALF]
        memory[:] = HOLLOW
        given_up.set()
        await settle()
        assert memory == HOLLOW


async def test_a_receiver_tells_how_far_it_is(opened: Open) -> None:
    async with (
        opened(send(WHOLE[: len(HEAD) + HALF])) as store,
        store.remote.download(store.url) as stream,
    ):
        receiver = stream._response.receive(memoryview(bytearray(len(BODY))))
        with receiver:
            assert f"of {len(BODY)} bytes" in repr(receiver)
        assert f"of {len(BODY)} bytes" in repr(receiver)
