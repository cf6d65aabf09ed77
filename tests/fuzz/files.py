"""Exports and images: bytes that lie in files and bodies."""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import pairwise
from random import Random

import orjson
from oracles import frames_of, read_png

from mirror.errors import ExportError, FrameError, NotPngError, TooLargeError
from mirror.export import ExportFile, Selection, decode_annotations, select_frames, summarize
from mirror.store import check_png

SELECTIONS = (
    Selection(labelled_only=True),
    Selection(labels=frozenset({"liver"})),
    Selection(sequences=frozenset({"r"})),
)
SIGNATURE = b"\x89PNG\r\n\x1a\n"
KINDS = (b"IHDR", b"IDAT", b"IEND", b"PLTE", b"tEXt", b"gAMA", b"IDAt", b"ABCD")


@contextmanager
def opened(data: bytes) -> Iterator[ExportFile]:
    """`data` as an export, without a disk."""
    handle = os.memfd_create("export")
    try:
        os.write(handle, data)
        with ExportFile.open(f"/proc/self/fd/{handle}") as found:
            yield found
    finally:
        os.close(handle)


def export(data: bytes) -> None:
    """Open, select, count, decode. The frames are those that `json` finds."""
    opinion, expected = frames_of(data)
    try:
        with opened(data) as found:
            frames = {
                (group.workspace_id, group.root_id): (list(group.frame_ids), group.repeats)
                for group in select_frames([found], Selection())
            }
            _look_around(found, data)
    except ExportError as error:
        assert str(error).isprintable(), "an export's text was quoted as it is"
        assert opinion != "good", f"refused, and is good: {error}"
        return
    assert opinion != "bad", "taken, and is bad"
    if opinion == "good":
        assert frames == {
            group: (list(dict.fromkeys(ids)), len(ids) - len(set(ids)))
            for group, ids in expected.items()
        }


def _look_around(found: ExportFile, data: bytes) -> None:
    """The other readers; each may find what the first had no reason to look at."""
    for selection in SELECTIONS:
        with suppress(ExportError):
            list(select_frames([found], selection))
    with suppress(ExportError):
        total = summarize([found]).total
        assert total.sequences == len(found.sequences)
        assert total.labelled_frames <= total.frames
    with suppress(orjson.JSONDecodeError):
        whole = orjson.loads(data.removeprefix(b"\xef\xbb\xbf"))["sequences"]
        assert [decode_annotations(piece) for piece in found.sequences] == whole
    for piece in found.sequences:
        with suppress(ExportError):
            decode_annotations(piece)


def png(data: bytes) -> None:
    """The check says what a simple reader says, whole or in pieces.

    Byte 0: whether the rest is chunks to put together, so that checksums are right; byte 1: how
    the image is cut into pieces; byte 2: a cap on its size, or none.
    """
    if len(data) < 3:
        return
    image = assembled(data[3:]) if data[0] & 1 else data[3:]
    most = data[2] * 4 if data[2] else 1 << 20
    whole, split = _checked([image], most), _checked(pieces(image, data[1]), most)
    if len(image) > most:
        assert whole[0] is TooLargeError
        assert split[0] in {TooLargeError, NotPngError}, "what came before the cap may be wrong"
    else:
        assert whole == split, "it matters how it is split"
        size = read_png(image)
        assert (whole[1] if whole[0] is None else None) == size, f"{whole}, in truth {size}"


def assembled(data: bytes) -> bytes:
    """Chunks: a byte for the kind (its high bit: a wrong checksum), a byte for the length."""
    out = bytearray(SIGNATURE)
    at = 0
    while at + 2 <= len(data):
        kind, length = KINDS[data[at] % len(KINDS)], data[at + 1]
        body = data[at + 2 : at + 2 + length]
        crc = zlib.crc32(kind + body) ^ (data[at] >> 7)
        out += struct.pack(">I", len(body)) + kind + body + struct.pack(">I", crc)
        at += 2 + length
    return bytes(out) + data[at:]


def pieces(image: bytes, seed: int) -> list[bytes]:
    """`image` cut at random; 0: into single bytes."""
    if not seed:
        return [image[at : at + 1] for at in range(len(image))]
    dice = Random(seed)
    cuts = sorted(dice.randrange(len(image) + 1) for _ in range(seed % 16))
    return [image[a:b] for a, b in pairwise([0, *cuts, len(image)])]


def _checked(parts: list[bytes], most: int) -> tuple[type[FrameError] | None, object]:
    try:
        return None, tuple(check_png(parts, most))
    except TooLargeError as error:
        return TooLargeError, str(error)
    except NotPngError as error:
        return NotPngError, str(error)
