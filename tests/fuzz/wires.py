"""Bytes as the whole answer of a host on loopback, to each of the three requests of a frame.

The parser of HTTP, the sessions and the edge of the house are the real ones. The input's first byte
says to which request it is the answer; the others are answered well. From `INTO` on, bodies come in
two pieces and are received into memory, as large ones are.
"""

from __future__ import annotations

import asyncio
from functools import lru_cache
from typing import NamedTuple

from aiohttp import ClientSession, DefaultResolver
from pydantic import SecretStr

from mirror.errors import CredentialsError, FrameError, MirrorError, ProtocolError
from mirror.events import Event
from mirror.frames import FrameRef
from mirror.savant.api import Api
from mirror.savant.network import Names, guarded_sockets, open_connector, open_session, tls_context
from mirror.savant.remote import Remote
from mirror.savant.store import BodyStream
from mirror.savant.urls import ApiUrls, StoreRule
from mirror.savant.wire import Wire
from mirror.settings import Settings

PASSWORD = "hunter2-never-shown"
SIGNATURE = "X-Amz-Signature=5ec2e7"
CAP = 100_000
HOPS = ("login", "resolve", "download")
INTO = 96
"""Three divides it: the byte chooses the same request without it."""
REF = FrameRef("w", "r", "f")


def wire(data: bytes) -> None:
    """Log in, resolve, download: our errors alone, without a secret; no body beyond the cap."""
    if data:
        site = _site()
        site.host.hop, site.host.answer = HOPS[data[0] % 3], data[1:]
        into = site.host.in_two = data[0] >= INTO
        site.loop.run_until_complete(asyncio.wait_for(_frame(site, into), 20))


class _Host:
    """Answers one hop with the input, the others well; then closes the connection."""

    def __init__(self) -> None:
        self.hop = ""
        self.answer = b""
        self.in_two = False
        self.port = 0

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            hop = "login" if b"/login" in head else "resolve" if b"/frames/" in head else "download"
            if hop == "login":
                await reader.readuntil(b"shown")
            await self._say(self.answer if hop == self.hop else self._good(hop), writer)
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def _say(self, answer: bytes, writer: asyncio.StreamWriter) -> None:
        if self.in_two:
            first = answer.find(b"\r\n\r\n") + 5  # a byte of the body comes with its headers
            writer.write(answer[:first])
            answer = answer[first:]
            for _ in range(9):  # until the other side waits for the rest
                await asyncio.sleep(0)
        writer.write(answer)
        await writer.drain()

    def _good(self, hop: str) -> bytes:
        url = f"http://127.0.0.1:{self.port}/f.png?{SIGNATURE}"
        body = {
            "login": '{"access_token":"a.b.c"}',
            "resolve": f'{{"frame":{{"frame_path":"{url}"}}}}',
            "download": "a body",
        }[hop]
        return f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()


class _Site(NamedTuple):
    loop: asyncio.AbstractEventLoop
    host: _Host
    settings: Settings
    session: ClientSession
    server: asyncio.Server


@lru_cache(maxsize=1)  # a session and a host for all inputs, or a run would be about opening them
def _site() -> _Site:
    loop = asyncio.new_event_loop()
    return loop.run_until_complete(_open(loop))


async def _open(loop: asyncio.AbstractEventLoop) -> _Site:
    host = _Host()
    server = await asyncio.start_server(host, "127.0.0.1", 0)
    host.port = server.sockets[0].getsockname()[1]
    settings = Settings(domain=f"http://127.0.0.1:{host.port}", username="u", password=PASSWORD)
    guard = guarded_sockets(loopback=True, private=False)
    connector = open_connector(tls_context(None), Names(DefaultResolver()), guard)
    return _Site(loop, host, settings, open_session(connector, settings), server)


def close() -> None:
    """End what `wire` opened, if it did."""
    if _site.cache_info().currsize:
        site = _site()
        site.server.close()
        site.loop.run_until_complete(site.session.close())
        for task in asyncio.all_tasks(site.loop):
            task.cancel()
        site.loop.run_until_complete(asyncio.sleep(0.01))
        site.loop.close()
        _site.cache_clear()


def _ignore(_: Event) -> None:
    return


async def _frame(site: _Site, into: bool) -> None:
    settings = site.settings
    to = Wire(site.session, _ignore, site.loop.time, 10.0, 5.0)
    urls, rule = ApiUrls(settings.domain), StoreRule.of(settings)
    api = Api(to, urls, rule, "u", SecretStr(PASSWORD))
    remote = Remote(api, to, (CAP, 0))
    size = 0
    try:
        await remote.login()
        url = await remote.resolve(REF)
        async with remote.download(url) as body:
            size = await (_receive(body) if into and body.length else _iterate(body))
    except (FrameError, CredentialsError, ProtocolError) as error:
        _shows_no_secret(error, site)
    finally:
        await api.close()
    assert size <= CAP


async def _iterate(body: BodyStream) -> int:
    size = 0
    async for chunk in body:
        assert chunk
        size += len(chunk)
        assert size <= CAP
    return size


async def _receive(body: BodyStream) -> int:
    assert body.length is not None
    assert body.length <= CAP
    memory = bytearray(body.length + 8)
    try:
        with memoryview(memory)[: body.length] as room:
            await body.read_into(room)
    finally:
        await asyncio.sleep(0)  # what follows the body is on its way
        assert memory[body.length :] == bytes(8)
    memory.clear()  # a BufferError where anything still looks at it
    return body.length


def _shows_no_secret(error: MirrorError, site: _Site) -> None:
    assert error.__context__ is None or isinstance(error.__context__, MirrorError)
    for text in (str(error), repr(error)):
        assert PASSWORD not in text
        assert SIGNATURE not in text
        assert text.isprintable()
    assert len(site.host.answer) < 60 or site.host.answer[-40:] not in str(error).encode()
