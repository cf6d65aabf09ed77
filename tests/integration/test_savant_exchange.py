"""GETs as they go over the wire, and what becomes of their connections."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import aiohttp
import pytest
from yarl import URL

from mirror.savant.exchange import Getter
from mirror.savant.network import READ_BUFFER, Names, open_connector, open_session, tls_context
from mirror.savant.patience import Patience
from mirror.settings import Settings

Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@asynccontextmanager
async def host(talk: Talk, address: str = "127.0.0.1") -> AsyncIterator[tuple[URL, Getter]]:
    """A server that talks as told, and a getter for it."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await talk(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, address, 0)
    port = server.sockets[0].getsockname()[1]
    names = Names(aiohttp.DefaultResolver())
    connector = open_connector(tls_context(None), names, None)
    name = f"[{address}]" if ":" in address else address
    async with server, open_session(connector, Settings()) as session:
        yield URL(f"http://{name}:{port}"), Getter(session, READ_BUFFER, Patience(2.0))
    await names.close()


async def body_of(getter: Getter, url: URL, **headers: str) -> bytes:
    answered = await getter.get(url, headers)
    body = b""
    while not answered.content.at_eof():
        body += await answered.content.readany()
    return body


async def test_a_request_is_these_bytes_and_no_others() -> None:
    asked: list[bytes] = []

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(OK)

    async with host(talk) as (url, getter):
        target = URL(f"{url}/a%2Fb/c?X-Amz-Signature=%2B1&y", encoded=True)
        assert await body_of(getter, target, Authorization="bearer t") == b"ok"
    lines = asked[0].decode().split("\r\n")
    assert lines[0] == "GET /a%2Fb/c?X-Amz-Signature=%2B1&y HTTP/1.1"
    assert lines[1] == f"Host: {url.authority}"
    assert [line.split(":")[0] for line in lines[2:-2]] == [
        "User-Agent",
        "Accept",
        "Accept-Encoding",
        "Authorization",
    ]


async def test_a_connection_is_used_again_once_its_answer_is_read() -> None:
    connections: list[int] = []

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.append(1)
        while asked := await reader.readuntil(b"\r\n\r\n"):
            writer.write(OK if b"/half" not in asked else OK.replace(b"Length: 2", b"Length: 9"))

    async with host(talk) as (url, getter):
        for _ in range(3):
            assert await body_of(getter, url) == b"ok"
        answered = await getter.get(url / "half")
        answered.close()
        answered.close()
        assert await body_of(getter, url) == b"ok"
    assert len(connections) == 2  # what was not read to its end took its connection with it


async def test_what_an_idle_connection_failed_is_sent_once_more() -> None:
    asked: list[bytes] = []

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            asked.append(await reader.readuntil(b"\r\n\r\n"))
            if len(asked) == 2:
                return  # closed without an answer
            writer.write(OK)
            await writer.drain()

    async with host(talk) as (url, getter):
        assert await body_of(getter, url) == b"ok"
        assert await body_of(getter, url) == b"ok"
    assert len(asked) == 3


async def test_a_host_that_always_hangs_up_is_asked_twice() -> None:
    asked: list[bytes] = []

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readuntil(b"\r\n\r\n"))

    async with host(talk) as (url, getter):
        with pytest.raises(aiohttp.ServerDisconnectedError):
            await getter.get(url)
    assert len(asked) == 2


async def test_answers_before_the_answer_are_passed_over() -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\n\r\n" + OK)
        await writer.drain()

    async with host(talk) as (url, getter):
        assert await body_of(getter, url) == b"ok"


async def test_silence_ends_the_wait_for_an_answer() -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async with host(talk) as (url, getter):
        with pytest.raises(TimeoutError):
            await getter.get(url)


async def test_a_cancelled_request_takes_its_connection_with_it() -> None:
    ended = asyncio.Event()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        await reader.read()
        ended.set()

    async with host(talk) as (url, getter):
        task = asyncio.ensure_future(getter.get(url))
        await asyncio.sleep(0.1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        async with asyncio.timeout(5):
            await ended.wait()


async def test_an_address_in_brackets_is_named_so() -> None:
    asked: list[bytes] = []

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(OK)

    try:
        async with host(talk, "::1") as (url, getter):
            assert await body_of(getter, url) == b"ok"
    except OSError:
        pytest.skip("no IPv6 here")
    assert f"Host: [::1]:{url.port}\r\n".encode() in asked[0]
