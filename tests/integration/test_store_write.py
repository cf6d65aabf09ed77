"""Bodies to temporaries, and looking at what is already there."""

from __future__ import annotations

import errno
import os
import stat
from hashlib import sha256
from pathlib import Path

import pytest
from store_kit import MOST, body, descriptors, failing, files, group, ids, names, png, store

from mirror.errors import DestinationError, NotPngError, TooLargeError, WriteLostError
from mirror.store import Body, FrameWriter, Refused, StreamedBody, Written, open_stream


def test_a_body_becomes_a_temporary_with_its_facts(tmp_path: Path) -> None:
    with store(tmp_path) as one:
        frame = one.ask(group("f1"))[0]
        (written,) = one.writer.write([body(frame)])
        data = png(frame.row)
        assert isinstance(written, Written)
        assert written.name is not None
        assert (written.size, written.sha256) == (len(data), sha256(data).digest())
        assert (written.width, written.height) == (4, 4)
        assert (tmp_path / ".mirror/tmp" / written.name).read_bytes() == data
        assert files(tmp_path) == set()
        one.writer.discard([written])
        assert one.temporaries() == []


def test_one_bad_body_does_not_harm_the_batch(tmp_path: Path) -> None:
    """Rows 33, 34, 37: what is no PNG is refused and leaves no temporary; order is kept."""
    with store(tmp_path) as one:
        frames = one.ask(group("f1", "f2", "f3", "f4"))
        good = png(1)
        broken = bytearray(good)
        broken[-20] ^= 1
        bodies = [
            Body(frames[0], [b"<xml/>"], 6),
            Body(frames[1], [good], len(good)),
            Body(frames[2], [bytes(broken)], len(broken)),
            Body(frames[3], [], 0),
        ]
        results = one.writer.write(bodies)
        assert [type(result) for result in results] == [Refused, Written, Refused, Refused]
        assert [result.frame for result in results] == frames
        assert all(isinstance(r.error, NotPngError) for r in results if isinstance(r, Refused))
        assert len(one.temporaries()) == 1


async def test_a_streamed_body_is_read_back_and_checked(tmp_path: Path) -> None:
    with store(tmp_path) as one:
        frames = one.ask(group("f1", "f2", "f3"))
        bodies = []
        for frame, data in zip(frames, [png(1, 1500), png(1)[:-1], b""], strict=True):
            target = await open_stream(one.destination)
            for at in range(0, len(data), 7000):
                await target.write(data[at : at + 7000])
            bodies.append(StreamedBody(frame, await target.close(), len(data)))
        results = one.writer.write(bodies)
        assert [type(result) for result in results] == [Written, Refused, Refused]
        assert one.temporaries() == [bodies[0].name]
        assert stat.S_IMODE((tmp_path / ".mirror/tmp" / bodies[0].name).stat().st_mode) == 0o600
        assert results[0].sha256 == sha256(png(1, 1500)).digest()  # type: ignore[union-attr]  # see above


async def test_a_stream_in_large_blocks_can_be_given_up_at_any_time(tmp_path: Path) -> None:
    with store(tmp_path) as one:
        target = await open_stream(one.destination)
        await target.write(b"x" * 3_000_000)
        assert (tmp_path / ".mirror/tmp" / one.temporaries()[0]).stat().st_size == 3_000_000
        await target.write(b"y")
        await target.abort()
        assert one.temporaries() == []
        assert "StreamTarget" in repr(target)


@pytest.mark.parametrize(
    ("number", "expected"),
    [(errno.ENOSPC, DestinationError), (errno.EIO, WriteLostError)],
)
async def test_fault_43_a_stream_that_cant_be_written_says_so(
    tmp_path: Path, number: int, expected: type[Exception]
) -> None:
    """Row 42 too. What is on the disk so far goes with `abort`."""
    with store(tmp_path) as one:
        target = await open_stream(one.destination)

        async def fail(_: bytes) -> int:
            raise OSError(number, os.strerror(number))

        target._file.write = fail  # type: ignore[method-assign]  # the disk fails
        await target.write(b"x")
        with pytest.raises(expected):
            await target.close()
        await target.abort()
        assert one.temporaries() == []


async def test_a_stream_that_cant_be_opened_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with store(tmp_path) as one:
        monkeypatch.setattr(one.destination, "create", failing(errno.ENOSPC))
        with pytest.raises(DestinationError, match="full"):
            await open_stream(one.destination)


