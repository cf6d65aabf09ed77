"""An export, open: its sequences, its size, its SHA-256."""

from __future__ import annotations

from pathlib import Path
from typing import Self

from mirror.closing import Closing
from mirror.export.cut import SequenceSlice, cut_sequences
from mirror.export.source import Source


class ExportFile(Closing):
    """One mapped export; a context manager. `size` is in bytes.

    Cutting a large file holds the interpreter for its length (about 0.5 s for 400 MB).
    """

    __slots__ = ("_sequences", "_sha256", "_source", "path", "size")

    def __init__(self, source: Source, sequences: tuple[SequenceSlice, ...]) -> None:
        self.path = source.path
        self.size = source.size
        self._source = source
        self._sequences: tuple[SequenceSlice, ...] | None = sequences
        self._sha256: str | None = None

    @classmethod
    def open(cls, path: Path | str) -> Self:
        """Map and cut the export at `path`. Raises `ExportError` that says where it is wrong."""
        source = Source(Path(path))
        try:
            return cls(source, tuple(cut_sequences(source)))
        except BaseException:
            source.close()
            raise

    @property
    def sequences(self) -> tuple[SequenceSlice, ...]:
        """Every entry of `sequences`, in export order."""
        if self._sequences is None:
            raise ValueError("the export is closed")
        return self._sequences

    @property
    def stamp(self) -> tuple[int, int]:
        """Size, and time of the last change in nanoseconds, when it was opened."""
        return self._source.stamp

    @property
    def sha256(self) -> str:
        """Of the whole file, in hex; hashed on first use, which may be in a thread.

        Raises `ExportError` where the file was changed since it was opened.
        """
        if self._sha256 is None:
            self._sha256 = self._source.digest()
        return self._sha256

    def close(self) -> None:
        """Let go of the file. Slices held elsewhere stay readable until they are dropped."""
        self._sequences = None
        self._source.close()

    def __repr__(self) -> str:
        state = "closed" if self._sequences is None else f"{len(self._sequences)} sequences"
        return f"<ExportFile {str(self.path)!a}: {state}>"
