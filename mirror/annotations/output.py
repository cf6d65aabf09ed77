"""A folder that is made whole or not at all: built beside its place, then renamed into it.

Only what an earlier run made is replaced, known by a marker file of ours in it. A run that is
killed leaves a hidden folder beside the place, and the place as it was.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from mirror.errors import DestinationError, UsageError


@contextmanager
def fresh_folder(place: Path, marker: str) -> Iterator[Path]:
    """An empty folder of mode 0700 to fill, which is at `place` when the context ends without an
    error. Whoever fills it writes the file `marker`.

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
        _swap(building, place)
    except OSError as error:
        raise _unwritable(place, error) from None
    finally:
        shutil.rmtree(building, ignore_errors=True)


def refuse_foreign(place: Path, marker: str) -> None:
    """Raise `UsageError` where `place` is no folder that may be replaced."""
    with suppress(FileNotFoundError):
        if not place.is_symlink() and place.is_dir():
            if (place / marker).is_file() or not any(place.iterdir()):
                return
        elif not (place.exists() or place.is_symlink()):
            return
        raise UsageError(
            f"{str(place)!a} is there already, and mirror did not make it: name another folder, or"
            " an empty one."
        )


def _swap(building: Path, place: Path) -> None:
    old = building.with_name(f"{building.name}.old")
    try:
        place.rename(old)
    except FileNotFoundError:
        building.rename(place)
        return
    try:
        building.rename(place)
    except OSError:
        old.rename(place)
        raise
    shutil.rmtree(old)


def _unwritable(place: Path, error: OSError) -> DestinationError:
    why = error.strerror or type(error).__name__
    return DestinationError(f"{str(place)!a} can't be written: {why}.")
