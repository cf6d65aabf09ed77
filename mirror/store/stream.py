"""A body too large for memory goes to its temporary as it comes, in large blocks, off the loop.

Not durable and not checked here: the writer reads it back, the committer syncs it.
"""

from __future__ import annotations

import asyncio
import errno
import os
from contextlib import suppress

from aiofiles.threadpool import wrap
from aiofiles.threadpool.binary import AsyncBufferedIOBase

from mirror.errors import DestinationError, FrameError
from mirror.store.destination import Destination
from mirror.store.steps import Step
from mirror.store.trouble import LOST, destination_error, lost_error

BLOCK = 1024 * 1024
"""Bytes collected before they cost a hop to a thread."""


class StreamTarget:
    """One temporary being filled. Exactly one of `close` and `abort` ends it; after a failure or
    a cancellation that is `abort`. Failures are `DestinationError`, or `WriteLostError` where
    only this file is lost."""

    def __init__(self, destination: Destination, name: str, file: AsyncBufferedIOBase) -> None:
        self._destination = destination
        self._name = name
        self._file = file
        self._block = bytearray()

    def __repr__(self) -> str:
        return f"<StreamTarget {self._name}>"

    async def write(self, chunk: bytes | memoryview) -> None:
        """Take the next bytes."""
        self._block += chunk
        if len(self._block) >= BLOCK:
            await self._flush()

    async def close(self) -> str:
        """Hand the last bytes to the file system; the temporary's name."""
        await self._flush()
        try:
            await self._file.close()
        except OSError as error:
            raise _translate(self._destination, error) from None
        return self._name

    async def abort(self) -> None:
        """Remove the temporary, whatever state it is in."""
        # first, so that a second cancellation can't leave it behind
        self._destination.remove(self._name)
        with suppress(OSError):
            await self._file.close()

    async def _flush(self) -> None:
        # a new block, because a thread may still read the old one after a cancellation
        block, self._block = self._block, bytearray()
        try:
            await self._file.write(block)
            await self._file.flush()
        except OSError as error:
            raise _translate(self._destination, error) from None
        self._destination.reached(Step.BLOCK_WRITTEN)


async def open_stream(destination: Destination) -> StreamTarget:
    """A new temporary to stream a body into. Raises as `StreamTarget` does."""
    name = destination.temporary()
    try:
        # made in one go, so that a cancellation can't leave it open or behind
        file = os.fdopen(destination.create(name), "wb")
    except OSError as error:
        raise _translate(destination, error) from None
    destination.reached(Step.TEMPORARY_CREATED)
    loop = asyncio.get_running_loop()
    return StreamTarget(destination, name, wrap(file, loop=loop, executor=None))


def _translate(destination: Destination, error: OSError) -> DestinationError | FrameError:
    if error.errno in LOST and error.errno != errno.ENOENT:
        return lost_error(error)
    return destination_error(destination.root, error)
