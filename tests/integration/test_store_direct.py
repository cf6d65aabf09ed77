"""Large bodies past the page cache: the same bytes in the file, whatever the file system allows."""

from __future__ import annotations

import errno
import fcntl
import os
import tempfile
from collections.abc import Callable, Iterator
from hashlib import sha256
from mmap import mmap
from pathlib import Path

import pytest
from store_kit import chunk, descriptors, failing, group, names, png, store

from mirror.errors import DestinationError, NotPngError, TooLargeError, WriteLostError
from mirror.store import FrameWriter, LargeBody, PendingFrame, Refused, Written
from mirror.store.direct import PAGE, write_direct
from mirror.store.write import CACHED

MIB = 1024**2
SIZES = [
    1,
    PAGE - 1,
    PAGE,
    PAGE + 1,
    2 * PAGE,
    CACHED - 1,
    CACHED + 1,
    CACHED + PAGE,
    3 * MIB,
    3 * MIB + 1,
    3 * MIB - 1,
]
O_DIRECT = os.O_DIRECT


def filled(size: int) -> tuple[mmap, bytes]:
    """Memory of more than `size` bytes, and those that are the body's."""
    body = os.urandom(size)
    memory = mmap(-1, size + 3 * PAGE)
    memory[:] = b"\xee" * len(memory)  # what was there before is never the body's
    memory[:size] = body
    return memory, body


def image(size: int, shade: int = 0) -> bytes:
    """A whole PNG of exactly so many bytes."""
    whole = png(shade)
    return whole[:-12] + chunk(b"tEXt", bytes(size - len(whole) - 12)) + whole[-12:]


def large(frame: PendingFrame, body: bytes) -> LargeBody:
    memory = mmap(-1, len(body) + PAGE)
    memory[: len(body)] = body
    return LargeBody(frame, memory, len(body))


