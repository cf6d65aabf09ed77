"""Whether a body comes in too slowly. No clock: it is fed with the time."""

from __future__ import annotations


class RateFloor:
    """Back-to-back windows, each of which must bring its share.

    `minimum`: bytes a second, 0 for no floor. `window`: seconds. Time that the reader spends
    elsewhere must not be fed, or a slow disk would look like a slow store.
    """

    __slots__ = ("_minimum", "_received", "_since", "_window")

    def __init__(self, minimum: int, window: float) -> None:
        self._minimum = minimum
        self._window = window
        self._since = 0.0
        self._received = 0

    def feed(self, now: float, size: int) -> bool:
        """`size` bytes came, `now` seconds into the waiting. True where a window fell short."""
        self._received += size
        elapsed = now - self._since
        if elapsed < self._window:
            return False
        short = self._received < self._minimum * elapsed
        self._since = now
        self._received = 0
        return short
