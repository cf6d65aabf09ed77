"""Cuts an export into undecoded sequences, and checks what names them.

Invariants: nothing is built but the slices; every id of a slice has passed `check_id`; a slice with
frames has both ids. A sequence without frames (a video batch's) may lack them: its ids are then
empty, and it is counted but names nothing. Frames are read in `frames.py`.

Cutting walks over every byte, so whatever is broken in the JSON is found here, with its byte.
Duplicate keys: `sequences` and every field of a sequence may stand once. Below that the last one
counts, for every reader here alike.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import msgspec
from msgspec import Raw

from mirror.errors import ExportError
from mirror.export import place
from mirror.export.source import Source
from mirror.frames import check_id

_MOST_FIELDS = 1000
_EMPTY_LIST = re.compile(rb"\[\s*\]")


class _Cut(msgspec.Struct, gc=False):
    sequences: list[Raw]


class _Name(str):
    """A field's name, seen by `_Fields` while it is decoded."""

    __slots__ = ()


class _Fields:
    """Cuts an object into its undecoded fields; refuses a name that occurs twice."""

    def __init__(self) -> None:
        self._names: set[str] = set()
        self._decoder = msgspec.json.Decoder(dict[_Name, Raw], dec_hook=self._note)

    def cut(self, raw: Raw | memoryview) -> dict[_Name, Raw]:
        """Field by name. Raises as msgspec does."""
        self._names.clear()
        return self._decoder.decode(raw)

    def _note(self, _: type, name: str) -> _Name:
        if name in self._names:
            raise ValueError(f"the key {place.shown(name)} occurs twice")
        if len(self._names) == _MOST_FIELDS:
            raise ValueError(f"more than {_MOST_FIELDS} fields")
        self._names.add(name)
        return _Name(name)


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class SequenceSlice:
    """One undecoded sequence. `index` counts from 0 in export order.

    `raw` is the whole sequence, `frames` its `featureSet` or None where it has no frame; both are
    views of the mapped file.
    """

    index: int
    workspace_id: str
    root_id: str
    raw: Raw
    frames: Raw | None
    source: Source

    @property
    def place(self) -> str:
        """How an error names this sequence."""
        return place.of_sequence(self.source.path, self.index, self.root_id)

    def __repr__(self) -> str:
        return f"<SequenceSlice {self.index} {self.root_id or '(no id)'}>"


def cut_sequences(source: Source) -> Iterator[SequenceSlice]:
    """Every entry of `sequences`. Raises `ExportError`."""
    fields = _Fields()
    entries = _cut(source, fields)
    source.passed(source.size)
    # a batch has few workspaces: one string for each serves all its sequences
    workspaces: dict[str, str] = {}
    for index, raw in enumerate(entries):
        yield _slice(source, fields, index, raw, workspaces)
    source.passed(source.size)


def _cut(source: Source, fields: _Fields) -> list[Raw]:
    name = place.named(source.path)
    try:
        entries = msgspec.json.decode(source.view, type=_Cut).sequences
        if not source.holds_once(b'"sequences"') or source.escapes_letters():
            fields.cut(source.view)  # only for its check that no key occurs twice
    except msgspec.ValidationError as error:
        raise place.wrong_shape(name, error) from None
    except msgspec.DecodeError as error:
        raise _explain(source, error) from None
    except UnicodeDecodeError:
        raise place.bad_utf8(name, source.view, source.start) from None
    except RecursionError:
        raise place.too_deep(name) from None
    return entries


def _explain(source: Source, error: msgspec.DecodeError) -> ExportError:
    head = bytes(source.view[:4])
    name = place.named(source.path)
    if head[:2] == b"\x1f\x8b" or head == b"PK\x03\x04":
        return ExportError(f"{name} is compressed; unpack it first.")
    if head[:2] in {b"\xff\xfe", b"\xfe\xff"}:
        return ExportError(f"{name} is UTF-16, not UTF-8; download the export again.")
    if not bytes(source.view[:4096]).strip() and not bytes(source.view).strip():
        return ExportError(f"{name} holds nothing but white space; download the export again.")
    return place.broken_json(source.path, source.view, source.start, error)


def _slice(
    source: Source, fields: _Fields, index: int, raw: Raw, workspaces: dict[str, str]
) -> SequenceSlice:
    root_id = ""
    try:
        found = fields.cut(raw)
        root_id = _identifier(found, "rootId")
        workspace_id = _identifier(found, "workspaceId")
        frames = _frames(found)
        _require_ids(frames, workspace_id, root_id)
    except UnicodeDecodeError:
        where = place.of_sequence(source.path, index, root_id)
        raise place.bad_utf8(where, source.view, source.start) from None
    except RecursionError:
        raise place.too_deep(place.of_sequence(source.path, index, root_id)) from None
    except (_WrongFieldError, msgspec.ValidationError) as error:
        where = place.of_sequence(source.path, index, root_id)
        raise place.wrong_shape(where, error) from None
    workspace_id = workspaces.setdefault(workspace_id, workspace_id)
    return SequenceSlice(index, workspace_id, root_id, raw, frames, source)


class _WrongFieldError(ValueError):
    """A field of a sequence is not what an export holds there."""


def _require_ids(frames: Raw | None, workspace_id: str, root_id: str) -> None:
    if frames is not None and not (root_id and workspace_id):
        lacking = "workspaceId" if root_id else "rootId"
        raise _WrongFieldError(f"it has frames but no {lacking}")


def _identifier(fields: dict[_Name, Raw], name: str) -> str:
    """The id in the field `name`, checked; empty where it is absent or null."""
    raw = fields.get(_Name(name))
    if raw is None:
        return ""
    try:
        value = msgspec.json.decode(raw, type=str | None)
    except msgspec.ValidationError as error:
        raise _WrongFieldError(f"{error} - at `$.{name}`") from None
    if value is None:
        return ""
    why = check_id(value)
    if why is not None:
        raise _WrongFieldError(f"{name} {place.shown(value)} can't be an id: {why}")
    return value


def _frames(fields: dict[_Name, Raw]) -> Raw | None:
    raw = fields.get(_Name("featureSet"))
    if raw is None:
        return None
    with memoryview(raw) as text:
        if text[0] == ord("["):
            return None if _EMPTY_LIST.fullmatch(text) else raw
        if bytes(text[:5]) == b"null":
            return None
    raise _WrongFieldError("expected `array | null` - at `$.featureSet`")
