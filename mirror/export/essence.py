"""What counts of a frame's labels when two are compared: codes, kinds of shape, points."""

from __future__ import annotations

import re
from typing import Any

import msgspec
from msgspec import UNSET, Raw

from mirror.export.shapes import KNOWN_SHAPES, Label, Shape, as_points

_EMPTY = re.compile(rb"\[\s*\]")
_labels = msgspec.json.Decoder(list[Label] | None)
_list = msgspec.json.Decoder(list[Raw] | None)
_encode = msgspec.json.Encoder(order="deterministic").encode


class BadShapeError(ValueError):
    """A shape whose points can't be read; `within` names it as the platform's guide would."""

    def __init__(self, within: str, error: Exception) -> None:
        super().__init__(str(error))
        self.within = within


def is_labelled(labels: Raw) -> bool:
    """Whether there is a label in the list. Raises `ValidationError` where it is no list."""
    with memoryview(labels) as text:
        if text[0] == ord("["):
            return _EMPTY.fullmatch(text) is None
    return bool(_list.decode(labels))


def essence(labels: Raw) -> list[tuple[str, list[tuple[str, bytes]]]]:
    """Code, and kind and points of each shape, sorted, for each label, sorted.

    Raises `BadShapeError`, and as msgspec does.
    """
    return sorted(
        (label.counted, sorted(_shapes(label, position)))
        for position, label in enumerate(_labels.decode(labels) or ())
    )


def _shapes(label: Label, position: int) -> list[tuple[str, bytes]]:
    found = []
    for number, shape in enumerate(label.shapes or ()):
        try:
            found.append((shape.kind, _encode(_points(shape))))
        except msgspec.ValidationError as error:
            raise BadShapeError(f"labels[{position}].shapes[{number}].points", error) from None
    return found


def _points(shape: Shape) -> Any:
    """Typed where they are points, so that 1 and 1.0 are equal and further fields don't count."""
    if shape.points is UNSET:
        return []
    try:
        return as_points(shape.points)
    except msgspec.ValidationError:
        if shape.kind in KNOWN_SHAPES:
            raise
        return msgspec.json.decode(shape.points)
