"""Writes the export JSON a platform would give for a dataset, a frame at a time.

The schema is the guide's and the samples': `sequences`, `featureSet`, `labels` with all four kinds
of shape, `videoAnnotations`, and fields nobody documented. Labels come from a few templates, so
that a large export is quick to write; every fifth frame has none.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator
from pathlib import Path

_TEMPLATES = 16
_FRAME_INTERVAL_MS = 40
_LENGTH = 1_800_000
"""Milliseconds of each video."""
_PHASES = (
    ("preparation", "Preparation", 0.0, 0.15),
    ("calot_dissection", "Calot triangle dissection", 0.15, 0.6),
    ("clipping_cutting", "Clipping and cutting", 0.55, 0.7),
    ("critical_view", "Critical view of safety", 0.62, 0.62),
    ("packaging", "Gallbladder packaging", 0.7, None),
)


def write_export(
    path: Path,
    workspace_id: str,
    sequences: Iterable[tuple[str, Iterable[str]]],
    *,
    labelled: bool,
) -> None:
    """Write an export of (root id, frame ids) pairs to `path`."""
    templates = [_labels(number) for number in range(_TEMPLATES)] if labelled else ["[]"]
    with path.open("w", encoding="utf-8") as file:
        file.write('{"id": "batch-1", "name": "Simulated batch", "project": {"name": "Rehearsal"},')
        file.write(' "exportVersion": 3, "sequences": [')
        for number, (root_id, frame_ids) in enumerate(sequences):
            file.write(",\n" if number else "\n")
            file.write(_sequence_head(number, root_id, workspace_id, labelled=labelled))
            file.writelines(_frames(frame_ids, templates))
            file.write("]}")
        file.write("\n]}\n")


def _sequence_head(number: int, root_id: str, workspace_id: str, *, labelled: bool) -> str:
    head = {
        "id": f"job-{number}-{root_id[:8]}",
        "rootId": root_id,
        "workspaceId": workspace_id,
        "name": f"lap-chole-{number + 1:02} / seq 1",
        "status": "completed",
        "stage": {"name": "review", "order": 2},
        "tags": ["simulated"],
        "videoDuration": _LENGTH,
        "videoAnnotations": [_phase(*phase) for phase in _PHASES] if labelled else [],
    }
    return json.dumps(head)[:-1] + ', "featureSet": ['


def _phase(code: str, name: str, start: float, end: float | None) -> dict[str, object]:
    return {
        "id": f"phase-{code}",
        "timestampStart": round(start * _LENGTH),
        "timestampEnd": None if end is None else round(end * _LENGTH),
        "label": {"code": code, "displayName": name, "color": "#33aa77"},
    }


def _frames(frame_ids: Iterable[str], templates: list[str]) -> Iterator[str]:
    for index, frame_id in enumerate(frame_ids):
        labels = "[]" if index % 5 == 4 else templates[index % len(templates)]
        separator = ",\n" if index else "\n"
        yield (
            f'{separator}{{"id": "{frame_id}", "frameNumber": {index},'
            f' "timestamp": {index * _FRAME_INTERVAL_MS},'
            f' "framePath": "s3://savant-frames/prod/{frame_id}.png",'
            f' "labels": {labels.replace("FRAME", frame_id[:23])}}}'
        )


def _labels(number: int) -> str:
    """The labels of one frame as JSON; `FRAME` stands where the frame makes the ids its own."""
    turn = number * 2 * math.pi / _TEMPLATES
    x, y = 0.5 + 0.2 * math.cos(turn), 0.5 + 0.2 * math.sin(turn)
    outline = [
        (x + 0.15 * math.cos(step * math.pi / 6), y + 0.12 * math.sin(step * math.pi / 6))
        for step in range(12)
    ]
    labels = [
        ("gallbladder", "Gallbladder", [("close_polygon", outline)]),
        (
            "grasper",
            "Grasper",
            [
                ("rectangle", [(x + 0.2, y + 0.2), (x, y + 0.05)]),
                ("keypoint", [(x + 0.1, y + 0.1)]),
            ],
        ),
        ("cystic_duct", "Cystic duct", [("open_polygon", outline[:5:2])]),
    ]
    rendered = []
    serial = 0
    for code, name, shapes in labels:
        serial += 1
        label: dict[str, object] = {
            "id": f"FRAME-{serial:012x}",
            "code": code,
            "displayName": name,
            "category": "anatomy",
        }
        drawn = []
        for kind, points in shapes:
            serial += 1
            drawn.append(
                {
                    "id": f"FRAME-{serial:012x}",
                    "type": kind,
                    "points": [{"x": round(px, 4), "y": round(py, 4)} for px, py in points],
                    "createdBy": "annotator-1",
                }
            )
        label["shapes"] = drawn
        rendered.append(label)
    return json.dumps(rendered)
