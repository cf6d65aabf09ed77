"""The rest of a body straight into memory of ours, past aiohttp's parser and its copies.

Only for a body of announced length, behind its headers. Invariants: not a byte more than fits is
taken from the connection, and whatever follows the body meets a parser of aiohttp that expects an
answer: nobody asked for one, so the connection is not used again. Once `Receiver` was left, nothing
writes into the memory or looks at it any more.
"""

from __future__ import annotations

import asyncio

from aiohttp.client_proto import ResponseHandler

from mirror.closing import Closing

STEP = 256 * 1024
"""Bytes that are worth waking a reader for."""
PAUSE = 0.1
"""Seconds after which fewer are, too: bytes that trickle are no silence."""


class Receiver(Closing, asyncio.BufferedProtocol):
    """Stands in for aiohttp's protocol on one connection. A context manager.

    `memory`: what is to be filled.
    """

    def __init__(
        self, protocol: ResponseHandler, transport: asyncio.Transport, memory: memoryview
    ) -> None:
        self._protocol = protocol
        self._transport = transport
        self._memory = memory
        self._size = len(memory)
        self._loop = asyncio.get_running_loop()
        self._received = self._told = 0
        self._told_at = self._loop.time()
        self._waiter: asyncio.Future[None] | None = None
        self._over = False

    def __repr__(self) -> str:
        return f"<Receiver {self._received} of {self._size} bytes>"

    def __enter__(self) -> Receiver:
        self._transport.set_protocol(self)
        return self

    def close(self) -> None:
        """Have the connection back with aiohttp's protocol."""
        self._end()
        self._memory.release()  # a TLS connection keeps its last receiver until its next one

    async def more(self) -> int:
        """Wait for bytes; how many came. 0: it is full, or the connection is lost."""
        if self._told == self._received and not self._over:
            self._waiter = self._loop.create_future()
            await self._waiter
        came, self._told = self._received - self._told, self._received
        return came

    # --- what the connection says ---------------------------------------------------------------

    def get_buffer(self, _: int) -> memoryview:
        """Where the next bytes go; never empty."""
        return self._memory[self._received :]

    def buffer_updated(self, size: int) -> None:
        """So many came."""
        self._received += size
        if self._received == self._size:
            # the old parser would take whatever follows for more of the body, and say nothing
            self._protocol.set_response_params()
            self._end()
        elif self._received - self._told >= STEP or self._loop.time() - self._told_at >= PAUSE:
            self._wake()

    def eof_received(self) -> None:
        """The other side ends."""
        self._protocol.eof_received()

    def connection_lost(self, error: Exception | None) -> None:
        """Told to aiohttp, whose stream then has the error."""
        self._protocol.connection_lost(error)
        self._end()

    def pause_writing(self) -> None:
        """Aiohttp's concern."""
        self._protocol.pause_writing()

    def resume_writing(self) -> None:
        """Aiohttp's concern."""
        self._protocol.resume_writing()

    def _end(self) -> None:
        if not self._over:
            self._over = True
            self._transport.set_protocol(self._protocol)
            self._wake()

    def _wake(self) -> None:
        self._told_at = self._loop.time()
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_result(None)
