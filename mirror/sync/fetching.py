"""One frame through both hops: a URL is used the moment it is minted.

A body up to the streaming threshold is collected in memory: as the list of chunks that came, or in
a block where it is large and announced. Beyond the threshold it goes to its temporary as it comes.
Either way its bytes in memory are reserved first.
"""

from __future__ import annotations

from mirror.savant import BodyStream, PresignedUrl, Remote
from mirror.settings import Settings
from mirror.store import (
    AnyBody,
    Body,
    Destination,
    LargeBody,
    PendingFrame,
    StreamedBody,
    open_stream,
)
from mirror.sync.budget import ByteBudget, RateLimit
from mirror.sync.hosts import Host
from mirror.sync.retry import Work
from mirror.sync.saving import LARGE, Saver

STREAM_MEMORY = 2 * 1024**2
"""Bytes a streamed body holds in memory: one block being filled, one being written."""


class Fetcher:
    """Takes frames from the remote side to the saver."""

    def __init__(
        self,
        remote: Remote,
        hosts: tuple[Host, Host],
        destination: Destination,
        memory: ByteBudget,
        saver: Saver,
        settings: Settings,
    ) -> None:
        self._remote = remote
        self._api, self._store = hosts
        self._destination = destination
        self._memory = memory
        self._saver = saver
        self._threshold = settings.stream_threshold
        self._rate = RateLimit(settings.max_rate) if settings.max_rate else None

    async def fetch(self, work: Work) -> None:
        """Resolve, download, hand over. Raises `FrameError` or `PostponedError`."""
        url = await self._api.run(work, self._remote.resolve, work.frame.ref)
        body, reserved = await self._store.run(work, self._download, work.frame, url)
        work.hop = "write"
        self._saver.put(body, reserved)

    async def _download(self, frame: PendingFrame, url: PresignedUrl) -> tuple[AnyBody, int]:
        """The body, and how many bytes are reserved for it until it is written."""
        async with self._remote.download(url) as stream:
            streamed = stream.length is not None and stream.length > self._threshold
            # reserved once: to ask for more while holding some could wait for ever
            reserved = await self._memory.reserve(
                STREAM_MEMORY if streamed else stream.length or self._threshold
            )
            try:
                if streamed:
                    body: AnyBody = await self._streamed(frame, stream, [])
                elif stream.length and stream.length >= LARGE and not self._rate:
                    body = await self._received(frame, stream, stream.length)
                else:
                    body = await self._collected(frame, stream)
            except BaseException:
                self._memory.release(reserved)
                raise
            return body, reserved

    async def _received(self, frame: PendingFrame, stream: BodyStream, size: int) -> LargeBody:
        block = self._memory.blocks.take(size)
        try:
            with memoryview(block)[:size] as memory:
                await stream.read_into(memory)
        except BaseException:
            self._memory.blocks.give(block)
            raise
        return LargeBody(frame, block, size)

    async def _collected(self, frame: PendingFrame, stream: BodyStream) -> Body | StreamedBody:
        chunks: list[bytes] = []
        size = 0
        async for chunk in stream:
            chunks.append(chunk)
            size += len(chunk)
            if self._rate:
                await self._rate.spend(len(chunk))
            if size > self._threshold:  # its length was not announced
                return await self._streamed(frame, stream, chunks)
        return Body(frame, chunks, size)

    async def _streamed(
        self, frame: PendingFrame, stream: BodyStream, first: list[bytes]
    ) -> StreamedBody:
        """The rest of `stream`, behind the chunks that came `first`, in a temporary."""
        target = await open_stream(self._destination)
        size = 0
        try:
            while first:
                size += len(first[0])
                await target.write(first.pop(0))
            async for chunk in stream:
                size += len(chunk)
                if self._rate:
                    await self._rate.spend(len(chunk))
                await target.write(chunk)
            return StreamedBody(frame, await target.close(), size)
        except BaseException:
            await target.abort()
            raise
