"""What a process of a run and its parent say to each other, as messages over pipes.

To the process: first its `Task`, then `STOP`, once for each time the run is asked to stop. From it:
lists of events, then its `Ended`. A message is its length in four bytes, and MessagePack. The task
holds the password, so it goes over a pipe and nowhere else.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import fields
from operator import attrgetter
from typing import Any, TypeVar

import msgspec

from mirror.events import (
    Event,
    FileSetAside,
    FrameFailed,
    GroupCommitted,
    HostPaused,
    HostResumed,
    LimitChanged,
    LoggedIn,
    RequestFinished,
    RequestStarted,
    RetryScheduled,
)
from mirror.frames import FrameRef

T = TypeVar("T")
STOP = b"stop"
_LENGTH = 4


class Task(msgspec.Struct, frozen=True):
    """What a process is to do: fetch what the ledger of the shard `index` of `count` at `root`
    asks for. `settings`: all of them, secrets too."""

    root: str
    index: int
    count: int
    settings: dict[str, Any]

    def __repr__(self) -> str:
        return f"<Task {self.index}/{self.count} at {self.root!r}>"


class Ended(msgspec.Struct, frozen=True, tag=True):
    """How a process ended; `error`: the sentence about what ended it, where something did."""

    exit_code: int
    error: str | None = None


class Told(msgspec.Struct, frozen=True, tag=True):
    """Events, each as the number of its class and its fields."""

    events: list[list[Any]]


_CLASSES: tuple[type[Any], ...] = (
    RequestStarted,
    RequestFinished,
    LoggedIn,
    RetryScheduled,
    LimitChanged,
    HostPaused,
    HostResumed,
    GroupCommitted,
    FrameFailed,
    FileSetAside,
)
"""The events that a parent is told; the others it says itself."""
_NUMBERS = {kind: number for number, kind in enumerate(_CLASSES)}
_NAMES = [tuple(field.name for field in fields(kind)) for kind in _CLASSES]
_READ = [attrgetter(*names) if names else None for names in _NAMES]
_encode = msgspec.msgpack.Encoder().encode
_decode_said = msgspec.msgpack.Decoder(Told | Ended).decode
decode_task = msgspec.msgpack.Decoder(Task).decode


def pack(event: Event) -> list[Any] | None:
    """An event for a message; None for those that stay here."""
    number = _NUMBERS.get(type(event))
    if number is None:
        return None
    read = _READ[number]
    if read is None:
        return [number]
    found = read(event)
    return [number, *found] if len(_NAMES[number]) > 1 else [number, found]


def unpack(message: Sequence[Any]) -> Event:
    """The event that `pack` was given."""
    number, *values = message
    if values and _NAMES[number][0] == "ref":
        values[0] = FrameRef(*values[0])
    event: Event = _CLASSES[number](*values)
    return event


def framed(message: object) -> bytes:
    """A message as it goes over a pipe."""
    body = message if isinstance(message, bytes) else _encode(message)
    return len(body).to_bytes(_LENGTH, "big") + body


async def receive(reader: asyncio.StreamReader) -> bytes | None:
    """The next message; None where the other side has gone."""
    try:
        length = int.from_bytes(await reader.readexactly(_LENGTH), "big")
        return await reader.readexactly(length)
    except (asyncio.IncompleteReadError, ConnectionError):
        return None


async def hear(reader: asyncio.StreamReader) -> Told | Ended | None:
    """What a process says next; None where it has gone without a word."""
    message = await receive(reader)
    return None if message is None else _decode_said(message)
