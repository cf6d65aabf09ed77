"""The two hosts of a run: how many requests each may have, and whether it is there at all."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Literal, ParamSpec, TypeVar

from mirror.errors import FrameError, ServiceUnavailableError, ThrottledError
from mirror.events import Events, HostPaused, HostResumed, LimitChanged
from mirror.settings import Settings
from mirror.sync.gate import Gate
from mirror.sync.limits import AdaptiveLimit
from mirror.sync.outage import Breaker
from mirror.sync.retry import Work

P = ParamSpec("P")
T = TypeVar("T")
HostHop = Literal["resolve", "download"]
_NAMES = {"resolve": "The API", "download": "The store"}


class PostponedError(Exception):
    """The host is paused and this was no probe: nothing was sent, nothing is charged."""


class Host:
    """One hop's host: a gate for its requests and a breaker for its outages."""

    def __init__(
        self, hop: HostHop, settings: Settings, events: Events, clock: Callable[[], float]
    ) -> None:
        self.hop = hop
        self.breaker = Breaker(settings.outage_patience, settings.retry_after_cap)
        self.gate = Gate(AdaptiveLimit(settings.concurrency), self._moved, clock)
        self._retry_after_cap = settings.retry_after_cap
        self._events = events
        self._clock = clock
        self._last_error: FrameError | None = None

    def __repr__(self) -> str:
        return f"<Host {self.hop} {self.gate!r} {self.breaker!r}>"

    async def run(
        self, work: Work, call: Callable[P, Awaitable[T]], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """`call` within the limit. Raises what it raises, or `PostponedError` during an outage."""
        work.hop = self.hop
        turn = await self.gate.enter()
        overload = answered = False
        try:
            if self.breaker.open and not work.probe:
                raise PostponedError
            result = await call(*args, **kwargs)
        except FrameError as error:
            overload = error.overload
            answered = _is_answer(error)
            self._failed(work, error)
            raise
        else:
            answered = True
            self._answered()
            return result
        finally:
            self.gate.leave(turn, overload=overload, answered=answered)

    def trip(self, error: FrameError) -> None:
        """Even a lone frame shows that nobody answers: pause."""
        self._last_error = error
        if not self.breaker.open:
            self.breaker.trip(self._clock(), self._asked(error))
            self._tell_paused(error)

    def probed(self) -> None:
        """A probe goes out."""
        self.breaker.probed(self._clock())

    def check(self) -> None:
        """Raise `ServiceUnavailableError` when the host has been away for too long."""
        if self.breaker.spent(self._clock()):
            detail = f": {self._last_error.detail}" if self._last_error else ""
            raise ServiceUnavailableError(
                f"{_NAMES[self.hop]} is unavailable{detail} What is mirrored so far"
                " is safe; running the same command again resumes."
            )

    def _answered(self) -> None:
        if self.breaker.answered(self._clock()):
            self._events.emit(HostResumed(self.hop))

    def _failed(self, work: Work, error: FrameError) -> None:
        if _is_answer(error):
            self._answered()
        if not error.blames_host:
            return
        self._last_error = error
        opened = self.breaker.failed(
            work.frame.row,
            self._clock(),
            self._asked(error),
            throttled=isinstance(error, ThrottledError),
            alone=error.of_login,
        )
        if opened or (work.probe and self.breaker.open):
            self._tell_paused(error)

    def _asked(self, error: FrameError) -> float | None:
        """What the host asked for, in seconds, never more than the cap."""
        if error.retry_after is None:
            return None
        return min(error.retry_after, self._retry_after_cap)

    def _tell_paused(self, error: FrameError) -> None:
        delay = max(0.0, self.breaker.until_probe(self._clock()))
        self._events.emit(HostPaused(self.hop, error.reason, error.detail, delay))

    def _moved(self, limit: int) -> None:
        self._events.emit(LimitChanged(self.hop, limit))


def _is_answer(error: FrameError) -> bool:
    """Whether the host did say something of use: not that it is away, nor half a body."""
    return not error.blames_host and (not error.retryable or error.tries is not None)