async def test_fault_42_a_failing_close_of_a_stream_loses_the_file(tmp_path: Path) -> None:
    with store(tmp_path) as one:
        target = await open_stream(one.destination)
        close = target._file.close

        async def fail() -> None:
            await close()
            raise OSError(errno.EIO, "Input/output error")

        target._file.close = fail  # type: ignore[method-assign]  # the disk fails
        with pytest.raises(WriteLostError):
            await target.close()
        await target.abort()
        assert one.temporaries() == []


def test_the_byte_cap_holds(tmp_path: Path) -> None:
    with store(tmp_path) as one:
        frame = one.ask(group("f1"))[0]
        (refused,) = FrameWriter(one.destination, 20).write([body(frame)])
        assert isinstance(refused, Refused)
        assert isinstance(refused.error, TooLargeError)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EROFS])
def test_fault_43_a_full_disk_stops_the_run_and_nothing_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    with store(tmp_path) as one:
        frames = one.ask(group("f1", "f2", "f3"))
        real, calls = os.writev, []

        def full_later(file: int, views: list[memoryview]) -> int:
            calls.append(file)
            return real(file, views) if len(calls) < 3 else failing(number)()

        monkeypatch.setattr(os, "writev", full_later)
        with pytest.raises(DestinationError, match=r"run again\.$"):
            one.writer.write([body(frame) for frame in frames])
        assert one.temporaries() == []


async def test_a_full_disk_takes_the_streamed_bodies_of_the_batch_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with store(tmp_path) as one:
        frames = one.ask(group("f1", "f2"))
        target = await open_stream(one.destination)
        await target.write(png(1))
        streamed = StreamedBody(frames[1], await target.close(), 1)
        monkeypatch.setattr(os, "writev", failing(errno.ENOSPC))
        with pytest.raises(DestinationError):
            one.writer.write([body(frames[0]), streamed])
        assert one.temporaries() == []


