"""Sends an act: a whole answer by aiohttp, a script step by step on the connection itself."""

from __future__ import annotations

import asyncio
import socket
import struct

from aiohttp import web
from aiohttp.abc import AbstractStreamWriter
from multidict import CIMultiDict

from mirror.simulator.answers import Answer
from mirror.simulator.script import Act, Cut, Drip, Hang, Reset, Script, Send, Step, Wait

_PIECE = 256 * 1024
_ABORTIVE = struct.pack("ii", 1, 0)
"""SO_LINGER on, zero seconds: closing sends RST."""


class _Spent(web.Response):
    """Stands for a connection on which nothing more may be said; aiohttp then closes it."""

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:
        raise ConnectionResetError


async def deliver(request: web.BaseRequest, act: Act) -> web.StreamResponse:
    """Send `act`; returns when it is sent, or when the client has left."""
    if isinstance(act, Answer):
        return await _send_answer(request, act)
    return await _play(request, act)


async def _send_answer(request: web.BaseRequest, answer: Answer) -> web.StreamResponse:
    response = web.Response(
        status=answer.status, body=answer.body, headers=CIMultiDict(answer.headers)
    )
    if answer.header("Connection") == "close":
        response.force_close()
    try:
        await response.prepare(request)
        await response.write_eof()
    except ConnectionError:
        return _Spent()
    return response


async def _play(request: web.BaseRequest, script: Script) -> web.StreamResponse:
    transport = request.transport
    if transport is None:
        return _Spent()
    # every drain then waits until nothing is left in user space: what was sent before a reset or
    # a pause has really gone out
    transport.set_write_buffer_limits(high=0)
    try:
        for step in script.steps:
            if isinstance(step, Answer):
                return await _send_answer(request, step)
            await _take(request.writer, transport, step)
    except ConnectionError:
        pass  # the client left in the middle, as it may
    return _Spent()


async def _take(writer: AbstractStreamWriter, transport: asyncio.Transport, step: Step) -> None:
    match step:
        case Send(data):
            for start in range(0, len(data), _PIECE):
                await writer.write(data[start : start + _PIECE])
                await writer.drain()
        case Drip(data, size, interval):
            for start in range(0, len(data), size):
                await asyncio.sleep(interval)
                await writer.write(data[start : start + size])
                await writer.drain()
        case Wait(seconds):
            await asyncio.sleep(seconds)
        case Hang():
            await _until_cancelled()
        case Reset():
            sock = transport.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _ABORTIVE)
            transport.abort()
        case Cut():
            transport.get_extra_info("socket").shutdown(socket.SHUT_WR)
            transport.abort()


async def _until_cancelled() -> None:
    """The server cancels a handler when its client leaves, and when it stops."""
    await asyncio.get_running_loop().create_future()
