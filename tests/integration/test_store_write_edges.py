"""The edges of writing and adopting: what is told, and what is dropped."""

from __future__ import annotations

import errno
import os
import struct
import zlib
from hashlib import sha256
from pathlib import Path

import pytest
from store_kit import body, chunk, failing, group, store

from mirror.errors import DestinationError, WriteLostError
from mirror.store import Refused, StreamedBody, Written, open_stream


def wide(width: int, height: int) -> bytes:
    rows = zlib.compress(bytes((width + 1) * height))
    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    parts = chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + parts


def test_what_is_adopted_has_the_facts_of_the_file(tmp_path: Path) -> None:
    with store(tmp_path) as one:
        (frame,) = one.ask(group("f1"))
        path, data = one.path(frame.ref), wide(7, 3)
        path.parent.mkdir(parents=True)
        path.write_bytes(data)
        adopted = one.writer.adopt([frame])
        digest = sha256(data).digest()
        assert adopted.written == [Written(frame, None, len(data), digest, 7, 3)]
        assert (adopted.absent, adopted.set_aside) == ([], [])


def test_fault_42_a_file_that_is_lost_is_told_of_its_frame(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with store(tmp_path) as one:
        (frame,) = one.ask(group("f1"))
        with monkeypatch.context() as patch:
            patch.setattr(os, "write", failing(errno.EIO))
            patch.setattr(os, "writev", failing(errno.EIO), raising=False)
            (refused,) = one.writer.write([body(frame)])
        assert isinstance(refused, Refused)
        assert refused.frame == frame
        assert isinstance(refused.error, WriteLostError)


def test_fault_43_a_destination_that_cannot_be_written_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with store(tmp_path) as one:
        frames = one.ask(group("f1", "f2"))
        place = repr(str(tmp_path))
        with monkeypatch.context() as patch:
            patch.setattr(os, "write", failing(errno.ENOSPC))
            patch.setattr(os, "writev", failing(errno.ENOSPC), raising=False)
            with pytest.raises(DestinationError) as caught:
                one.writer.write([body(frame) for frame in frames])
        assert str(caught.value).startswith(f"The destination {place} can't be written: it is full")
        path = one.path(frames[0].ref)
        path.parent.mkdir(parents=True)
        path.write_bytes(b"x")
        with monkeypatch.context() as patch:
            patch.setattr(one.destination, "set_aside", failing(errno.EROFS))
            with pytest.raises(DestinationError) as caught:
                one.writer.adopt(frames)
        assert str(caught.value).startswith(f"The destination {place} can't be written: it is mou")


async def test_whatever_ends_a_batch_leaves_no_temporary(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with store(tmp_path) as one:
        frames = one.ask(group("f1", "f2", "f3"))
        target = await open_stream(one.destination)
        await target.write(b"half a body")
        name = await target.close()
        bodies = [body(frames[0]), body(frames[1]), StreamedBody(frames[2], name, 11)]
        create, made = one.destination.create, []

        def interrupted(temporary: str) -> int:
            made.append(temporary)
            if len(made) == 2:
                raise KeyboardInterrupt
            return create(temporary)

        monkeypatch.setattr(one.destination, "create", interrupted)
        with pytest.raises(KeyboardInterrupt):
            one.writer.write(bodies)
        assert len(made) == 2
        assert one.temporaries() == []
