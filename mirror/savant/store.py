"""The store: the body of one presigned URL at a time, bounded in size and slowness.

Invariants: the request is the URL, byte for byte, with no token and no cookie; nothing but a 200 is
a body; a body left early takes its connection with it. Whether the bytes are a whole image is
checked in `store/` of the house.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import TypeVar

from mirror.errors import FrameError, TooLargeError, TooSlowError, TruncatedError
from mirror.savant.classify import Answer, classify_download
from mirror.savant.exchange import Answered
from mirror.savant.rate import RateFloor
from mirror.savant.translate import Edge
from mirror.savant.values import PresignedUrl
from mirror.savant.wire import Telling, Wire, read_up_to

T = TypeVar("T")
RATE_WINDOW = 10.0
"""Seconds over which the minimum rate must be held."""

MAX_ERROR = 16 * 1024
"""Bytes of an error that are read to keep its connection; S3's are far below."""


class BodyStream:
    """The bytes of one download, in chunks as large as they came, none empty.

    `length`: bytes announced, None where they are not. Iterating raises `FrameError`s alone; the
    iteration may be left and taken up again.
    """

    __slots__ = (
        "_cap",
        "_clock",
        "_edge",
        "_floor",
        "_received",
        "_response",
        "_silence",
        "_telling",
        "_waited",
        "length",
    )

    def __init__(
        self,
        response: Answered,
        edge: Edge,
        telling: Telling,
        wire: Wire,
        limits: tuple[int, int],
    ) -> None:
        self.length = response.content_length
        self._response = response
        self._edge = edge
        self._telling = telling
        self._clock = wire.clock
        self._silence = wire.silence
        self._cap, minimum = limits
        self._floor = RateFloor(minimum, RATE_WINDOW)
        self._received = 0
        self._waited = 0.0

    def __aiter__(self) -> BodyStream:
        return self

    async def __anext__(self) -> bytes:
        chunk = await self._wait(self._response.content.readany)
        if not chunk:
            self._end()
            raise StopAsyncIteration
        self._count(len(chunk))
        return chunk

    async def read_into(self, memory: memoryview) -> None:
        """Have the whole body, `length` bytes, come into `memory`: without copies of it."""
        first = await self._wait(self._buffered)
        memory[: len(first)] = first
        self._count(len(first))
        if len(first) < len(memory):
            with self._edge:
                receiver = self._response.receive(memory[len(first) :])
            with receiver:
                while size := await self._wait(receiver.more):
                    self._count(size)
            with self._edge:
                self._response.end()
        self._end()

    async def _buffered(self) -> bytes:
        return self._response.content.read_nowait()

    async def _wait(self, more: Callable[[], Awaitable[T]]) -> T:
        since = self._clock()
        try:
            # bytes that are none of the body's (chunk extensions, trailers) never end a wait
            with self._edge, self._silence.wait():
                came = await more()
        except BaseException:
            self._telling.finish(None)
            raise
        # only the waiting counts: the reader's own slowness is not the store's
        self._waited += self._clock() - since
        return came

    def _count(self, size: int) -> None:
        self._received += size
        if self._received > self._cap:
            raise _too_large(self._cap)
        if self._floor.feed(self._waited, size):
            raise TooSlowError("The body came in below MIRROR_MIN_RATE.")

    def _end(self) -> None:
        if self.length is not None and self._received < self.length:
            raise TruncatedError(f"The body ended after {self._received} of {self.length} bytes.")
        self._telling.finish(200)


class Download:
    """One request to the store, open while its context is."""

    __slots__ = ("_limits", "_response", "_status", "_telling", "_url", "_wire")

    def __init__(self, wire: Wire, url: PresignedUrl, limits: tuple[int, int]) -> None:
        self._wire = wire
        self._url = url
        self._limits = limits
        self._status: int | None = None

    async def __aenter__(self) -> BodyStream:
        self._telling = self._wire.tell("download")
        try:
            self._response = await self._wire.get(self._url.target, self._take)
        except BaseException:
            self._telling.finish(self._status)
            raise
        edge = Edge(self._url.target.authority)
        return BodyStream(self._response, edge, self._telling, self._wire, self._limits)

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if not self._response.content.is_eof():
            self._response.close()
        self._telling.finish(None)

    async def _take(self, response: Answered) -> Answered:
        self._status = response.status
        body = b""
        if 400 <= response.status < 500:  # the others say all by their status
            body = await read_up_to(response, MAX_ERROR)
        failure = classify_download(Answer(response.status, response.headers, body))
        if failure is not None:
            raise failure
        if (response.content_length or 0) > self._limits[0]:
            raise _too_large(self._limits[0])
        return response


def _too_large(cap: int) -> FrameError:
    return TooLargeError(
        f"The body is larger than {cap} bytes; raise MIRROR_MAX_FRAME_BYTES if frames may be."
    )
