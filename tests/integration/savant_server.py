"""A scripted host on a raw socket, for the tests of the remote side alone.

`serve` starts one; every request is recorded, then answered by the host's `reply`. A reply writes
bytes as it likes, so that every way of breaking HTTP is at hand.
"""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field


@dataclass
class Request:
    """What came in. Header names are lower case."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes
    connection: int


Reply = Callable[[Request, asyncio.StreamWriter], Awaitable[None]]


@dataclass
class Host:
    """One scripted host."""

    port: int
    scheme: str
    reply: Reply
    requests: list[Request] = field(default_factory=list)
    connections: int = 0
    closed: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}"

    def count(self, part: str) -> int:
        """How many requests had `part` in their target."""
        return sum(part in request.target for request in self.requests)


@asynccontextmanager
async def serve(reply: Reply, tls: ssl.SSLContext | None = None) -> AsyncIterator[Host]:
    """A host that answers every request by `reply`, or by what `host.reply` is set to later."""
    host = Host(0, "https" if tls else "http", reply)
    tasks: set[asyncio.Task[None]] = set()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        task.add_done_callback(tasks.discard)
        host.connections += 1
        number = host.connections
        try:
            with suppress(ConnectionError, asyncio.IncompleteReadError, ssl.SSLError):
                while not writer.is_closing():
                    request = await _read_request(reader, number)
                    host.requests.append(request)
                    await host.reply(request, writer)
                    if not writer.is_closing():
                        await writer.drain()
        finally:
            writer.transport.abort()
            host.closed.set()

    server = await asyncio.start_server(connected, "127.0.0.1", 0, ssl=tls)
    host.port = server.sockets[0].getsockname()[1]
    try:
        yield host
    finally:
        server.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.sleep(0)


async def _read_request(reader: asyncio.StreamReader, connection: int) -> Request:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    method, target, _ = head[0].split(" ")
    headers = dict(line.split(": ", 1) for line in head[1:] if line)
    headers = {name.lower(): value for name, value in headers.items()}
    body = await reader.readexactly(int(headers.get("content-length", 0)))
    return Request(method, target, headers, body, connection)


def message(status: int, body: bytes | str | dict = b"", **headers: str) -> bytes:
    """A whole answer. `_` in a header's name stands for `-`; Content-Length is added."""
    if isinstance(body, dict):
        body = json.dumps(body)
    if isinstance(body, str):
        body = body.encode()
    headers = {"Content_Length": str(len(body)), **headers}
    lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    return f"HTTP/1.1 {status} X\r\n{lines}\r\n".encode() + body


def answer(status: int, body: bytes | str | dict = b"", **headers: str) -> Reply:
    """Replies with a whole answer."""
    return send(message(status, body, **headers))


def send(data: bytes, then: Callable[[asyncio.StreamWriter], None] | None = None) -> Reply:
    """Replies with these bytes, then does `then`: `cut`, `reset`, or nothing."""

    async def reply(_: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(data)
        await writer.drain()
        if then is not None:
            then(writer)

    return reply


def cut(writer: asyncio.StreamWriter) -> None:
    """Close the connection with a FIN; under TLS without its close_notify."""
    writer.transport.get_extra_info("socket").shutdown(socket.SHUT_WR)
    writer.close()


def reset(writer: asyncio.StreamWriter) -> None:
    """Close the connection with a RST."""
    sock = writer.transport.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


def in_turn(*replies: Reply) -> Reply:
    """One reply after another; the last one for good."""
    queue = list(replies)

    async def reply(request: Request, writer: asyncio.StreamWriter) -> None:
        await (queue.pop(0) if len(queue) > 1 else queue[0])(request, writer)

    return reply


def by_path(**replies: Reply) -> Reply:
    """The reply whose name is in the request's target."""

    async def reply(request: Request, writer: asyncio.StreamWriter) -> None:
        for name, chosen in replies.items():
            if name in request.target:
                return await chosen(request, writer)
        raise AssertionError(f"no reply for {request.target}")

    return reply


async def silence(_: Request, __: asyncio.StreamWriter) -> None:
    """Never replies."""
    await asyncio.Event().wait()
