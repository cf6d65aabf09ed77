"""Bounds on bytes: how many may wait in memory, and how many may come in a second."""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import suppress
from mmap import MAP_ANONYMOUS, MAP_PRIVATE, mmap

_GRAIN = 64 * 1024
"""Bytes that the length of a block is a multiple of."""


class ByteBudget:
    """Bytes of unfinished bodies in memory. First come, first served; no one overtakes."""

    def __init__(self, capacity: int) -> None:
        self._capacity = self._free = capacity
        self.blocks = Blocks(capacity)
        self._waiters: deque[tuple[int, asyncio.Future[None]]] = deque()

    def __repr__(self) -> str:
        return f"<ByteBudget {self._free} of {self._capacity} free, {len(self._waiters)} waiting>"

    async def reserve(self, size: int) -> int:
        """Wait for `size` bytes; what was reserved (at most the capacity), for `release`."""
        size = min(size, self._capacity)
        if not self._waiters and size <= self._free:
            self._spend(size)
            return size
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.append((size, waiter))
        try:
            await waiter
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled():
                self.release(size)  # they were already ours
            else:
                self._grant()  # we may have stood in the way of smaller ones
            raise
        return size

    def release(self, size: int) -> None:
        """Give back what `reserve` returned."""
        self._free += size
        self._grant()

    def _grant(self) -> None:
        while self._waiters:
            size, waiter = self._waiters[0]
            if waiter.done():
                self._waiters.popleft()
                continue
            if size > self._free:
                return
            self._waiters.popleft()
            self._spend(size)
            waiter.set_result(None)

    def _spend(self, size: int) -> None:
        self.blocks.keep(self._free)  # one of them may be for these very bytes
        self._free -= size


class RateLimit:
    """At most so many bytes a second over all downloads together; a second may come in a burst."""

    def __init__(self, bytes_per_second: int) -> None:
        self._rate = bytes_per_second
        self._free_at = 0.0

    async def spend(self, size: int) -> None:
        """Wait until `size` more bytes fit under the rate."""
        now = asyncio.get_running_loop().time()
        self._free_at = max(self._free_at, now - 1.0) + size / self._rate
        if self._free_at > now:
            await asyncio.sleep(self._free_at - now)


class Blocks:
    """Memory that begins at a page, for large bodies, used again and again: what a machine has to
    find first costs more than filling it. `capacity`: bytes that are kept at the most."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._held = 0
        self._free: list[mmap] = []

    def __repr__(self) -> str:
        return f"<Blocks {self._held} bytes, {len(self._free)} free>"

    def take(self, size: int) -> mmap:
        """A block of at least `size` bytes, holding anything."""
        fitting = [block for block in self._free if size <= len(block) <= size + size // 2]
        if fitting:
            block = min(fitting, key=len)
            self._free.remove(block)
            return block
        length = -(-size // _GRAIN) * _GRAIN
        while self._free and self._held + length > self._capacity:
            self._drop(self._free.pop(0))
        block = mmap(-1, length, flags=MAP_PRIVATE | MAP_ANONYMOUS)
        self._held += length
        return block

    def give(self, block: mmap) -> None:
        """Give a block back, once nothing looks at it any more."""
        if self._held > self._capacity:
            self._drop(block)
        else:
            self._free.append(block)

    def keep(self, most: int) -> None:
        """Let go of free blocks beyond `most` bytes: other bodies need the memory."""
        while self._free and sum(map(len, self._free)) > most:
            self._drop(self._free.pop(0))

    def _drop(self, block: mmap) -> None:
        self._held -= len(block)
        with suppress(BufferError):  # an error that somebody keeps may still look at it
            block.close()
