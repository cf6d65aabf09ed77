"""What happens in a run, as frozen values: the one seam through which it is observed.

The rooms emit; metrics, progress and the report subscribe. Nothing here calls back into the rooms,
and an event never carries a URL or a token. Events fire on the event loop's thread only.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from mirror.frames import FrameRef

Hop = Literal["login", "resolve", "download"]


@dataclass(frozen=True, slots=True)
class Preparing:
    """Work before the plan stands: reading exports, ingesting. `what` is for people."""

    what: str


@dataclass(frozen=True, slots=True)
class Verifying:
    """How far a verification is: frames of those recorded, bytes that are whole, damaged frames."""

    frames: int
    recorded: int
    size: int
    damaged: int


@dataclass(frozen=True, slots=True)
class RunStarted:
    """The plan stands. Counts are frames."""

    total: int
    already_mirrored: int


@dataclass(frozen=True, slots=True)
class RequestStarted:
    """One HTTP request is about to go out."""

    hop: Hop


@dataclass(frozen=True, slots=True)
class RequestFinished:
    """One HTTP request ended. `status`: the code, or 'error' where no answer came."""

    hop: Hop
    status: str
    seconds: float


@dataclass(frozen=True, slots=True)
class LoggedIn:
    """The API handed out a new access token."""


@dataclass(frozen=True, slots=True)
class RetryScheduled:
    """A frame will be tried again after `delay` seconds."""

    ref: FrameRef
    hop: Hop | Literal["write"]
    reason: str
    detail: str
    attempt: int
    delay: float


@dataclass(frozen=True, slots=True)
class LimitChanged:
    """A host's concurrency limit moved."""

    hop: Hop
    limit: int


@dataclass(frozen=True, slots=True)
class HostPaused:
    """A host does not answer; intake waits `delay` seconds before the next probe."""

    hop: Hop
    reason: str
    detail: str
    delay: float


@dataclass(frozen=True, slots=True)
class HostResumed:
    """A paused host answers again."""

    hop: Hop


@dataclass(frozen=True, slots=True)
class GroupCommitted:
    """A commit group is durable and recorded. `size` is in bytes, of the frames fetched."""

    mirrored: int
    adopted: int
    size: int
    seconds: float


@dataclass(frozen=True, slots=True)
class FrameFailed:
    """A frame failed for good in this run, and the ledger says so."""

    ref: FrameRef
    reason: str
    detail: str
    attempts: int


@dataclass(frozen=True, slots=True)
class FileSetAside:
    """A file that stood at a frame's name, but is not that frame, was moved to `kept_at`."""

    ref: FrameRef
    kept_at: str


@dataclass(frozen=True, slots=True)
class LedgerRebuilt:
    """The ledger was damaged and a new one was made. `what` is for people."""

    what: str


@dataclass(frozen=True, slots=True)
class ShardsFolded:
    """Shards' ledgers were taken into the ledger of the whole; `mirrored`, `failed`: frames whose
    state that changed; `damaged`: ledgers that could not be read."""

    shards: int
    mirrored: int
    failed: int
    damaged: int


@dataclass(frozen=True, slots=True)
class ProcessDied:
    """A process of the run ended before its work; `again`: whether another one goes on with it."""

    shard: int
    cause: str
    again: bool


@dataclass(frozen=True, slots=True)
class PurgeUnfinished:
    """A purge of the destination was cut short; the run leaves out what it was to erase."""


@dataclass(frozen=True, slots=True)
class Stopping:
    """Intake has stopped; what is in flight may finish within `grace` seconds."""

    cause: str
    grace: float


@dataclass(frozen=True, slots=True)
class RunFinished:
    """Everything is committed; nothing follows."""

    outcome: Literal["complete", "partial", "interrupted", "failed"]
    exit_code: int


@dataclass(frozen=True, slots=True)
class Idle:
    """Nothing runs: whatever was begun has ended, also where it failed before `RunFinished`."""


Event = (
    Preparing
    | Verifying
    | RunStarted
    | RequestStarted
    | RequestFinished
    | LoggedIn
    | RetryScheduled
    | LimitChanged
    | HostPaused
    | HostResumed
    | GroupCommitted
    | FrameFailed
    | FileSetAside
    | LedgerRebuilt
    | ShardsFolded
    | ProcessDied
    | PurgeUnfinished
    | Stopping
    | RunFinished
    | Idle
)

Listener = Callable[[Event], None]


class Events:
    """Hands each event to every subscriber, in the order they subscribed."""

    def __init__(self, *listeners: Listener) -> None:
        self._listeners = list(listeners)

    def subscribe(self, listener: Listener) -> None:
        """From now on, `listener` gets every event. It must not block and must not raise."""
        self._listeners.append(listener)

    def emit(self, event: Event) -> None:
        """Tell every subscriber. Call it on the event loop's thread only."""
        for listener in self._listeners:
            listener(event)
