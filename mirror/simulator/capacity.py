"""How many requests a host works on at once, and what becomes of the others.

A place is held from the moment work on an answer begins until the answer is on its way.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Literal

Beyond = Literal["refuse", "queue"]


class Capacity:
    """Places for requests; `limit` None for any number. `beyond` it the next is refused, or waits.

    Those who wait come in the order of arrival.
    """

    def __init__(self, limit: int | None, beyond: Beyond) -> None:
        self.taken = 0
        self._limit = limit
        self._beyond = beyond
        self._waiting: deque[asyncio.Future[None]] = deque()

    async def take(self) -> bool:
        """A place, perhaps after waiting for one; False: refused."""
        if self._free():
            self.taken += 1
            return True
        if self._beyond == "refuse":
            return False
        place: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(place)
        try:
            await place
        except asyncio.CancelledError:
            if place.done() and not place.cancelled():
                self.give_back()
            raise
        return True

    def give_back(self) -> None:
        """The place is free again."""
        self.taken -= 1
        self._admit()

    def change(self, limit: int | None) -> None:
        """Another limit from now on; whoever has a place keeps it."""
        self._limit = limit
        self._admit()

    def _free(self) -> bool:
        return self._limit is None or self.taken < self._limit

    def _admit(self) -> None:
        while self._waiting and self._free():
            place = self._waiting.popleft()
            if not place.done():
                self.taken += 1
                place.set_result(None)
