"""Where the mirrored frames lie, and their sizes: what the ledger of a destination says.

Files are not looked at. A run that goes on meanwhile may add frames; shards that are not merged yet
don't count.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple, Self

from mirror.closing import Closing
from mirror.store import Layout, LedgerReader


class MirroredImage(NamedTuple):
    """A mirrored frame's file; `width` and `height` in pixels."""

    path: Path
    width: int
    height: int


class MirroredImages(Closing):
    """The images of one destination."""

    def __init__(self, root: Path, ledger: LedgerReader) -> None:
        self.root = root
        self._ledger = ledger
        self.layout = Layout(ledger.template())

    @classmethod
    def open(cls, root: Path) -> Self:
        """Of the destination at `root`. Raises `DestinationError` where there is none."""
        ledger = LedgerReader.open(root)
        try:
            return cls(root, ledger)
        except BaseException:
            ledger.close()
            raise

    def of(self, workspace_id: str, root_id: str) -> dict[str, MirroredImage]:
        """Those of one sequence, by frame id."""
        return {
            frame.ref.frame_id: MirroredImage(
                self.root / self.layout.relative(frame.ref), frame.width, frame.height
            )
            for frame in self._ledger.recorded_of(workspace_id, root_id)
        }

    def close(self) -> None:
        """Let go of the ledger."""
        self._ledger.close()

    def __repr__(self) -> str:
        return f"<MirroredImages {str(self.root)!r}>"
