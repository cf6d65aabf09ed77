"""Which frames are made durable together: bounds in frames, bytes and seconds, no clock, no I/O."""

from __future__ import annotations

from dataclasses import dataclass, field

from mirror.settings import Settings
from mirror.store import Failure, Written


@dataclass(frozen=True, slots=True)
class GroupBounds:
    """A group is due when it reaches one of these."""

    frames: int
    size: int
    seconds: float

    @classmethod
    def of(cls, settings: Settings) -> GroupBounds:
        """Half of what may be uncommitted: one group gathers while the other is committed."""
        return cls(
            frames=max(1, settings.commit_frames // 2),
            size=max(1, settings.commit_bytes // 2),
            seconds=settings.commit_seconds,
        )


@dataclass(slots=True)
class CommitGroup:
    """Frames that wait for their commit, and failures that wait to be recorded."""

    written: list[Written] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    size: int = 0
    since: float | None = None

    def __len__(self) -> int:
        return len(self.written) + len(self.failures)

    def add(self, written: list[Written], now: float) -> None:
        """Frames that are on disk, not yet durable."""
        self.written += written
        self.size += sum(item.size for item in written)
        self._touch(now)

    def add_failure(self, failure: Failure, now: float) -> None:
        """A frame that failed for good."""
        self.failures.append(failure)
        self._touch(now)

    def due_in(self, bounds: GroupBounds, now: float) -> float | None:
        """Seconds until it is to be committed; 0 or less: now; None: it is empty."""
        if self.since is None:
            return None
        if len(self) >= bounds.frames or self.size >= bounds.size:
            return 0.0
        return self.since + bounds.seconds - now

    def _touch(self, now: float) -> None:
        if self.since is None and len(self):
            self.since = now
