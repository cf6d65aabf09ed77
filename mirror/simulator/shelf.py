"""The frames there are: the dataset's, and those a test or a demo put beside or over them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from hashlib import md5
from urllib.parse import quote, unquote

from mirror.simulator.dataset import Dataset

_BUCKET = "/savant-frames/prod%3D1/"
_PREFIX = ["", "savant-frames", "prod=1"]
_ETAGS = 4096


@dataclass(frozen=True, slots=True)
class FrameName:
    """The three ids, as they came; they need not name a frame that exists."""

    workspace_id: str
    root_id: str
    frame_id: str


class Shelf:
    """Looks frames up and names their objects."""

    def __init__(self, dataset: Dataset) -> None:
        self.dataset = dataset
        self._added: dict[FrameName, bytes] = {}
        self._workspaces = {dataset.workspace_id}
        self._etag_of_drawn = lru_cache(_ETAGS)(lambda frame_id: etag(dataset.png(frame_id)))

    def add(self, name: FrameName, body: bytes) -> None:
        """Put a frame there, or other bytes under a frame there is."""
        self._added[name] = body
        self._workspaces.add(name.workspace_id)

    def knows_workspace(self, workspace_id: str) -> bool:
        """Whether any frame could be there."""
        return workspace_id in self._workspaces

    def has(self, name: FrameName) -> bool:
        """Whether the frame exists."""
        return name in self._added or self._drawn(name)

    def body(self, name: FrameName) -> tuple[bytes, str] | None:
        """Bytes and ETag of a frame's object, None where there is none."""
        added = self._added.get(name)
        if added is not None:
            return added, etag(added)
        if not self._drawn(name):
            return None
        return self.dataset.png(name.frame_id), self._etag_of_drawn(name.frame_id)

    def _drawn(self, name: FrameName) -> bool:
        place = self.dataset.place(name.frame_id)
        return (
            place is not None
            and name.workspace_id == self.dataset.workspace_id
            and name.root_id == self.dataset.root_ids[place[0]]
        )


def etag(body: bytes) -> str:
    """S3's ETag of a single-part object."""
    return f'"{md5(body, usedforsecurity=False).hexdigest()}"'


def object_path(name: FrameName) -> str:
    """The quoted path of a frame's object; its prefix has an escape that yarl would undo."""
    ids = (name.workspace_id, name.root_id, name.frame_id)
    return f"{_BUCKET}{'/'.join(quote(one, safe='') for one in ids)}.png"


def object_name(path: str) -> FrameName | None:
    """The frame that a quoted path names, or None for a path of another shape."""
    parts = [unquote(part) for part in path.split("/")]
    if len(parts) != 6 or parts[:3] != _PREFIX or not parts[5].endswith(".png"):
        return None
    return FrameName(parts[3], parts[4], parts[5].removesuffix(".png"))
