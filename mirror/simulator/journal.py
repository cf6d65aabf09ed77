"""What was asked, byte for byte, and what it was answered."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(slots=True)
class RecordedRequest:
    """One request as it was received.

    `hop`: login, resolve, download, or other. `target`: path and query, the bytes of the request
    line. `frame_id`: None for a login. `attempt`: which request for this frame and hop, from 1; 0
    where it was turned away for capacity. `time`: monotonic seconds. `status`: None until one is
    decided, and where no answer begins. Target and headers stay out of the repr.
    """

    hop: str
    method: str
    target: bytes = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    frame_id: str | None
    attempt: int
    time: float
    status: int | None = None


class Journal:
    """Keeps requests (at most `keep` of them, None for all) and counts every one."""

    def __init__(self, keep: int | None = None) -> None:
        self.requests: list[RecordedRequest] = []
        self.statuses: Counter[tuple[str, int | None]] = Counter()
        self.hops: Counter[str] = Counter()
        self._keep = keep
        self._attempts: Counter[tuple[str, str | None]] = Counter()

    def next_attempt(self, hop: str, frame_id: str | None) -> int:
        """The number of the attempt that begins now."""
        self._attempts[hop, frame_id] += 1
        return self._attempts[hop, frame_id]

    def open(
        self, hop: str, method: str, target: bytes, headers: Mapping[str, str], frame_id: str | None
    ) -> RecordedRequest:
        """Record a request on arrival; `attempt` and `status` are filled in as they are known."""
        record = RecordedRequest(hop, method, target, headers, frame_id, 0, time.monotonic())
        self.hops[hop] += 1
        if self._keep is None or len(self.requests) < self._keep:
            self.requests.append(record)
        return record

    def settle(self, record: RecordedRequest, status: int | None) -> None:
        """Note the status that is about to be sent."""
        record.status = status
        self.statuses[record.hop, status] += 1
