"""Frames that wait to be tried again. Nobody sleeps while holding a slot: the feeder asks here."""

from __future__ import annotations

import heapq
from itertools import count

from mirror.sync.retry import Work


class DelayQueue:
    """Work ordered by when it is due (seconds, monotonic)."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Work]] = []
        self._order = count()

    def __len__(self) -> int:
        return len(self._heap)

    def put(self, work: Work, due: float) -> None:
        """Keep `work` until `due`."""
        heapq.heappush(self._heap, (due, next(self._order), work))

    def next_due(self) -> float | None:
        """When the first of them is due; None where there is none."""
        return self._heap[0][0] if self._heap else None

    def pop(self) -> Work:
        """The one that is due first."""
        return heapq.heappop(self._heap)[2]

    def first(self) -> Work:
        """The one that is due first; it stays."""
        return self._heap[0][2]
