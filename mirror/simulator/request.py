"""A request as the API and the store see it: read, and nothing decided."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from mirror.simulator.answers import Answer
from mirror.simulator.shelf import FrameName


@dataclass(frozen=True, slots=True)
class Received:
    """`target` is the raw path and query. `headers` ignore case."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def path(self) -> str:
        """The raw path."""
        return self.target.partition("?")[0]

    @property
    def query(self) -> str:
        """The raw query."""
        return self.target.partition("?")[2]


class Desk(Protocol):
    """One host's knowledge of what to say."""

    @property
    def banner(self) -> str:
        """Its `Server` header."""

    def identify(self, method: str, path: str) -> tuple[str, FrameName | None]:
        """The hop of a request, `other` for one nobody should make, and the frame it is about."""

    def answer(self, received: Received) -> Answer:
        """What a sound host says."""

    def overload(self) -> Answer:
        """What it says when too many requests are in flight."""
