"""Makes a destination where a run has finished.

`python -m benchmarks.make_destination EXPORT DEST`: the export is ingested as a run does it; then
every frame is recorded as mirrored, and its file is there: sparse, of the recorded size, not one
byte of it a PNG's. So it serves to measure what a second run does, and nothing that reads frames.
`--files links` makes many names of one file: no inode for each, as ten million would need.
"""

from __future__ import annotations

import argparse
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from enum import StrEnum
from pathlib import Path

from mirror.export import ExportFile, Selection, select_frames
from mirror.store import Destination, ExportRecord, Layout, Ledger

SIZE = 88_000
_LINKS = 60_000
"""Names of one file: ext4 has room for 65,000."""
_MIRRORED = """
UPDATE frames SET state = 1, attempts = 1, size = ?, sha256 = randomblob(32), width = 1920,
height = 1080, mirrored_at = strftime('%Y-%m-%dT%H:%M:%SZ', 'now')
"""


class Files(StrEnum):
    """What stands for the frames on the disk."""

    SPARSE = "sparse"
    LINKS = "links"
    NONE = "none"


def make_destination(source: Path, root: Path, files: Files) -> int:
    """How many frames the finished destination at `root`, which is made, holds."""
    with (
        ExportFile.open(source) as export,
        Destination.open(root, Layout()) as destination,
        Ledger.open(destination) as ledger,
    ):
        record = ExportRecord(
            str(source.absolute()), export.sha256, export.size, len(export.sequences)
        )
        frames = ledger.ingest(record, select_frames([export], Selection())).frames
        if files is not Files.NONE:
            for group in select_frames([export], Selection()):
                folder = root / group.root_id
                folder.mkdir(0o700)
                _fill(folder, group.frame_ids, files)
    with closing(sqlite3.connect(root / ".mirror/ledger.sqlite3")) as db:
        db.execute("PRAGMA synchronous = OFF")
        db.execute(_MIRRORED, (SIZE,))
        db.commit()
    return frames


def _fill(folder: Path, frame_ids: tuple[str, ...], files: Files) -> None:
    place = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        named = _linked(place, frame_ids) if files is Files.LINKS else iter(frame_ids)
        for frame_id in named:
            _make(place, f"{frame_id}.png")
    finally:
        os.close(place)


def _linked(place: int, frame_ids: tuple[str, ...]) -> Iterator[str]:
    """The ids that need a file of their own; the others become names of the last of those."""
    for first in range(0, len(frame_ids), _LINKS):
        yield frame_ids[first]
        for frame_id in frame_ids[first + 1 : first + _LINKS]:
            os.link(
                f"{frame_ids[first]}.png",
                f"{frame_id}.png",
                src_dir_fd=place,
                dst_dir_fd=place,
            )


def _make(place: int, name: str) -> None:
    file = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600, dir_fd=place)
    try:
        os.ftruncate(file, SIZE)
    finally:
        os.close(file)


def main() -> None:
    """Parse, make, say how many."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("export", type=Path)
    parser.add_argument("dest", type=Path)
    parser.add_argument("--files", type=Files, choices=list(Files), default=Files.SPARSE)
    given = parser.parse_args()
    frames = make_destination(given.export, given.dest, given.files)
    print(f"{given.dest}: {frames} frames, {given.files} files")


if __name__ == "__main__":
    main()
