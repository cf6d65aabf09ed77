"""Phases as segments in ActivityNet's JSON, in seconds, written video by video.

`{"version", "database": {name: {"duration", "subset", "annotations": [{"segment", "label"}]}}}`, as
in <https://github.com/activitynet/ActivityNet>; a label is a code. Segments may overlap, and those
of point events have no length.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson

from mirror.annotations.collection import Collection
from mirror.annotations.phases.rules import count_overlaps
from mirror.annotations.phases.videos import Video, videos
from mirror.annotations.tally import Note, Tally

FILE = "activitynet.json"
_VERSION = "1"
_SUBSETS = {"train": "training", "val": "validation", "test": "testing"}
"""ActivityNet's words for splits; other splits keep their names."""


def write_activitynet(collection: Collection, out: Path, tally: Tally) -> None:
    """`activitynet.json` in the folder `out`. Raises `ExportError`, and `OSError` where the disk
    refuses."""
    with (out / FILE).open("xb") as file:
        file.write(b'{"version":%b,"database":{' % orjson.dumps(_VERSION))
        between = b"\n"
        for video in videos(collection, tally):
            file.write(between + orjson.dumps(video.name) + b":" + orjson.dumps(_entry(video)))
            between = b",\n"
            tally.note(Note.OVERLAPS, count_overlaps(video.spans))
            tally.wrote("sequences")
            tally.wrote("intervals", len(video.spans))
        file.write(b"\n}}\n")


def _entry(video: Video) -> dict[str, Any]:
    return {
        "duration": video.length / 1000,
        "subset": _SUBSETS.get(video.split, video.split),
        "annotations": [
            {"segment": [span.start / 1000, span.end / 1000], "label": span.code}
            for span in video.spans
        ],
    }
