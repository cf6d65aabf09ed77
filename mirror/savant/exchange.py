"""GETs over aiohttp's connector and parser, without the session between them.

A session prepares each request for what ours never have (cookies, redirects, bodies, proxies,
compression), which costs twice what the rest does: `docs/decisions/gets-without-a-session.md`.

Invariants: a request goes out only where nothing waits to be read, since what a host says unasked
would be taken for its answer; a connection goes back to the pool only when its answer was read to
its end; a GET that an idle connection failed is sent once more. Errors are aiohttp's; they become
ours in `wire.py`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import aiohttp
from aiohttp.connector import Connection
from aiohttp.http import RawResponseMessage
from yarl import URL

from mirror.savant.patience import Patience
from mirror.savant.receiving import Receiver

_MOST_ORIGINS = 64


class Answered:
    """An answer whose body is not read yet. It ends by being read, or by `close`."""

    __slots__ = ("_connection", "content", "headers", "status")

    def __init__(
        self, message: RawResponseMessage, content: aiohttp.StreamReader, connection: Connection
    ) -> None:
        self.status = message.code
        self.headers: Mapping[str, str] = message.headers
        self.content = content
        self._connection: Connection | None = connection
        content.on_eof(self._end)

    def __repr__(self) -> str:
        return f"<Answered {self.status}>"

    @property
    def content_length(self) -> int | None:
        """Bytes announced; None where they are not. The parser let only digits pass."""
        length = self.headers.get("Content-Length")
        return None if length is None else int(length)

    def receive(self, memory: memoryview) -> Receiver:
        """Have what was not read yet come into `memory`, which it fills exactly."""
        connection = self._connection
        if connection is None or connection.protocol is None or connection.transport is None:
            raise self.content.exception() or aiohttp.ServerDisconnectedError
        if connection.transport.is_closing():  # no bytes come; its loss is told to aiohttp alone
            raise aiohttp.ClientPayloadError
        return Receiver(connection.protocol, connection.transport, memory)

    def end(self) -> None:
        """All was received. Raises what ended the connection before that."""
        error = self.content.exception()
        if error is not None:
            raise error
        self.content.feed_eof()

    def close(self) -> None:
        """Give up what was not read, and the connection with it. Safe to repeat."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _end(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.release()


class _Origin:
    """A host to ask: what its connections are made and told apart by, and the lines that every
    request to it has."""

    def __init__(self, url: URL, session: aiohttp.ClientSession) -> None:
        self.request = aiohttp.ClientRequest(
            "GET", url, loop=asyncio.get_running_loop(), session=session
        )
        lines = {"Host": url.host_port_subcomponent, **session.headers}
        self.lines = "".join(f"{name}: {value}\r\n" for name, value in lines.items())


class Getter:
    """Sends GETs over the connections of one session, with its headers and timeouts.

    `silence`: how long an answer's headers may take.
    """

    def __init__(
        self, session: aiohttp.ClientSession, read_bufsize: int, silence: Patience
    ) -> None:
        connector = session.connector
        if connector is None:
            raise ValueError("the session is closed")
        self._session = session
        self._connector = connector
        self._read_bufsize = read_bufsize
        self._silence = silence
        self._origins: dict[tuple[str, str | None, int | None], _Origin] = {}

    async def get(self, url: URL, headers: Mapping[str, str] | None = None) -> Answered:
        """The answer to a GET of `url`, which must be quoted, as `headers` must be safe."""
        origin = self._origin(url)
        more = "".join(f"{name}: {value}\r\n" for name, value in (headers or {}).items())
        request = f"GET {url.raw_path_qs} HTTP/1.1\r\n{origin.lines}{more}\r\n".encode("ascii")
        try:
            return await self._ask(origin, request)
        except aiohttp.ClientConnectorError:
            raise
        except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError):
            return await self._ask(origin, request)  # it had idled too long

    def _origin(self, url: URL) -> _Origin:
        key = (url.scheme, url.raw_host, url.port)
        origin = self._origins.get(key)
        if origin is None:
            if len(self._origins) >= _MOST_ORIGINS:
                self._origins.clear()
            origin = self._origins[key] = _Origin(url.origin(), self._session)
        return origin

    async def _ask(self, origin: _Origin, request: bytes) -> Answered:
        timeout = self._session.timeout
        try:
            connection = await self._connector.connect(origin.request, [], timeout)
        except TimeoutError:
            raise aiohttp.ConnectionTimeoutError("no connection in time") from None
        try:
            return await self._exchange(connection, request)
        except BaseException:
            connection.close()
            raise

    async def _exchange(self, connection: Connection, request: bytes) -> Answered:
        protocol, transport = connection.protocol, connection.transport
        if protocol is None or transport is None:
            raise aiohttp.ServerDisconnectedError
        protocol.set_response_params(
            read_until_eof=True,
            auto_decompress=False,
            read_bufsize=self._read_bufsize,
        )
        if protocol.should_close:
            raise aiohttp.ServerDisconnectedError  # it said something unasked
        transport.write(request)
        with self._silence.wait():
            while True:
                message, content = await protocol.read()
                if not 100 <= message.code < 200 or message.code == 101:
                    break
        if message.code == 101:  # whatever follows is no HTTP
            protocol.force_close()
        return Answered(message, content, connection)
