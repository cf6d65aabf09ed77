"""Where the mirrored frames lie, and their sizes: what the ledger of a destination says.

Files are not looked at. A run that goes on meanwhile may add frames; shards that are not merged yet
don't count.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple, Self

from mirror.closing import Closing
from mirror.frames import FrameRef
from mirror.store import Layout, LedgerReader, open_whole


class MirroredImage(NamedTuple):
    """A mirrored frame's file; `width` and `height` in pixels."""

    path: Path
    width: int
    height: int


class SequenceImages:
    """The images of one sequence, by frame id; a path is made when it is asked for."""

    def __init__(self, root: Path, layout: Layout, name: tuple[str, str], ledger: LedgerReader):
        self._root = root
        self._layout = layout
        self._name = name
        self._sizes = ledger.dimensions(*name)

    def get(self, frame_id: str) -> MirroredImage | None:
        """The image of a frame; None where it is not mirrored."""
        size = self._sizes.get(frame_id)
        if size is None:
            return None
        path = self._layout.relative(FrameRef(*self._name, frame_id))
        return MirroredImage(self._root / path, *size)

    def __contains__(self, frame_id: str) -> bool:
        return frame_id in self._sizes


class MirroredImages(Closing):
    """The images of one destination."""

    def __init__(self, root: Path, ledger: LedgerReader) -> None:
        self.root = root
        self._ledger = ledger
        self.layout = Layout(ledger.template())

    @classmethod
    def open(cls, root: Path) -> Self:
        """Of the destination at `root`. Raises `DestinationError` where there is none."""
        ledger = open_whole(root)
        try:
            return cls(root, ledger)
        except BaseException:
            ledger.close()
            raise

    def of(self, workspace_id: str, root_id: str) -> SequenceImages:
        """Those of one sequence."""
        return SequenceImages(self.root, self.layout, (workspace_id, root_id), self._ledger)

    def close(self) -> None:
        """Let go of the ledger."""
        self._ledger.close()

    def __repr__(self) -> str:
        return f"<MirroredImages {str(self.root)!r}>"
