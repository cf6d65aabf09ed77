"""Frames on their way from the exports to a dataset, on the disk rather than in memory.

A format must know every label before its first frame is written, and some how many frames there
are. So frames are read once into nameless files, one for each split, and written from there.
"""

from __future__ import annotations

import struct
import tempfile
from collections.abc import Iterator
from pathlib import Path

import msgspec

from mirror.annotations.datasets.marks import Drawn
from mirror.closing import Closing

_LENGTH = struct.Struct("<I")


class Spool(Closing):
    """The frames of one split, in order; they can be walked over again and again."""

    def __init__(self, folder: Path) -> None:
        """The file is in `folder`, has no name there, and is gone with the process."""
        self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 - closed by `close`
        self._encoder = msgspec.msgpack.Encoder()
        self._decoder = msgspec.msgpack.Decoder(Drawn)
        self._count = 0

    def add(self, frame: Drawn) -> None:
        """One more, at the end."""
        data = self._encoder.encode(frame)
        self._file.write(_LENGTH.pack(len(data)))
        self._file.write(data)
        self._count += 1

    def __iter__(self) -> Iterator[Drawn]:
        self._file.seek(0)
        while head := self._file.read(_LENGTH.size):
            yield self._decoder.decode(self._file.read(*_LENGTH.unpack(head)))

    def __len__(self) -> int:
        return self._count

    def close(self) -> None:
        """The file is gone."""
        self._file.close()

    def __repr__(self) -> str:
        return f"<Spool {self._count} frames>"
