"""Independent, simple readers of what `mirror` reads: slow, whole in memory, nothing shared.

Each says what it is sure of, and None where it has no opinion.
"""

from __future__ import annotations

import json
import re
import struct
import zlib
from typing import Any

_ID = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,198}[A-Za-z0-9_-])?", re.ASCII)
_RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE | re.ASCII)
_MODES = {0: {1, 2, 4, 8, 16}, 2: {8, 16}, 3: {1, 2, 4, 8}, 4: {8, 16}, 6: {8, 16}}

Frames = dict[tuple[str, str], list[str]]


class _NoOpinion(Exception):  # noqa: N818  # not an error
    """Something that two readers may rightly see in two ways."""


def read_png(data: bytes) -> tuple[int, int] | None:
    """Width and height of the one whole PNG in `data`; None where it is none."""
    if data[:8] != b"\x89PNG\r\n\x1a\n":
        return None
    chunks: list[tuple[bytes, bytes]] = []
    at = 8
    while at < len(data):
        if len(data) - at < 12:
            return None
        (length,) = struct.unpack_from(">I", data, at)
        kind, body = data[at + 4 : at + 8], data[at + 8 : at + 8 + length]
        if len(body) != length or not re.fullmatch(b"[A-Za-z]{4}", kind):
            return None
        if data[at + 8 + length : at + 12 + length] != struct.pack(">I", zlib.crc32(kind + body)):
            return None
        chunks.append((kind, body))
        at += 12 + length
    return _image(chunks)


def _image(chunks: list[tuple[bytes, bytes]]) -> tuple[int, int] | None:
    kinds = [kind for kind, _ in chunks]
    if kinds[:1] != [b"IHDR"] or kinds[-1] != b"IEND" or len(chunks[0][1]) != 13:
        return None
    width, height, depth, colour, *methods = struct.unpack(">IIBBBBB", chunks[0][1])
    data = [number for number, kind in enumerate(kinds) if kind == b"IDAT"]
    palettes = [number for number, kind in enumerate(kinds) if kind == b"PLTE"]
    right = (
        kinds.count(b"IHDR") == kinds.count(b"IEND") == 1
        and all(kind in {b"IHDR", b"IDAT", b"PLTE", b"IEND"} or kind[0] >= 97 for kind in kinds)
        and not chunks[-1][1]
        and any(chunks[number][1] for number in data)
        and data == list(range(data[0], data[-1] + 1))
        and depth in _MODES.get(colour, set())
        and methods[:2] == [0, 0]
        and methods[2] in {0, 1}
        and all(0 < side <= 65_535 for side in (width, height))
        and width * height <= 2**28
        and len(palettes) <= 1
        and all(number < data[0] and colour not in {0, 4} for number in palettes)
        and all(len(chunks[number][1]) in range(3, 769, 3) for number in palettes)
        and (colour != 3 or bool(palettes))
    )
    return (width, height) if right else None


def read_json(data: bytes) -> tuple[bool, Any]:
    """Whether `data` is JSON, and what it says. Raises `_NoOpinion`, which `frames_of` takes."""
    try:
        text = data.removeprefix(b"\xef\xbb\xbf").decode()
    except UnicodeDecodeError:
        raise _NoOpinion from None
    if text.count("[") + text.count("{") > 200 or re.search(r"\\u[dD]|[0-9]{16}|[eE]", text):
        raise _NoOpinion  # depth, half characters, and numbers that round
    try:
        return True, json.loads(text, object_pairs_hook=_Object, parse_constant=_no_constant)
    except ValueError:
        return False, None


class _Object(dict[str, Any]):
    """An object that knows which of its keys occurred twice; the last one counts."""

    def __init__(self, pairs: list[tuple[str, Any]]) -> None:
        super().__init__(pairs)
        if len(pairs) > 1000:
            raise _NoOpinion
        names = [name for name, _ in pairs]
        self.twice = {name for name in names if names.count(name) > 1}


def _no_constant(name: str) -> None:
    raise ValueError(name)


def frames_of(data: bytes) -> tuple[str, Frames]:
    """`good` and the frames, by workspace and root; or `bad`, or `unknown`."""
    try:
        is_json, document = read_json(data)
        frames: Frames = {}
        if not is_json or not _take(document, frames) or _twins(frames):
            return "bad", {}
    except _NoOpinion:
        return "unknown", {}
    return "good", frames


def _take(document: Any, frames: Frames) -> bool:
    entries = document.get("sequences") if isinstance(document, dict) else None
    if entries is not None and document.twice:
        if "sequences" in document.twice:
            return False
        raise _NoOpinion  # whether it is seen is our affair
    return isinstance(entries, list) and all(_take_one(entry, frames) for entry in entries)


def _take_one(entry: Any, frames: Frames) -> bool:
    if not isinstance(entry, dict) or entry.twice:
        return False
    root, workspace = entry.get("rootId"), entry.get("workspaceId")
    found = entry.get("featureSet")
    if not all(one is None or is_id(one) for one in (root, workspace)):
        return False
    if not (found is None or isinstance(found, list)):
        return False
    ids = [frame.get("id") if isinstance(frame, dict) else None for frame in found or ()]
    if not all(is_id(one) for one in ids):
        return False
    if ids:
        frames.setdefault((workspace, root), []).extend(ids)
    return not ids or bool(root and workspace)


def is_id(value: Any) -> bool:
    """Whether a frame or a root may be named so."""
    return isinstance(value, str) and bool(_ID.fullmatch(value)) and not _RESERVED.fullmatch(value)


def _twins(frames: Frames) -> bool:
    roots = {root for _, root in frames}
    if len({root.lower() for root in roots}) < len(roots):
        return True
    return any(len({one.lower() for one in ids}) < len(set(ids)) for ids in frames.values())
