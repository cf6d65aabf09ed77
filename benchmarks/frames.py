"""The frames: a pool of PNGs that do not compress, an export that names them, and whether all of
them have arrived.

An id's last two hexadecimal digits choose a frame of the pool, so every file can be held against
what it must be, whatever a peer calls it.
"""

from __future__ import annotations

import json
import os
import uuid
import zlib
from collections import Counter
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from benchmarks.figures import steady_rate

POOL = 64
"""Different frames in the store."""
ONE_IN = 16
"""Of the files of a run that is not looked at whole, every so manieth is read."""


def make_png(size: int, seed: int) -> bytes:
    """A whole grey PNG of about `size` bytes that does not compress."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        crc = zlib.crc32(kind + data).to_bytes(4, "big")
        return len(data).to_bytes(4, "big") + kind + data + crc

    width, rows = 1024, max(1, size // 1025)
    raw = b"".join(b"\0" + os.urandom(width) for _ in range(rows))
    data = zlib.compress(raw, 0)
    header = width.to_bytes(4, "big") + rows.to_bytes(4, "big") + bytes([8, 0, 0, 0, 0])
    body = chunk(b"IHDR", header) + chunk(b"tEXt", f"seed\0{seed:02}".encode())
    body += b"".join(chunk(b"IDAT", data[at : at + 8192]) for at in range(0, len(data), 8192))
    return b"\x89PNG\r\n\x1a\n" + body + chunk(b"IEND", b"")


def write_pool(folder: Path, frame_bytes: int) -> None:
    """The files the store serves: 00.png and on."""
    folder.mkdir(parents=True)
    for number in range(POOL):
        (folder / f"{number:02x}.png").write_bytes(make_png(frame_bytes, number))


def write_export(path: Path, frames: int, sequences: int = 8) -> None:
    """An export of so many frames, at least one, without labels."""
    parts = min(sequences, frames)
    written = []
    for number in range(parts):
        count = frames // parts + (number < frames % parts)
        ids = (str(uuid.uuid5(uuid.NAMESPACE_OID, f"{number} {i}")) for i in range(count))
        rows = [{"id": f"{frame[:-2]}{int(frame[-2:], 16) % POOL:02x}"} for frame in ids]
        written.append({"rootId": f"root-{number}", "workspaceId": "w", "featureSet": rows})
    path.write_text(json.dumps({"sequences": written}))


def frames_of(export: Path) -> list[tuple[str, str]]:
    """(rootId, frameId) of each frame."""
    return [
        (sequence["rootId"], frame["id"])
        for sequence in json.loads(export.read_text())["sequences"]
        for frame in sequence["featureSet"]
    ]


class IncompleteError(Exception):
    """A run did not leave what it was to leave."""


@dataclass(frozen=True, slots=True)
class Expected:
    """What must be there after a run: so many files of each digest."""

    digests: Counter[bytes]
    sizes: Counter[int]

    @classmethod
    def of(cls, export: Path, pool: Path) -> Expected:
        """What an export names, served from a pool."""
        wanted = Counter(frame[-2:] for _, frame in frames_of(export))
        digests: Counter[bytes] = Counter()
        sizes: Counter[int] = Counter()
        for name, count in wanted.items():
            digests[_digest(pool / f"{name}.png")] += count
            sizes[(pool / f"{name}.png").stat().st_size] += count
        return cls(digests, sizes)

    def check(self, dest: Path, *, whole: bool) -> float:
        """The steady rate of the files below `dest`, all of which are as expected.

        `whole`: every byte is read; else every size is looked at, and some files are read. Raises
        `IncompleteError`.
        """
        found = sorted(path for path in dest.rglob("*.png") if ".mirror" not in path.parts)
        looked = [path.stat() for path in found]
        sizes = Counter(each.st_size for each in looked)
        if sizes != self.sizes:
            raise IncompleteError(
                f"it left {len(found)} frames of {self.sizes.total()}, of {sum(sizes.elements())}"
                f" bytes where {sum(self.sizes.elements())} were to be"
            )
        digests = Counter(_digest(path) for path in found[:: 1 if whole else ONE_IN])
        if (digests != self.digests) if whole else (digests.keys() - self.digests.keys()):
            raise IncompleteError("it left frames whose bytes are not those of the store")
        return steady_rate([each.st_mtime for each in looked])


def _digest(path: Path) -> bytes:
    return sha256(path.read_bytes()).digest()
