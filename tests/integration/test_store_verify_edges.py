"""The edges of verifying: what is said of each damage, how many bytes are whole; the checksums."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from store_kit import group, store

from mirror.frames import FrameRef
from mirror.store import (
    Check,
    Damage,
    Destination,
    Layout,
    LedgerReader,
    RecordedFrame,
    by_content,
    by_size,
    verify,
    write_checksums,
)


@pytest.mark.parametrize("check", [by_content, by_size])
def test_what_is_said_of_each_damage(tmp_path: Path, check: Check) -> None:
    with store(tmp_path) as one:
        written = one.write(one.ask(group("fifo", "gone", "more", "other", "whole", "whole2")))
        one.committer.commit(written, [])
        path = {each.frame.ref.frame_id: one.path(each.frame.ref) for each in written}
    path["fifo"].unlink()
    os.mkfifo(path["fifo"])
    path["gone"].unlink()
    path["more"].write_bytes(b"x" * 1234)
    size = path["other"].stat().st_size
    path["other"].write_bytes(b"x" * size)
    was = {each.frame.ref.frame_id: each.size for each in written}
    with LedgerReader.open(tmp_path) as reader:
        (piece,) = verify(reader.mirrored(), tmp_path, Layout(), check)
    read = check is by_content
    assert [(each.path, each.damage, each.detail) for each in piece.damaged] == [
        ("r1/fifo.png", Damage.NO_FILE, "what stands there is no regular file"),
        ("r1/gone.png", Damage.GONE, "no file is there"),
        ("r1/more.png", Damage.WRONG_SIZE, f"it has 1,234 bytes, recorded are {was['more']}"),
        ("r1/other.png", Damage.WRONG_CONTENT, "its SHA-256 is not the recorded one"),
    ][: 4 if read else 3]
    assert piece.frames == 6
    assert piece.size == was["whole"] + was["whole2"] + (0 if read else was["other"])


def test_many_frames_have_a_line_each_in_the_checksums(tmp_path: Path) -> None:
    frames = [
        RecordedFrame(n, FrameRef("w", "r", f"f{n}"), 1, n.to_bytes(32), 1, 1)
        for n in range(2 * 1024 + 1)
    ]
    with Destination.open(tmp_path, Layout()) as destination:
        write_checksums(destination, frames)
    lines = (tmp_path / ".mirror/SHA256SUMS").read_text().splitlines()
    assert lines == [f"{n:064x}  r/f{n}.png" for n in range(2 * 1024 + 1)]
