"""From an export's JSON to values: one frame, or the video annotations of one sequence.

Fields that the platform's guide does not name are ignored. A list that is no list ends the reading,
as everywhere in `mirror`; an annotation that is wrong by itself is a `Problem`, and left out.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import inf
from typing import Any

import msgspec
from msgspec import UNSET, Raw, UnsetType

from mirror.annotations.problems import Problem, ProblemKind, Problems
from mirror.annotations.values import (
    KNOWN_SHAPES,
    AnnotatedFrame,
    Interval,
    Label,
    Point,
    Points,
    Shape,
    UnknownShape,
)
from mirror.errors import ExportError
from mirror.export import SequenceSlice, decode_annotations
from mirror.export.frames import changed, refuse_bad_id
from mirror.export.place import shown
from mirror.export.shapes import NO_TYPE
from mirror.frames import FrameRef

_NUMBERS = frozenset({int, float})
# milliseconds; 30,000 years, far below where floats lose a millisecond
_LONGEST = 10**15


def decode_frame(piece: SequenceSlice, number: int, raw: Raw, problems: Problems) -> AnnotatedFrame:
    """Frame `number` of a slice. Raises `ExportError` where it is no frame."""
    found = decode_annotations(piece, raw)
    place = f"{piece.place}, frame {number}"
    frame_id = _object(found, place).get("id")
    if not isinstance(frame_id, str):
        raise _wrong(f"{place}, id", "a string", frame_id)
    refuse_bad_id(piece, number, frame_id)
    ref = FrameRef(piece.workspace_id, piece.root_id, frame_id)
    return AnnotatedFrame(ref, tuple(_labels(found.get("labels"), place, problems)))


def _labels(found: Any, place: str, problems: Problems) -> Iterator[Label]:
    for index, each in enumerate(_list(found, f"{place}, labels")):
        at = f"{place}, labels[{index}]"
        code = _object(each, at).get("code")
        shapes = _list(each.get("shapes"), f"{at}.shapes")
        if not code or not isinstance(code, str):
            problems.add(Problem(ProblemKind.NO_CODE, at, "the label has no code"))
        else:
            found_shapes = tuple(_shapes(shapes, at, problems))
            # without a shape it would say something of the whole frame, which nobody said
            if found_shapes or not shapes:
                yield Label(code, _name(each, code), found_shapes)


def _shapes(found: list[Any], place: str, problems: Problems) -> Iterator[Shape]:
    for index, each in enumerate(found):
        at = f"{place}.shapes[{index}]"
        shape = shape_of(_object(each, at))
        if isinstance(shape, Shape):
            yield shape
        else:
            kind, what = shape
            problems.add(Problem(kind, at, what))


def shape_of(found: dict[str, Any]) -> Shape | tuple[ProblemKind, str]:
    """The shape that these fields describe, or what is wrong with it."""
    kind = found.get("type") or found.get("shape_type") or NO_TYPE
    points = _points(found.get("points"))
    known = KNOWN_SHAPES.get(kind) if isinstance(kind, str) else None
    if known is None:
        return UnknownShape(points or (), str(kind), found)
    if points is None:
        what = f"a point of the {kind} has no x and y that are finite numbers"
        return ProblemKind.COORDINATES, what
    if len(points) < known.fewest:
        what = f"a {kind} takes at least {known.fewest} points, and this has {len(points)}"
        return ProblemKind.POINTS, what
    if known.most is not None and len(points) > known.most:
        what = f"a {kind} takes {known.most} points, and this has {len(points)}"
        return ProblemKind.POINTS, what
    return known(points)


def _points(found: Any) -> Points | None:
    """None where one of them is no point."""
    if found is None:
        return ()
    points = []
    try:
        for each in found:
            x, y = each["x"], each["y"]
            if type(x) not in _NUMBERS or type(y) not in _NUMBERS:
                return None
            if not (-inf < x < inf and -inf < y < inf):
                return None
            points.append(Point(float(x), float(y)))
    except (TypeError, KeyError, IndexError):
        return None
    return tuple(points)


class _Video(msgspec.Struct, gc=False, rename="camel"):
    video_annotations: Raw | UnsetType = UNSET
    video_duration: Raw | UnsetType = UNSET


_video = msgspec.json.Decoder(_Video)


def _read_video(piece: SequenceSlice) -> _Video:
    try:
        return _video.decode(piece.raw)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise changed(piece) from None


def decode_intervals(piece: SequenceSlice, problems: Problems) -> Iterator[Interval]:
    """The video annotations of a slice, in export order. Raises `ExportError`."""
    raw = _read_video(piece).video_annotations
    if raw is UNSET:
        return
    for index, each in enumerate(
        _list(decode_annotations(piece, raw), f"{piece.place}, videoAnnotations")
    ):
        place = f"{piece.place}, videoAnnotations[{index}]"
        interval = interval_of(_object(each, place))
        if isinstance(interval, Interval):
            yield interval
        else:
            kind, what = interval
            problems.add(Problem(kind, place, what))


def interval_of(found: dict[str, Any]) -> Interval | tuple[ProblemKind, str]:
    """The interval that these fields describe, or what is wrong with it."""
    label = found.get("label")
    code = label.get("code") if isinstance(label, dict) else None
    if not isinstance(label, dict) or not code or not isinstance(code, str):
        return ProblemKind.NO_CODE, "the video annotation's label has no code"
    times = found.get("timestampStart"), found.get("timestampEnd")
    for time in times:
        if time is not None and not (type(time) in _NUMBERS and 0 <= time <= _LONGEST):
            return ProblemKind.TIMES, f"{shown(str(time))} is no time in milliseconds"
    start, end = (None if time is None else round(time) for time in times)
    if end is not None and end < (start or 0):
        return ProblemKind.BACKWARDS, f"it ends at {end} ms, before it starts at {start} ms"
    return Interval(code, _name(label, code), start or 0, end, open_start=start is None)


def decode_duration(piece: SequenceSlice) -> int | None:
    """How long the video is, in milliseconds, where the export says so: `videoDuration`, which the
    guide does not name, so nothing may rely on it."""
    raw = _read_video(piece).video_duration
    found: Any = 0 if raw is UNSET else decode_annotations(piece, raw)
    return round(found) if type(found) in _NUMBERS and 0 < found <= _LONGEST else None


def _name(found: dict[str, Any], code: str) -> str:
    name = found.get("displayName")
    return name if name and isinstance(name, str) else code


def _object(found: Any, place: str) -> dict[str, Any]:
    if not isinstance(found, dict):
        raise _wrong(place, "an object", found)
    return found


def _list(found: Any, place: str) -> list[Any]:
    if found is None:
        return []
    if not isinstance(found, list):
        raise _wrong(place, "a list", found)
    return found


_JSON = {dict: "an object", list: "a list", str: "a string", bool: "a boolean", type(None): "null"}


def _wrong(place: str, expected: str, found: Any) -> ExportError:
    got = _JSON.get(type(found), "a number")
    return ExportError(
        f"{place}: expected {expected}, got {got}; download the export again or mend it."
    )
