"""What a run is asked to do."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from mirror.export import Selection
from mirror.shards import Shard


@dataclass(frozen=True, slots=True)
class SyncRequest:
    """One run. `limit`: at most so many frames, the first of the selection in export order.

    `retry_failed`: None for every frame that is not mirrored; '*' for those alone that failed
    before; a reason word for those that failed with it. `shard`: of all that, only its share.
    """

    exports: tuple[Path, ...]
    destination: Path
    selection: Selection = field(default_factory=Selection)
    limit: int | None = None
    retry_failed: str | None = None
    shard: Shard | None = None
