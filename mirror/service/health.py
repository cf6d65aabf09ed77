"""Whether the process is well: decided from what it did last. No I/O, the clock injected.

A process whose loop hangs answers no probe at all; this is for the one that answers but does not
get on.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from mirror.events import Event

STUCK_AFTER = 900.0
"""Seconds without any event or scan. Longer than any wait that the settings' defaults allow."""


@dataclass(frozen=True, slots=True)
class Health:
    """`alive`: worth keeping; `ready`: at work. `reason`: why not, in words without names."""

    alive: bool = True
    ready: bool = True
    reason: str = ""


class Pulse:
    """A listener that remembers when something last happened."""

    def __init__(
        self, clock: Callable[[], float] = time.monotonic, stuck_after: float = STUCK_AFTER
    ) -> None:
        self._clock = clock
        self._stuck_after = stuck_after
        self._last = clock()
        self._started = False
        self._draining = False

    def __call__(self, _: Event) -> None:
        """Something happened in a run."""
        self.beat()

    def beat(self) -> None:
        """Something happened."""
        self._last = self._clock()

    def start(self) -> None:
        """The work has begun."""
        self._started = True
        self.beat()

    def drain(self) -> None:
        """The process is on its way out."""
        self._draining = True

    def health(self) -> Health:
        """How it is now."""
        if self._draining:
            return Health(alive=False, ready=False, reason="stopping")
        still = self._clock() - self._last
        if still > self._stuck_after:
            return Health(alive=False, ready=False, reason=f"nothing happened for {still:.0f} s")
        if not self._started:
            return Health(ready=False, reason="starting")
        return Health()
