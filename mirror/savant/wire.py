"""Requests as both hops make them: timed, told as events, bounded, translated.

Invariants: `RequestStarted` and `RequestFinished` come in pairs whatever happens between them. An
answer's headers (and a small body) come within the patience, however slowly they drip. After a
connection failed, its host's name is looked up afresh.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

import aiohttp
from yarl import URL

from mirror.errors import ConnectionFailedError, TimedOutError
from mirror.events import Hop, Listener, RequestFinished, RequestStarted
from mirror.savant.exchange import Answered, Getter
from mirror.savant.network import READ_BUFFER
from mirror.savant.patience import Patience
from mirror.savant.translate import Edge

Clock = Callable[[], float]
T = TypeVar("T")
R = TypeVar("R", Answered, aiohttp.ClientResponse)

_STARTED = {hop: RequestStarted(hop) for hop in ("login", "resolve", "download")}
_STATUS = {status: str(status) for status in range(100, 600)}


class Telling:
    """One request told as a pair of events."""

    __slots__ = ("_clock", "_emit", "_hop", "_since")

    def __init__(self, hop: Hop, emit: Listener, clock: Clock) -> None:
        self._hop = hop
        self._emit: Listener | None = emit
        self._clock = clock
        self._since = clock()
        emit(_STARTED[hop])

    def finish(self, status: int | None) -> None:
        """It ended with `status`, None where it broke. Only the first word counts."""
        if self._emit is None:
            return
        emit, self._emit = self._emit, None
        word = "error" if status is None else _STATUS.get(status, "error")
        emit(RequestFinished(self._hop, word, self._clock() - self._since))


class Wire:
    """One session, and how its requests are made.

    `patience`: seconds for all of a request but the body of a frame; `silence`: seconds for its
    answer's headers, and for the next bytes of such a body.
    """

    def __init__(
        self,
        session: aiohttp.ClientSession,
        emit: Listener,
        clock: Clock,
        patience: float,
        silence: float,
    ) -> None:
        self._session = session
        self.silence = Patience(silence)
        self._getter = Getter(session, READ_BUFFER, self.silence)
        self._patience = Patience(patience)
        self.emit = emit
        self.clock = clock

    def tell(self, hop: Hop) -> Telling:
        """Tell that a request starts now."""
        return Telling(hop, self.emit, self.clock)

    async def get(
        self,
        url: URL,
        take: Callable[[Answered], Awaitable[T]],
        headers: dict[str, str] | None = None,
    ) -> T:
        """What `take` makes of the answer to a GET. Raises our errors alone."""
        return await self._exchange(url, lambda: self._getter.get(url, headers), take)

    async def post(
        self,
        url: URL,
        take: Callable[[aiohttp.ClientResponse], Awaitable[T]],
        form: dict[str, str],
    ) -> T:
        """What `take` makes of the answer to a form. Raises our errors alone."""
        return await self._exchange(
            url, lambda: self._session.post(url, data=form, allow_redirects=False), take
        )

    async def _exchange(
        self,
        url: URL,
        send: Callable[[], Awaitable[R]],
        take: Callable[[R], Awaitable[T]],
    ) -> T:
        try:
            with Edge(url.authority), self._patience.wait():
                response = await send()
                try:
                    return await take(response)
                except BaseException:
                    response.close()
                    raise
        except (ConnectionFailedError, TimedOutError):
            self._forget(url)
            raise

    def _forget(self, url: URL) -> None:
        connector = self._session.connector
        if isinstance(connector, aiohttp.TCPConnector) and url.raw_host and url.port:
            connector.clear_dns_cache(url.raw_host, url.port)


async def read_up_to(response: Answered | aiohttp.ClientResponse, limit: int) -> bytes:
    """The body's first bytes: all of it, or more than `limit`."""
    content = response.content
    body = await content.readany()
    while len(body) <= limit and not content.at_eof():
        body += await content.readany()
    return body
