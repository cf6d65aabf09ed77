"""How the images of a dataset come to where its format looks for them.

Bytes are never changed. A reference is one link to the destination's folder where the format can
follow it, so that a dataset of a million frames has no million files; else a link for each frame.
"""

from __future__ import annotations

import errno
import os
import shutil
from dataclasses import dataclass
from enum import Enum, StrEnum, auto
from pathlib import Path

from mirror.annotations.collection import Collection, Item
from mirror.annotations.datasets.marks import image_of
from mirror.errors import DestinationError, UsageError

EXTENSION = ".png"
_FLATTENED = "+"
"""Stands for '/' where a format knows no folders; no id may hold it, so names stay distinct."""
_BLOCK = 1024 * 1024
_NO_LINK = {errno.EXDEV, errno.EPERM, errno.EMLINK, errno.EOPNOTSUPP}


class ImageMode(StrEnum):
    """How a dataset comes by its images: they stay at the destination, are there and here under
    two names, or are copied."""

    REFERENCE = "reference"
    HARDLINK = "hardlink"
    COPY = "copy"


class Reference(Enum):
    """What a reference is, in one format."""

    FOLDER = auto()
    """The folder of images is a symbolic link to the destination."""
    FILES = auto()
    """Each image is a symbolic link to its frame."""
    NAMES = auto()
    """Nothing but names: paths below the destination."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a format looks for images. `folder`: below the dataset's; `{subset}` stands for the
    split. `flat`: names have no folders."""

    folder: str
    reference: Reference
    flat: bool = False


class Images:
    """The images of one dataset."""

    def __init__(self, out: Path, place: Place, mode: ImageMode, root: Path) -> None:
        """`root`: the destination's folder."""
        self._out = out
        self._place = place
        self._mode = mode
        self._root = root
        self._linked: set[Path] = set()

    def name(self, item: Item) -> str:
        """What the dataset calls the frame. Raises `UsageError` where references can't do."""
        if self._mode is ImageMode.REFERENCE and not self._place.flat:
            path = image_of(item).path
            if path.suffix != EXTENSION:
                raise UsageError(
                    f"Frame {item.ref} is not named *{EXTENSION} at its destination, so that this"
                    " format can't refer to it: use --images hardlink or copy."
                )
            return path.relative_to(self._root).with_suffix("").as_posix()
        return item.name.replace("/", _FLATTENED) if self._place.flat else item.name

    def put(self, item: Item, name: str, subset: str) -> None:
        """Bring the image of this name to its place. Raises `UsageError` where it can't be linked,
        `DestinationError` where its file is gone, and what the disk says."""
        folder = self._out / self._place.folder.format(subset=subset)
        if self._mode is not ImageMode.REFERENCE:
            self._bring(image_of(item).path, folder / f"{name}{EXTENSION}")
        elif self._place.reference is Reference.FOLDER and folder not in self._linked:
            self._linked.add(folder)
            folder.parent.mkdir(parents=True, exist_ok=True)
            folder.symlink_to(self._root.resolve(), target_is_directory=True)
        elif self._place.reference is Reference.FILES:
            self._bring(image_of(item).path, folder / f"{name}{EXTENSION}")

    def _bring(self, source: Path, target: Path) -> None:
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            if self._mode is ImageMode.REFERENCE:
                target.symlink_to(source.resolve(strict=True))
            elif self._mode is ImageMode.HARDLINK:
                target.hardlink_to(source)
            else:
                copy(source, target)
        except FileNotFoundError:
            raise _gone(source) from None
        except OSError as error:
            if self._mode is ImageMode.HARDLINK and error.errno in _NO_LINK:
                raise UsageError(
                    f"{str(source)!a} can't be linked to {str(target.parent)!a}, which may be on"
                    " another disk: use --images copy."
                ) from None
            raise


class Unplaced(Images):
    """For an exporter that places the images itself, and may pass over what is not there."""

    def put(self, item: Item, name: str, subset: str) -> None:
        """Raises `DestinationError` where the image's file is gone."""
        if not image_of(item).path.is_file():
            raise _gone(image_of(item).path)


def _gone(source: Path) -> DestinationError:
    return DestinationError(
        f"{str(source)!a} is recorded and not there: run `mirror verify --repair`."
    )


def root_of(collection: Collection, name: str) -> Path:
    """Where the frames lie. Raises `UsageError` where the collection doesn't know; `name`: the
    format's."""
    if collection.root is None:
        raise UsageError(
            f"--to {name} needs the frames' sizes: say with --frames DEST where they are mirrored."
        )
    return collection.root


def copy(source: Path, target: Path) -> None:
    """The same bytes in a new file of mode 0600."""
    with source.open("rb") as old:
        file = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(file, "wb") as new:
            shutil.copyfileobj(old, new, _BLOCK)