@pytest.mark.parametrize("call", ["writev"])
def test_fault_42_a_write_the_disk_fails_loses_that_frame(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    with store(tmp_path) as one:
        frames = one.ask(group("f1", "f2"))
        real = getattr(os, call)
        failed: list[int] = []

        def fail_once(file: int, *rest: object) -> object:
            result = real(file, *rest)
            if not failed:
                failed.append(file)
                failing(errno.EIO)()
            return result

        monkeypatch.setattr(os, call, fail_once)
        results = one.writer.write([body(frame) for frame in frames])
        monkeypatch.undo()
        assert isinstance(results[0], Refused)
        assert isinstance(results[0].error, WriteLostError)
        assert isinstance(results[1], Written)
        assert one.temporaries() == [results[1].name]


def test_fault_42_a_disk_that_keeps_failing_stops_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with store(tmp_path) as one:
        frames = one.ask(group("f1", "f2", "f3"))
        monkeypatch.setattr(os, "writev", failing(errno.EIO))
        assert isinstance(one.writer.write([body(frames[0])])[0], Refused)
        assert isinstance(one.writer.write([body(frames[1])])[0], Refused)
        with pytest.raises(DestinationError, match="the disk reports errors"):
            one.writer.write([body(frames[2])])


def test_fault_55_a_temporary_without_a_descriptor_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with store(tmp_path) as one:
        frame = one.ask(group("f1"))[0]
        monkeypatch.setattr(os, "open", failing(errno.EMFILE))
        (refused,) = one.writer.write([body(frame)])
        assert isinstance(refused, Refused)
        assert refused.error.retryable


def test_attack_07_a_link_planted_at_a_temporary_is_not_written_through(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with store(tmp_path / "dest") as one:
        frame = one.ask(group("f1"))[0]
        precious = tmp_path / "precious"
        precious.write_text("mine")
        monkeypatch.setattr(one.destination, "temporary", lambda: "planted")
        (one.destination.state / "tmp" / "planted").symlink_to(precious)
        with pytest.raises(DestinationError):
            one.writer.write([body(frame)])
        assert precious.read_text() == "mine"


# --- adopting ---------------------------------------------------------------------------------


def test_a_whole_file_is_adopted_and_what_is_absent_is_fetched(tmp_path: Path) -> None:
    with store(tmp_path) as one:
        frames = one.ask(group("f1", "f2"), group("f1", root="r2"))
        (tmp_path / "r1").mkdir()
        (tmp_path / "r1/f2.png").write_bytes(png(7))
        adopted = one.writer.adopt(frames)
        assert [written.frame for written in adopted.written] == [frames[1]]
        assert adopted.written[0].name is None
        assert adopted.written[0].sha256 == sha256(png(7)).digest()
        assert adopted.absent == [frames[0], frames[2]]
        assert adopted.set_aside == []
        assert files(tmp_path) == {"r1/f2.png"}


def test_what_is_no_whole_png_is_set_aside_and_kept(tmp_path: Path) -> None:
    """Also a link (row A7), a folder, a pipe: moved as they are, never followed or opened."""
    with store(tmp_path / "dest") as one:
        frames = one.ask(group("cut", "link", "folder", "pipe", "text"))
        folder = tmp_path / "dest/r1"
        folder.mkdir()
        (folder / "cut.png").write_bytes(png(1)[:-5])
        (tmp_path / "precious").write_bytes(png(2))
        (folder / "link.png").symlink_to(tmp_path / "precious")
        (folder / "folder.png").mkdir()
        os.mkfifo(folder / "pipe.png")
        (folder / "text.png").write_text("mine")
        adopted = one.writer.adopt(frames)
        assert adopted.written == []
        assert ids(adopted.absent) == ["cut", "link", "folder", "pipe", "text"]
        assert [kept for _, kept in adopted.set_aside] == [
            f".mirror/set-aside/r1/{frame.ref.frame_id}.png.1" for frame in frames
        ]
        aside = tmp_path / "dest/.mirror/set-aside/r1"
        assert (aside / "cut.png.1").read_bytes() == png(1)[:-5]
        assert (aside / "link.png.1").is_symlink()
        assert (aside / "folder.png.1").is_dir()
        assert names(folder) == []
        assert (tmp_path / "precious").read_bytes() == png(2)


def test_setting_aside_never_overwrites_what_was_set_aside(tmp_path: Path) -> None:
    with store(tmp_path) as one:
        frames = one.ask(group("f1"))
        (tmp_path / "r1").mkdir()
        for text in ("first", "second"):
            (tmp_path / "r1/f1.png").write_text(text)
            one.writer.adopt(frames)
        aside = tmp_path / ".mirror/set-aside/r1"
        assert [(aside / name).read_text() for name in names(aside)] == ["first", "second"]


def test_a_file_the_disk_cant_read_is_set_aside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with store(tmp_path) as one:
        frames = one.ask(group("f1"))
        (tmp_path / "r1").mkdir()
        (tmp_path / "r1/f1.png").write_bytes(png())
        monkeypatch.setattr(os, "read", failing(errno.EIO))
        assert len(one.writer.adopt(frames).set_aside) == 1


def test_a_file_beyond_the_byte_cap_is_not_adopted(tmp_path: Path) -> None:
    with store(tmp_path) as one:
        frames = one.ask(group("f1"))
        (tmp_path / "r1").mkdir()
        with (tmp_path / "r1/f1.png").open("wb") as file:
            file.write(png()[:33])
            file.truncate(MOST * 10)
        assert len(one.writer.adopt(frames).set_aside) == 1


@pytest.mark.parametrize("kind", ["link", "file"])
def test_attack_06_a_link_for_a_folder_is_not_followed_when_looking(
    tmp_path: Path, kind: str
) -> None:
    with store(tmp_path / "dest") as one:
        frames = one.ask(group("f1"))
        elsewhere = tmp_path / "elsewhere"
        elsewhere.mkdir()
        (elsewhere / "f1.png").write_bytes(b"mine")
        if kind == "link":
            (tmp_path / "dest/r1").symlink_to(elsewhere)
        else:
            (tmp_path / "dest/r1").write_text("mine")
        with pytest.raises(DestinationError, match="r1' can't be used: a file or a symbolic link"):
            one.writer.adopt(frames)
        assert (elsewhere / "f1.png").read_bytes() == b"mine"


def test_looking_fails_as_the_destination_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with store(tmp_path) as one:
        frames = one.ask(group("f1"))
        (tmp_path / "r1").mkdir()
        (tmp_path / "r1/f1.png").write_text("no png")
        monkeypatch.setattr(os, "rename", failing(errno.EROFS))
        with pytest.raises(DestinationError, match="read-only"):
            one.writer.adopt(frames)


def test_more_folders_than_descriptors_are_kept_open(tmp_path: Path) -> None:
    with store(tmp_path) as one:
        frames = one.ask(*(group("f1", root=f"r{n}") for n in range(200)))
        for n in range(200):
            (tmp_path / f"r{n}").mkdir()
            (tmp_path / f"r{n}" / "f1.png").write_bytes(png(n))
        before = descriptors()
        assert len(one.writer.adopt(frames).written) == 200
        assert descriptors() == before
