"""The frames of one slice, decoded by type.

A small slice is decoded at once, which is fastest. A large one is cut into one undecoded piece for
each frame, and each piece is let go as its frame is handed out: memory is about 70 bytes a frame of
this slice, whatever its labels hold.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Generic, Protocol, TypeVar

import msgspec
import orjson
from msgspec import Raw

from mirror.errors import ExportError
from mirror.export import place
from mirror.export.cut import SequenceSlice
from mirror.frames import check_id


class _HasId(Protocol):
    @property
    def id(self) -> str: ...


F = TypeVar("F", bound=_HasId)

_AT_ONCE = 8 * 1024**2
_pieces = msgspec.json.Decoder(list[Raw])
_TAKEN = Raw()


class FrameReader(Generic[F]):
    """Reads frames as `kind`: a Struct with the fields that are wanted, `id` among them."""

    def __init__(self, kind: type[F]) -> None:
        self._many = msgspec.json.Decoder(list[kind])  # type: ignore[valid-type]  # made at run time
        self._one = msgspec.json.Decoder(kind)

    def read(self, piece: SequenceSlice) -> Iterator[F]:
        """Every frame of `piece`, in order, its id checked. Raises `ExportError` with its place."""
        if piece.frames is None:
            return
        for number, frame in enumerate(self._decode(piece, piece.frames)):
            refuse_bad_id(piece, number, frame.id)
            yield frame
        piece.source.passed(_length(piece.frames))

    def _decode(self, piece: SequenceSlice, frames: Raw) -> Iterable[F]:
        if _length(frames) <= _AT_ONCE:
            try:
                return self._many.decode(frames)
            except (ValueError, RecursionError):
                pass  # one by one, the frame that is wrong shows itself
        return self._one_by_one(piece, frames)

    def _one_by_one(self, piece: SequenceSlice, frames: Raw) -> Iterator[F]:
        for number, raw in _cut(piece, frames):
            try:
                frame = self._one.decode(raw)
            except (ValueError, RecursionError) as error:
                raise wrong_frame(piece, number, error) from None
            yield frame


def undecoded_frames(piece: SequenceSlice) -> Iterator[tuple[int, Raw]]:
    """Every frame of `piece` by its number, undecoded and unchecked. Raises `ExportError`."""
    if piece.frames is not None:
        yield from _cut(piece, piece.frames)
        piece.source.passed(_length(piece.frames))


def _cut(piece: SequenceSlice, frames: Raw) -> Iterator[tuple[int, Raw]]:
    try:
        pieces = _pieces.decode(frames)
    except RecursionError:
        raise place.too_deep(piece.place) from None
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise changed(piece) from None
    for number, raw in enumerate(pieces):
        pieces[number] = _TAKEN
        yield number, raw


def changed(piece: SequenceSlice) -> ExportError:
    """What was walked over when the export was opened can't be read any more."""
    return ExportError(
        f"{piece.place}: the export changed while it was read; run again when it is complete."
    )


def refuse_bad_id(piece: SequenceSlice, number: int, frame_id: str) -> None:
    """Raise `ExportError` where the id of frame `number` can't be one."""
    why = check_id(frame_id)
    if why is not None:
        raise ExportError(
            f"{piece.place}, frame {number}: id {place.shown(frame_id)} can't be an id: {why};"
            " download the export again or mend it."
        )


def _length(raw: Raw) -> int:
    with memoryview(raw) as text:
        return len(text)


def wrong_frame(
    piece: SequenceSlice, number: int, error: Exception, within: str = ""
) -> ExportError:
    """What `error`, raised while decoding frame `number`, or what is `within` it, says."""
    where = f"{piece.place}, frame {number}"
    if isinstance(error, UnicodeDecodeError):
        return place.bad_utf8(where, piece.source.view, piece.source.start)
    if isinstance(error, RecursionError):
        return place.too_deep(where)
    return place.wrong_shape(where, error, within)


def decode_annotations(piece: SequenceSlice, part: Raw | None = None) -> Any:
    """A `part` of a sequence, such as one frame, or all of it, as dictionaries and lists.

    Raises `ExportError`.
    """
    try:
        with memoryview(piece.raw if part is None else part) as text:
            return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        # msgspec walked over it before, so this is text, a number or a depth beyond JSON's users
        if "UTF-8" in error.msg:
            raise place.bad_utf8(piece.place, piece.source.view, piece.source.start) from None
        raise ExportError(f"{piece.place}: {error.msg}; download the export again.") from None
