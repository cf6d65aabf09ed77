"""A fresh file system for each comparison.

ext4 passes one by one over inodes that were freed in the last minute, so that making a file costs
ten times as much after much was deleted. So the runs of a comparison delete nothing, and the next
comparison has a file system of its own, or waits.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_SPARE = 1024**3
_SETTLED = 60e-6
"""Seconds to make a file in a folder that is in no trouble; measured on ext4."""


class NoRoomError(Exception):
    """The frames of a comparison do not fit, or no file system can be made."""


def can_mount() -> bool:
    """Whether a file system of our own may be made."""
    return os.getuid() == 0 and Path("/dev/loop-control").exists()


@contextmanager
def fresh_image(base: Path, size: int) -> Iterator[Path]:
    """A new ext4 for `size` bytes of frames, in an image below `base`, mounted. Raises
    `NoRoomError`.

    The image has no name and the loop device lets go by itself, so that what is left when this
    process is killed is the mount alone, and not even that where it has mounts of its own.
    """
    size = size + size // 8 + _SPARE
    _check_room(base, size + _SPARE)
    image, place = base / "disk.img", base / "disk"
    place.mkdir(exist_ok=True)
    try:
        with image.open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, size)
        _do("mkfs.ext4", "-q", "-m0", "-E", "lazy_itable_init=0,lazy_journal_init=0", str(image))
        device = _do("losetup", "--direct-io=on", "--find", "--show", str(image))
        try:
            _do("mount", device, str(place))
        finally:
            _do("losetup", "--detach", device)  # at once, or when it is unmounted
    finally:
        image.unlink(missing_ok=True)
    try:
        yield place
    finally:
        _unmount(place)


@contextmanager
def fresh_folder(base: Path, size: int) -> Iterator[Path]:
    """A new folder below `base`, once making files there is cheap. Raises `NoRoomError`."""
    _check_room(base, size + _SPARE)
    with tempfile.TemporaryDirectory(prefix="mirror-bench-", dir=base) as folder:
        _settle(Path(folder))
        yield Path(folder)


def _check_room(base: Path, size: int) -> None:
    free = shutil.disk_usage(base).free
    if free < size:
        raise NoRoomError(
            f"{free / 1e9:.0f} GB are free and {size / 1e9:.0f} are needed: give --dir, or fewer"
            " --frames or --pairs"
        )


def _settle(root: Path) -> None:
    """Wait until making a file is cheap, two minutes at most."""
    for number in range(24):
        folder = root / f".settle-{number}"
        folder.mkdir()
        since = time.perf_counter()
        for name in range(200):
            (folder / str(name)).touch()
        if (time.perf_counter() - since) / 200 < _SETTLED:
            return
        time.sleep(5)


def _unmount(place: Path) -> None:
    for _ in range(50):
        done = subprocess.run(["umount", str(place)], check=False, capture_output=True)
        if done.returncode == 0:
            place.rmdir()
            return
        time.sleep(0.2)
    _do("umount", "--lazy", str(place))


def _do(*command: str) -> str:
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode:
        raise NoRoomError(f"{command[0]} failed: {done.stderr.strip()}; give --dir instead")
    return done.stdout.strip()
