"""What a frame is, and which ids may name one.

A frame is a distinct (workspace, root, frame); every count called `frames` counts those. Ids come
from an export, so they are untrusted: `check_id` is the one gate, and whatever passed it is safe as
a path component on every common file system and as a URL segment without quoting.
"""

from __future__ import annotations

import re
from typing import NamedTuple

MAX_ID_LENGTH = 200
"""Characters; leaves room for an extension in a 255-byte file name."""

_ALLOWED = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,199}")
_RESERVED = re.compile(r"(?:con|prn|aux|nul|com[0-9]|lpt[0-9])(?:\..*)?", re.IGNORECASE)


class FrameRef(NamedTuple):
    """The name of one frame. Every part has passed `check_id`."""

    workspace_id: str
    root_id: str
    frame_id: str

    def __str__(self) -> str:
        return f"{self.root_id}/{self.frame_id}"


def check_id(value: str) -> str | None:
    """Why `value` may not be an id, or None where it may."""
    if _ALLOWED.fullmatch(value) and value[-1] != "." and not _RESERVED.fullmatch(value):
        return None
    if not value:
        return "it is empty"
    if len(value) > MAX_ID_LENGTH:
        return f"it is longer than {MAX_ID_LENGTH} characters"
    if value[0] in ".-" or value[-1] == ".":
        return "it starts with '.' or '-', or ends with '.'"
    if _RESERVED.fullmatch(value):
        return "it is a name that some file systems reserve"
    return "only letters, digits, '.', '_' and '-' are allowed"
