"""Whether a destination can be written as a run writes it. Blocks; leaves nothing behind."""

from __future__ import annotations

import os
import re
import secrets
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from mirror.doctor.check import Check, failed
from mirror.errors import DestinationError
from mirror.observe.phrases import size
from mirror.store.trouble import destination_error

TIGHT = 1024**3
"""Bytes free below which there is a warning, where the need is not known."""

_SYNC = 64 * 1024
_NETWORK = frozenset(
    {"9p", "afs", "beegfs", "ceph", "cifs", "davfs", "gfs2", "glusterfs", "gpfs", "lustre"}
    | {"ncpfs", "nfs", "nfs4", "smb3", "smbfs", "vboxsf", "virtiofs"}
)
_ESCAPE = re.compile(r"\\([0-7]{3})")
_VOLATILE = frozenset({"tmpfs", "ramfs", "devtmpfs"})
_LAYERED = frozenset({"overlay", "aufs"})


@dataclass(frozen=True, slots=True)
class Disk:
    """What was measured. `seconds`: one file synced, renamed, its folder synced."""

    free: int
    inodes: int | None
    kind: str
    seconds: float


def examine_disk(dest: Path, needed: int | None) -> Check:
    """The step `disk`. `needed`: bytes that the export's frames take, where that is known."""
    place = _standing(dest)
    try:
        disk = measure(place)
    except NotADirectoryError:
        why = f"The destination {str(dest)!r} can't be made: {str(place)!r} is not a folder."
        return failed("disk", DestinationError(why))
    except OSError as error:
        return failed("disk", destination_error(dest, error))
    except DestinationError as error:
        return failed("disk", error)
    what = f"{str(dest)!r}: {size(disk.free)} free on {disk.kind}"
    what += f", a durable file in {disk.seconds * 1000:.0f} ms"
    if place != dest.absolute():
        what += "; it will be made by the first run"
    advice = " ".join(concerns(disk, needed))
    return Check("disk", "warn" if advice else "ok", what, advice)


def measure(folder: Path) -> Disk:
    """Write, sync, rename and read back in `folder`. Raises `OSError`, `DestinationError`."""
    content = secrets.token_bytes(_SYNC)
    with _scratch(folder) as scratch:
        since = time.monotonic()
        first, last = scratch / "temporary", scratch / "final"
        file = os.open(first, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            os.write(file, content)
            os.fsync(file)
        finally:
            os.close(file)
        first.rename(last)
        _sync_folder(scratch)
        seconds = time.monotonic() - since
        if last.read_bytes() != content:
            raise DestinationError(
                f"A file at {str(folder)!r} reads back other than it was written: check the disk."
            )
    space = os.statvfs(folder)
    return Disk(
        free=space.f_bavail * space.f_frsize,
        inodes=space.f_favail if space.f_files else None,
        kind=file_system(folder),
        seconds=seconds,
    )


def concerns(disk: Disk, needed: int | None) -> Iterator[str]:
    """What speaks against this disk, and what to do about it, a sentence each."""
    if needed is not None and disk.free < needed:
        yield (
            f"The export's frames take about {size(needed)}: make room, or choose another"
            " destination."
        )
    elif needed is None and disk.free < TIGHT:
        yield f"Only {size(disk.free)} are free: make sure that the frames fit."
    if disk.inodes == 0:
        yield "No inodes are free: remove files, or choose another destination."
    if is_network(disk.kind):
        yield (
            "It is a network file system: after a power cut, what counts is the server's word on"
            " what is durable; never let two machines write to one destination, but as shards."
        )
    if disk.kind in _VOLATILE:
        yield "It is memory, not a disk: the frames are gone after a restart."
    if disk.kind in _LAYERED:
        yield "It is a container's own layer and goes with the container: mount a volume."


def is_network(kind: str) -> bool:
    """Whether a file system of this kind is reached over a network (or may be, for FUSE)."""
    return kind in _NETWORK or kind.startswith("fuse.")


def file_system(path: Path) -> str:
    """The kind of the file system that `path` is on, as Linux names it."""
    try:
        mounts = Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return "an unknown file system"
    return find_kind(mounts, str(path.resolve())) or "an unknown file system"


def find_kind(mountinfo: str, path: str) -> str | None:
    """The kind of the last, deepest mount above `path`. Source: proc_pid_mountinfo(5)."""
    best, kind = -1, None
    for line in mountinfo.splitlines():
        left, _, right = line.partition(" - ")
        fields = left.split(" ")
        if len(fields) < 5 or not right:
            continue
        point = _ESCAPE.sub(lambda found: chr(int(found[1], 8)), fields[4]).rstrip("/")
        if (path == point or path.startswith(point + "/")) and len(point) >= best:
            best, kind = len(point), right.split(" ")[0]
    return kind


def _standing(dest: Path) -> Path:
    """The destination, or the nearest folder above it that is there."""
    dest = dest.absolute()
    return next(path for path in (dest, *dest.parents) if path.exists())


@contextmanager
def _scratch(folder: Path) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix=".mirror-doctor-", dir=folder) as path:
        yield Path(path)


def _sync_folder(path: Path) -> None:
    folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
