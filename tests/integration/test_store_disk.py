"""Real disks that are full, out of inodes, read-only: small tmpfs mounts, so root is needed."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from store_kit import Store, chunk, files, group, png, record, store

from mirror.errors import DestinationError, LedgerError
from mirror.store import Body, Destination, Layout, Step, open_stream

Mount = Callable[[str], Path]


@pytest.fixture
def mount(tmp_path: Path) -> Iterator[Mount]:
    if os.geteuid() != 0 or shutil.which("mount") is None:
        pytest.skip("mounting a tmpfs needs root on Linux")
    place = tmp_path / "disk"
    place.mkdir()
    mounted = []

    def do(options: str) -> Path:
        action = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(place)]
        if mounted:
            action = ["mount", "-o", f"remount,{options}", str(place)]
        if subprocess.run(action, capture_output=True, check=False).returncode:
            pytest.skip("mounting is not allowed here")
        mounted.append(options)
        return place

    yield do
    if mounted:
        subprocess.run(["umount", str(place)], check=True)


def big(shade: int) -> bytes:
    """About 40 kB."""
    whole = png(shade)
    return whole[:-12] + chunk(b"tEXt", b"x" * 40_000) + whole[-12:]


def bodies(one: Store) -> list[Body]:
    return [
        Body(frame, [data], len(data))
        for frame in one.ledger.pending(0, 1000)
        for data in [big(frame.row)]
    ]


def finish(one: Store) -> None:
    """What the next run does: adopt, fetch the rest, commit."""
    adopted = one.writer.adopt(one.ledger.pending(0, 1000))
    one.committer.commit(adopted.written, [])
    rest = one.writer.write(bodies(one))
    one.committer.commit(rest, [])  # type: ignore[arg-type]  # nothing is refused here
    assert one.ledger.counts().pending == 0


def wanted(count: int = 100) -> list[str]:
    return [f"f{n}" for n in range(count)]


@pytest.mark.parametrize("options", ["size=2m", "size=64m,nr_inodes=60"])
def test_fault_43_a_full_disk_stops_cleanly_and_the_run_resumes(mount: Mount, options: str) -> None:
    """Row 44 too: out of inodes."""
    disk = mount(options)
    with store(disk / "dest") as one:
        one.ask(group(*wanted()))
        with pytest.raises(DestinationError, match="full") as caught:
            one.writer.write(bodies(one))
        assert caught.value.exit_code == 74
        assert one.temporaries() == []
    mount("size=64m,nr_inodes=10000")
    with store(disk / "dest") as one:
        one.ledger.ask_exports([record().sha256], None)
        finish(one)
        assert len(files(disk / "dest")) == 100


async def test_fault_43_a_full_disk_under_a_stream(mount: Mount) -> None:
    disk = mount("size=2m")
    with store(disk) as one:
        target = await open_stream(one.destination)
        await target.write(b"x" * 1024 * 1024)
        with pytest.raises(DestinationError, match="full"):
            await target.write(b"x" * 1024 * 1024)
        await target.abort()
        assert one.temporaries() == []


def test_fault_44_no_inode_for_a_folder_in_a_commit(mount: Mount) -> None:
    disk = mount("size=16m,nr_inodes=12")
    with store(disk / "dest") as one:
        one.ask(group("f1"))
        written = one.write(one.ledger.pending(0, 1))
        with suppress(OSError):
            for n in range(20):
                (disk / f"filler{n}").touch()
        with pytest.raises(DestinationError, match="full"):
            one.committer.commit(written, [])
        assert one.temporaries() == []


def test_fault_47_no_space_in_the_ledger_leaves_files_for_the_next_run(mount: Mount) -> None:
    disk = mount("size=8m")
    with store(disk / "dest") as one:
        one.ask(group(*wanted()))
        written = one.writer.write(bodies(one))

        def fill(step: Step) -> None:
            if step is Step.DIRECTORIES_SYNCED:
                with suppress(OSError), (disk / "filler").open("wb", buffering=0) as file:
                    while file.write(bytes(4096)):
                        pass

        one.destination.reached = fill
        with pytest.raises(LedgerError, match="full"):
            one.committer.commit(written, [])  # type: ignore[arg-type]  # nothing is refused here
        assert len(files(disk / "dest")) == 100
    (disk / "filler").unlink()
    with store(disk / "dest") as one:
        one.ledger.ask_exports([record().sha256], None)
        assert one.ledger.counts().mirrored == 0
        adopted = one.writer.adopt(one.ledger.pending(0, 1000))
        assert len(adopted.written) == 100
        finish(one)


def test_fault_58_a_disk_that_became_read_only_stops_the_run(mount: Mount) -> None:
    disk = mount("size=8m")
    with store(disk / "dest") as one:
        one.ask(group("f1"))
        written = one.write(one.ledger.pending(0, 1))
    mount("ro")
    with pytest.raises(DestinationError, match="read-only"):
        Destination.open(disk / "dest", Layout())
    with pytest.raises(DestinationError, match="read-only"):
        Destination.open(disk / "new", Layout())
    assert written