@pytest.fixture(params=["disk", "tmpfs"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    """A folder on a disk, and one where there is none below."""
    if request.param == "disk":
        yield tmp_path
        return
    if not Path("/dev/shm").is_dir():
        pytest.skip("no tmpfs here")
    with tempfile.TemporaryDirectory(dir="/dev/shm") as name:
        yield Path(name)


def write(folder: Path, size: int) -> tuple[bytes, bytes, int]:
    """What is in the file, what should be, and the flags of the descriptor afterwards."""
    memory, body = filled(size)
    file = os.open(folder / "file", os.O_RDWR | os.O_CREAT | os.O_EXCL)
    try:
        write_direct(file, memory, size)
        flags = fcntl.fcntl(file, fcntl.F_GETFL)
    finally:
        os.close(file)
    memory.close()  # a BufferError where anything still looks at it
    return (folder / "file").read_bytes(), body, flags


def direct(file: int) -> bool:
    return bool(fcntl.fcntl(file, fcntl.F_GETFL) & O_DIRECT)


# --- the bytes ------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", SIZES)
def test_a_file_holds_the_body_and_nothing_else(folder: Path, size: int) -> None:
    there, body, flags = write(folder, size)
    assert there == body
    assert not flags & O_DIRECT, "whoever writes next is not held to pages"


def test_whole_pages_go_past_the_cache_and_the_rest_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only pages may, and what is behind the last one is never padded."""
    real, calls = os.pwrite, []

    def spy(file: int, data: memoryview, at: int) -> int:
        calls.append((direct(file), len(data), at))
        return real(file, data, at)

    monkeypatch.setattr(os, "pwrite", spy)
    there, body, _ = write(tmp_path, 5 * PAGE + 7)
    assert there == body
    if calls[0] == (True, 5 * PAGE, 0) and len(calls) == 3:
        pytest.skip("this file system refuses direct writes")
    assert calls == [(True, 5 * PAGE, 0), (False, 7, 5 * PAGE)]


@pytest.mark.parametrize("number", [errno.EINVAL, errno.EOPNOTSUPP])
@pytest.mark.parametrize("size", [PAGE, MIB + 5])
def test_a_file_system_that_knows_no_direct_writes_gets_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int, number: int
) -> None:
    real = fcntl.fcntl

    def refuse(file: int, command: int, flags: int = 0) -> int:
        if command == fcntl.F_SETFL and flags & O_DIRECT:
            raise OSError(number, os.strerror(number))
        return real(file, command, flags)

    monkeypatch.setattr(fcntl, "fcntl", refuse)
    there, body, flags = write(tmp_path, size)
    assert there == body
    assert not flags & O_DIRECT


@pytest.mark.parametrize("after", [0, 1])
@pytest.mark.parametrize("number", [errno.EINVAL, errno.EOPNOTSUPP])
def test_a_file_system_that_refuses_at_the_write_gets_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, after: int
) -> None:
    """At the first one, or once some pages are there."""
    real, refused = os.pwrite, 0

    def refuse(file: int, data: memoryview, at: int) -> int:
        nonlocal refused
        if not direct(file):
            return real(file, data, at)
        if at < after * PAGE:
            return real(file, data[:PAGE], at)
        refused += 1
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "pwrite", refuse)
    there, body, flags = write(tmp_path, MIB + 5)
    assert there == body
    assert refused == 1
    assert not flags & O_DIRECT


@pytest.mark.parametrize("most", [PAGE, 3 * PAGE, 1000, PAGE + 1000])
def test_fault_45_short_writes_are_gone_on_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    """Where one ends within a page, no direct write may follow it."""
    real, odd = os.pwrite, []

    def short(file: int, data: memoryview, at: int) -> int:
        if direct(file) and (at % PAGE or len(data) % PAGE):
            odd.append(at)
        # the kernel takes whole pages from a direct write; what it did take is what counts
        return real(file, data, at) if len(data) <= most else _part(file, data[:most], at)

    def _part(file: int, data: memoryview, at: int) -> int:
        flags = fcntl.fcntl(file, fcntl.F_GETFL)
        fcntl.fcntl(file, fcntl.F_SETFL, flags & ~O_DIRECT)
        written = real(file, data, at)
        fcntl.fcntl(file, fcntl.F_SETFL, flags)
        return written

    monkeypatch.setattr(os, "pwrite", short)
    there, body, _ = write(tmp_path, 20 * PAGE + 7)
    assert there == body
    assert not odd


# --- the writer -----------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [128 * PAGE, 128 * PAGE + 1, 128 * PAGE - 1, 3 * MIB + 4095])
def test_a_large_body_becomes_a_temporary_with_its_facts(folder: Path, size: int) -> None:
    data = image(size)
    with store(folder / "dest") as one:
        frame = one.ask(group("f1"))[0]
        (written,) = FrameWriter(one.destination, size).write([large(frame, data)])
        assert isinstance(written, Written)
        assert written.name is not None
        assert (written.size, written.sha256) == (len(data), sha256(data).digest())
        assert (written.width, written.height) == (4, 4)
        assert (one.root / ".mirror/tmp" / written.name).read_bytes() == data
        result = one.committer.commit([written], [])
        assert result.committed == [written]
        assert one.path(frame.ref).read_bytes() == data


def test_memory_is_free_for_the_next_body_once_it_is_written(tmp_path: Path) -> None:
    """What was written stays what it was, though its memory holds something else by then."""
    with store(tmp_path) as one:
        frames = one.ask(group("f1", "f2"))
        first, second = image(600_000, 1), image(600_000, 2)
        body = large(frames[0], first)
        written = one.writer.write([body])
        body.memory[: len(second)] = second
        written += one.writer.write([LargeBody(frames[1], body.memory, len(second))])
        one.committer.commit([item for item in written if isinstance(item, Written)], [])
        assert [one.path(frame.ref).read_bytes() for frame in frames] == [first, second]
        body.memory.close()


def test_fault_34_one_bad_large_body_does_not_harm_the_batch(tmp_path: Path) -> None:
    good = image(600_000)
    broken = bytearray(good)
    broken[300_000] ^= 1
    with store(tmp_path) as one:
        frames = one.ask(group("f1", "f2", "f3", "f4"))
        before = descriptors()
        bodies = [
            large(frames[0], bytes(broken)),
            large(frames[1], good),
            large(frames[2], good[:-1]),
            large(frames[3], image(MIB + 1)),
        ]
        results = one.writer.write(bodies)
        assert [type(result) for result in results] == [Refused, Written, Refused, Refused]
        errors = [type(item.error) for item in results if isinstance(item, Refused)]
        assert errors == [NotPngError, NotPngError, TooLargeError]
        assert len(one.temporaries()) == 1
        assert descriptors() <= before + 1, "the one that waits for its commit"


Fails = Callable[[pytest.MonkeyPatch, int], None]


def at_the_pages(patch: pytest.MonkeyPatch, number: int) -> None:
    real = os.pwrite

    def fail(file: int, data: memoryview, at: int) -> int:
        if direct(file):
            raise OSError(number, os.strerror(number))
        return real(file, data, at)

    patch.setattr(os, "pwrite", fail)


def at_the_rest(patch: pytest.MonkeyPatch, number: int) -> None:
    real = os.pwrite

    def fail(file: int, data: memoryview, at: int) -> int:
        if not direct(file):
            raise OSError(number, os.strerror(number))
        return real(file, data, at)

    patch.setattr(os, "pwrite", fail)


def at_the_flag(patch: pytest.MonkeyPatch, number: int) -> None:
    patch.setattr(fcntl, "fcntl", failing(number))


@pytest.mark.parametrize("fails", [at_the_pages, at_the_rest])
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EROFS])
def test_fault_43_a_full_disk_stops_the_run_and_nothing_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, fails: Fails
) -> None:
    with store(tmp_path) as one:
        frames = one.ask(group("f1", "f2"))
        before = descriptors()
        with monkeypatch.context() as patch:
            fails(patch, number)
            with pytest.raises(DestinationError, match=r"run again\.$"):
                one.writer.write([large(frame, image(600_001)) for frame in frames])
        assert one.temporaries() == []
        assert descriptors() == before


@pytest.mark.parametrize("fails", [at_the_pages, at_the_rest, at_the_flag])
def test_fault_42_a_body_that_the_disk_does_not_keep_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fails: Fails
) -> None:
    with store(tmp_path) as one:
        frame = one.ask(group("f1"))[0]
        before = descriptors()
        body = large(frame, image(600_001))
        with monkeypatch.context() as patch:
            fails(patch, errno.EIO)
            (refused,) = one.writer.write([body])
        assert isinstance(refused, Refused)
        assert isinstance(refused.error, WriteLostError)
        assert names(tmp_path / ".mirror/tmp") == []
        assert descriptors() == before
        assert isinstance(one.writer.write([body])[0], Written), "the next try is another file"
