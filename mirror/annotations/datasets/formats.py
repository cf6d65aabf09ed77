"""The formats that we vouch for: what each holds of our shapes and labels, and how it is laid out.

What is not held is counted before datumaro sees it, for its exporters leave it out without a word.
The facts are those of datumaro 1.13, and tests read each format back.
"""

from __future__ import annotations

import importlib.util
import json
from dataclasses import dataclass
from pathlib import Path

from mirror.annotations.datasets.images import Place, Reference
from mirror.annotations.datasets.marks import Holds, Together
from mirror.annotations.values import Keypoint, Outline, Polyline, Rectangle

MASKS = "masks"
_AREAS = frozenset({Outline, Rectangle})
_ALL = frozenset({Outline, Rectangle, Polyline, Keypoint})


@dataclass(frozen=True, slots=True)
class Format:
    """`ours`: written without datumaro's exporter. `streams`: that takes `stream=True`, and then
    holds no frames. `needs`: splits that must be there; `allows`: the only ones that may be, where
    any. `files_by_label`: the exporter names files by label codes. `writes_paths`: it writes down
    where an image lies."""

    help: str
    holds: Holds
    place: Place
    ours: bool = False
    streams: bool = False
    needs: tuple[str, ...] = ()
    allows: tuple[str, ...] = ()
    files_by_label: bool = False
    writes_paths: bool = False


_COCO = Place("images/{subset}", Reference.FOLDER)

NAMED: dict[str, Format] = {
    "coco": Format(
        "COCO: instances, and keypoints and image labels in files of their own",
        Holds(_AREAS | {Keypoint}, Together.OUTLINES, labels=True),
        _COCO,
        ours=True,
    ),
    "coco_instances": Format(
        "COCO: instances alone", Holds(_AREAS, Together.OUTLINES), _COCO, ours=True
    ),
    "yolo_ultralytics": Format(
        "YOLO as ultralytics trains it: boxes; needs --split with train and val",
        Holds(_AREAS, Together.BOXED),
        Place("images/{subset}", Reference.FILES, flat=True),
        needs=("train", "val"),
        allows=("train", "val", "test"),
    ),
    "voc": Format(
        "Pascal VOC: boxes and image labels",
        Holds(_AREAS, Together.BOXED, labels=True),
        Place("JPEGImages", Reference.FOLDER),
        files_by_label=True,
    ),
    "cvat": Format(
        "CVAT for images: every kind of shape, and tags",
        Holds(_ALL, Together.GROUPED, labels=True),
        Place("images", Reference.FOLDER),
    ),
    "label_me": Format(
        "LabelMe: outlines and boxes",
        Holds(_AREAS, Together.GROUPED),
        Place("Images/{subset}", Reference.NAMES),
    ),
    "datumaro": Format(
        "datumaro's own: every kind of shape, and image labels",
        Holds(_ALL, Together.GROUPED, labels=True),
        Place("images", Reference.FOLDER),
        streams=True,
        writes_paths=True,
    ),
    MASKS: Format(
        "semantic masks: an 8-bit palette PNG a frame",
        Holds(_AREAS),
        Place("{subset}/images", Reference.FILES, flat=True),
    ),
}
"""By name."""

OTHER = Format(
    "as datumaro writes it; what it leaves out is not counted",
    Holds(_ALL, Together.GROUPED, labels=True, surely=False),
    Place("images", Reference.NAMES, flat=True),
)
"""Any other format of datumaro."""


def format_names() -> dict[str, str]:
    """Every format by its name, with a line of help: first those we vouch for, then what else the
    installed datumaro has. It is not imported."""
    names = {name: each.help for name, each in NAMED.items()}
    return names | {name: OTHER.help for name in _exporters() if name not in names}


def _exporters() -> list[str]:
    spec = importlib.util.find_spec("datumaro")
    if spec is None or spec.origin is None:
        return []
    listed = Path(spec.origin).parent / "plugins/specs.json"
    plugins = json.loads(listed.read_bytes()) if listed.exists() else []
    return sorted(each["plugin_name"] for each in plugins if each["plugin_type"] == "Exporter")
