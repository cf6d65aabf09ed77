"""Exports with annotations, and destinations that hold their frames, without a network."""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from store_kit import chunk, store

from mirror.export import ExportFile, Selection, select_frames
from mirror.store import Body, Written

SAMPLES = Path(__file__).parents[1] / "samples"
FRAMES = SAMPLES / "frame-batch.json"
VIDEOS = SAMPLES / "video-batch.json"


def picture(width: int, height: int, shade: int = 90) -> bytes:
    """A grey PNG of this size."""
    rows = zlib.compress(bytes([0, *[shade % 256] * width]) * height)
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    head = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header)
    return head + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def mirror_export(
    root: Path, export: Path, size: tuple[int, int] = (64, 48), without: Iterable[str] = ()
) -> Path:
    """The destination `root` with every frame of `export`, grey and `size`, but for those of these
    ids; frames of one width and height, so that a ledger's are told from a guess."""
    with ExportFile.open(export) as opened, store(root) as held:
        groups = list(select_frames([opened], Selection()))
        pending = held.ask(*groups, sha256=opened.sha256)
        wanted = [frame for frame in pending if frame.ref.frame_id not in set(without)]
        data = [picture(*size, shade=frame.row) for frame in wanted]
        bodies = [Body(frame, [each], len(each)) for frame, each in zip(wanted, data, strict=True)]
        written = [each for each in held.writer.write(bodies) if isinstance(each, Written)]
        assert len(written) == len(wanted)
        held.committer.commit(written, [])
    return root


def shape(kind: str, *points: tuple[float, float]) -> dict[str, Any]:
    return {"type": kind, "points": [{"x": x, "y": y} for x, y in points]}


def label(code: str, *shapes: dict[str, Any]) -> dict[str, Any]:
    return {"code": code, "displayName": code.title(), "shapes": list(shapes)}


def frame(frame_id: str, *labels: dict[str, Any]) -> dict[str, Any]:
    return {"id": frame_id, "framePath": f"s3://x/{frame_id}.png", "labels": list(labels)}


def phase(code: str, start: float | None, end: float | None) -> dict[str, Any]:
    return {"timestampStart": start, "timestampEnd": end, "label": {"code": code}}


def sequence(
    root: str, *frames: dict[str, Any], phases: Iterable[dict[str, Any]] = (), **more: Any
) -> dict[str, Any]:
    annotated = {"featureSet": list(frames), "videoAnnotations": list(phases)}
    return {"rootId": root, "workspaceId": "w", **annotated, **more}


def write(path: Path, *sequences: dict[str, Any]) -> Path:
    path.write_text(json.dumps({"sequences": list(sequences)}))
    return path
