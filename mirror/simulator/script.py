"""What an action is given, and what it may give back: a whole answer, or a script for the wire."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from email.utils import formatdate

from mirror.simulator.answers import Answer, phrase


@dataclass(frozen=True, slots=True)
class Situation:
    """A request that is about to go wrong.

    `answer()` is what a sound host would say; it is asked for only where it is used, because a
    login hands out a token. `origin` is this host's. `other_version()` is a different picture for
    this frame. `expire(what)` ends "tokens" or "urls".
    """

    hop: str
    origin: str
    answer: Callable[[], Answer]
    other_version: Callable[[], bytes]
    expire: Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Send:
    """Bytes exactly as they go out."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Drip:
    """Bytes in small pieces, `interval` seconds apart."""

    data: bytes
    size: int
    interval: float


@dataclass(frozen=True, slots=True)
class Wait:
    """Seconds in which nothing happens."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Hang:
    """Nothing happens until the client leaves."""


@dataclass(frozen=True, slots=True)
class Reset:
    """A TCP RST."""


@dataclass(frozen=True, slots=True)
class Cut:
    """A FIN below TLS: no close_notify. Without TLS, a FIN."""


Step = Send | Drip | Wait | Hang | Reset | Cut | Answer


@dataclass(frozen=True, slots=True)
class Script:
    """Steps to be taken on the wire. `status` is the one sent, None where no answer starts.

    After the last step the connection is closed in the orderly way, unless that step is an
    `Answer`: then it is sent as any other.
    """

    status: int | None
    steps: tuple[Step, ...]


Act = Answer | Script


def head(status: int, headers: Iterable[tuple[str, str]]) -> bytes:
    """The status line and the headers, as bytes."""
    lines = [f"HTTP/1.1 {status} {phrase(status)}", f"Date: {formatdate(usegmt=True)}"]
    lines += [f"{name}: {value}" for name, value in headers]
    return "\r\n".join([*lines, "", ""]).encode("latin-1", "replace")


def sized_head(answer: Answer) -> bytes:
    """The head of an answer that announces its whole body."""
    return head(answer.status, (*answer.headers, ("Content-Length", str(len(answer.body)))))


def unsized_head(answer: Answer) -> bytes:
    """The head of an answer whose body ends with the connection."""
    closing = answer.with_headers(Connection="close")
    return head(closing.status, closing.headers)


def part(body: bytes, at: float) -> int:
    """How many bytes of a body come before `at` (0 to 1): never all of them, where at < 1."""
    if at >= 1:
        return len(body)
    return min(int(len(body) * at), max(0, len(body) - 1))
