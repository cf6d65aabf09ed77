"""A folder that is made whole or not at all: built beside its place, then renamed into it.

Only what an earlier run made is replaced, known by a marker of ours that tells what it wrote; a
folder that holds more is somebody's work. A run that is killed leaves a hidden folder beside the
place, and the place as it was.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import msgspec

import mirror
from mirror.errors import DestinationError, UsageError

_MADE_BY = "mirror "


class _Marker(msgspec.Struct):
    made_by: str
    holds: list[str]
    entries: int


@contextmanager
def fresh_folder(place: Path, marker: str) -> Iterator[Path]:
    """An empty folder of mode 0700 to fill, which is at `place` when the context ends without an
    error. Whoever fills it calls `write_marker` last.

    Raises `UsageError` where `place` holds what no earlier run made, `DestinationError` for what
    the disk says.
    """
    refuse_foreign(place, marker)
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        building = Path(tempfile.mkdtemp(prefix=f".{place.name}-", dir=place.parent))
    except OSError as error:
        raise _unwritable(place, error) from None
    try:
        yield building
        refuse_foreign(place, marker)  # long work: somebody may have put something there
        _swap(building, place)
    except OSError as error:
        raise _unwritable(place, error) from None
    finally:
        shutil.rmtree(building, ignore_errors=True)


def write_marker(folder: Path, name: str, found: dict[str, Any]) -> None:
    """Say in the file `name` what was written, and that we made it."""
    made = {
        "made_by": f"{_MADE_BY}{mirror.__version__}",
        "holds": sorted(path.name for path in folder.iterdir()),
        "entries": _count(folder),
    }
    text = msgspec.json.format(msgspec.json.encode(made | found), indent=2)
    (folder / name).write_bytes(text + b"\n")


def refuse_foreign(place: Path, marker: str) -> None:
    """Raise `UsageError` where `place` is no folder that may be replaced, `DestinationError` where
    it can't be looked into."""
    try:
        if not (place.exists() or place.is_symlink()):
            return
        if place.is_symlink() or not place.is_dir():
            raise UsageError(f"{str(place)!a} is no folder: name another one.")
        if not any(place.iterdir()):
            return
        made = _made(place / marker)
        if made is None:
            raise UsageError(
                f"{str(place)!a} holds what this command did not write, and would be lost: name"
                " another folder, or an empty one."
            )
        strange = {path.name for path in place.iterdir()} - {*made.holds, marker}
        more = _count(place) - 1 - made.entries
    except OSError as error:
        raise _unwritable(place, error) from None
    if strange or more > 0:
        what = ascii(min(strange)) if strange else f"{more:,} files or folders"
        raise UsageError(
            f"{str(place)!a} holds {what}, which this command did not write and which would be"
            " lost: move that away, or name another folder."
        )


def refuse_overlap(place: Path, exports: Iterable[Path], dest: Path | None) -> None:
    """Raise `UsageError` where replacing `place` would take what is read with it, or where it lies
    in the destination, which holds frames alone."""
    here = place.absolute().resolve()
    for kept in (*exports, *([dest] if dest else [])):
        if kept.absolute().resolve().is_relative_to(here):
            raise UsageError(f"{str(kept)!a} is in {str(place)!a}: name another folder.")
    if dest is not None and here.is_relative_to(dest.absolute().resolve()):
        raise UsageError(
            f"{str(place)!a} is in the destination {str(dest)!a}, which holds frames alone: name"
            " another folder."
        )


def _made(marker: Path) -> _Marker | None:
    try:
        found = msgspec.json.decode(marker.read_bytes(), type=_Marker)
    except (FileNotFoundError, IsADirectoryError, ValueError):
        return None
    return found if found.made_by.startswith(_MADE_BY) else None


def _count(folder: Path) -> int:
    return sum(len(folders) + len(files) for _, folders, files in os.walk(folder))


def _swap(building: Path, place: Path) -> None:
    old = building.with_name(f"{building.name}.old")
    try:
        with suppress(FileNotFoundError):
            place.rename(old)
        building.rename(place)
    except BaseException:  # a signal between the two leaves what was there
        if old.exists() and not place.exists():
            old.rename(place)
        raise
    shutil.rmtree(old, ignore_errors=True)


def _unwritable(place: Path, error: OSError) -> DestinationError:
    why = error.strerror or type(error).__name__
    return DestinationError(f"{str(place)!a} can't be written: {why}.")
