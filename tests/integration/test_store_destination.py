"""Holding a destination: what is made, who may hold it, what is removed."""

from __future__ import annotations

import fcntl
import json
import os
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from store_kit import group, names, png, store

from mirror.errors import DestinationBusyError, DestinationError, ExitCode
from mirror.store import Destination, Layout, LockState, lock_state
from mirror.store.destination import write_whole

HOLD = """
import sys
from pathlib import Path
from mirror.store import Destination, Layout
with Destination.open(Path(sys.argv[1]), Layout()) as destination:
    (destination.state / "tmp" / "half").write_bytes(b"half a frame")
    print("held", flush=True)
    sys.stdin.read()
"""


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture
def other_run(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path / "dest")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.communicate()


@pytest.fixture(params=[0o000, 0o077])
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def test_attack_23_modes_are_exact_whatever_the_umask(tmp_path: Path, umask: int) -> None:
    layout = Layout(file_mode=0o640, dir_mode=0o750)
    root = tmp_path / "new" / "dest"
    with store(root, layout) as one:
        written = one.write(one.ask(group("f1")))
        one.committer.commit(written, [])
        one.destination.write_state("report.json", [b"{}"])
        state = one.destination.state
        for folder in (root.parent, root, state, state / "tmp", root / "r1"):
            assert mode(folder) == 0o750, folder
        for file in ("ledger.sqlite3", "ledger.sqlite3-wal", "report.json"):
            assert mode(state / file) == 0o640, file
        assert mode(root / "r1" / "f1.png") == 0o640
        assert mode(state / "lock") & 0o077 == 0


def test_the_default_modes_keep_frames_private(tmp_path: Path) -> None:
    with store(tmp_path / "dest") as one:
        one.committer.commit(one.write(one.ask(group("f1"))), [])
        assert mode(one.root) == 0o700
        assert mode(one.root / "r1" / "f1.png") == 0o600


def test_what_is_there_keeps_its_mode(tmp_path: Path) -> None:
    tmp_path.joinpath("dest").mkdir(mode=0o711)
    tmp_path.joinpath("dest").chmod(0o711)
    with Destination.open(tmp_path / "dest", Layout()):
        assert mode(tmp_path / "dest") == 0o711


def test_fault_48_another_run_is_named(tmp_path: Path, other_run: subprocess.Popen[str]) -> None:
    """Row 51 too: the second run on a destination stops, and harms nothing of the first."""
    with pytest.raises(DestinationBusyError) as caught:
        Destination.open(tmp_path / "dest", Layout())
    assert caught.value.exit_code is ExitCode.INTERRUPTED
    assert f"process {other_run.pid} on {socket.gethostname()}, since 20" in str(caught.value)
    assert names(tmp_path / "dest" / ".mirror" / "tmp") == ["half"]
    holder = lock_state(tmp_path / "dest").holder
    assert holder is not None
    assert holder.pid == other_run.pid


def test_a_dead_run_holds_nothing_and_leaves_nothing(
    tmp_path: Path, other_run: subprocess.Popen[str]
) -> None:
    other_run.kill()
    other_run.wait()
    died = lock_state(tmp_path / "dest").died
    assert died is not None
    assert died.pid == other_run.pid
    with Destination.open(tmp_path / "dest", Layout()):
        assert names(tmp_path / "dest" / ".mirror" / "tmp") == []
    assert lock_state(tmp_path / "dest") == LockState()


def test_the_lock_is_free_after_close_and_closing_twice_is_fine(tmp_path: Path) -> None:
    one = Destination.open(tmp_path, Layout())
    assert lock_state(tmp_path).holder is not None
    one.close()
    one.close()
    Destination.open(tmp_path, Layout()).close()
    assert "closed" in repr(one)


def test_a_look_at_the_lock_does_not_keep_a_run_from_starting(tmp_path: Path) -> None:
    Destination.open(tmp_path, Layout()).close()
    with (tmp_path / ".mirror" / "lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_SH)
        with pytest.raises(DestinationBusyError):
            Destination.open(tmp_path, Layout())
    Destination.open(tmp_path, Layout()).close()


def test_a_lock_without_a_readable_holder_is_still_a_lock(tmp_path: Path) -> None:
    with Destination.open(tmp_path, Layout()):
        (tmp_path / ".mirror" / "lock").write_text("{")
        with pytest.raises(DestinationBusyError, match="an unknown host, since just now"):
            Destination.open(tmp_path, Layout())


def test_nothing_is_held_where_nothing_is(tmp_path: Path) -> None:
    assert lock_state(tmp_path / "nowhere") == LockState()


def test_fault_52_two_runs_past_a_lying_lock_stay_safe(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second run takes the first one's temporaries for a dead run's: those frames are lost
    and fetched again. No name is used twice, and what is committed is whole."""
    with store(tmp_path) as first:
        frames = first.ask(group("f1"))
        written = first.write(frames)
        monkeypatch.setattr(fcntl, "flock", lambda *_: None)
        with store(tmp_path) as second:
            again = second.write(second.ask(group("f1")))
            assert again[0].name != written[0].name
            result = first.committer.commit(written, [])
            assert [lost.frame for lost in result.lost] == frames
            assert result.committed == []
            second.committer.commit(again, [])
        retried = first.committer.commit(first.write(frames), [])
        assert len(retried.committed) == 1
    assert (tmp_path / "r1" / "f1.png").read_bytes() == png(frames[0].row)


@pytest.mark.parametrize("where", ["dest", "dest/below"])
def test_a_file_is_no_destination(tmp_path: Path, where: str) -> None:
    (tmp_path / "dest").write_text("mine")
    with pytest.raises(DestinationError, match="dest"):
        Destination.open(tmp_path / where, Layout())
    assert (tmp_path / "dest").read_text() == "mine"


def test_the_destination_itself_may_be_a_symbolic_link(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "dest").symlink_to("disk")
    with Destination.open(tmp_path / "dest", Layout()):
        assert (tmp_path / "disk" / ".mirror").is_dir()


@pytest.mark.parametrize("name", [".mirror", ".mirror/tmp", ".mirror/lock"])
def test_attack_06_no_link_is_followed_into_the_folder_for_state(tmp_path: Path, name: str) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "precious").write_text("mine")
    place = tmp_path / "dest" / name
    place.parent.mkdir(parents=True)
    place.symlink_to(elsewhere)
    with pytest.raises(DestinationError, match="symbolic link"):
        Destination.open(tmp_path / "dest", Layout())
    assert names(elsewhere) == ["precious"]


def test_a_stale_temporary_that_is_a_link_is_removed_and_not_its_target(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("mine")
    (tmp_path / "dest/.mirror/tmp").mkdir(parents=True)
    (tmp_path / "dest/.mirror/tmp/stale").symlink_to(tmp_path / "precious")
    with Destination.open(tmp_path / "dest", Layout()):
        assert names(tmp_path / "dest/.mirror/tmp") == []
    assert (tmp_path / "precious").read_text() == "mine"


def test_state_is_replaced_whole(tmp_path: Path) -> None:
    with Destination.open(tmp_path, Layout()) as destination:
        destination.write_state("report.json", [b'{"run": 1}'])
        destination.write_state("report.json", [b'{"run": 2}'])
        assert json.loads((tmp_path / ".mirror/report.json").read_bytes()) == {"run": 2}
        assert names(tmp_path / ".mirror") == ["lock", "report.json", "tmp"]
        assert names(tmp_path / ".mirror" / "tmp") == []


def test_state_that_cant_be_written_ends_the_run_and_leaves_nothing(tmp_path: Path) -> None:
    with Destination.open(tmp_path, Layout()) as destination:
        (tmp_path / ".mirror/report.json").mkdir()
        with pytest.raises(DestinationError):
            destination.write_state("report.json", [b"{}"])
        assert names(tmp_path / ".mirror" / "tmp") == []


def test_fault_45_short_writes_go_on_where_they_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However little the kernel takes at a time, over more chunks than one call may have."""
    chunks = [bytes([n % 251]) * (n % 7) for n in range(3000)]
    calls = 0

    def stingy(file: int, views: list[memoryview]) -> int:
        nonlocal calls
        calls += 1
        flat = b"".join(views)
        assert len(views) <= 1024
        return os.write(file, flat[: 1 + calls % 11])

    with (tmp_path / "whole").open("wb") as file:
        write_whole(file.fileno(), chunks)
    assert (tmp_path / "whole").read_bytes() == b"".join(chunks)
    monkeypatch.setattr(os, "writev", stingy)
    with (tmp_path / "file").open("wb") as file:
        write_whole(file.fileno(), chunks)
    assert (tmp_path / "file").read_bytes() == b"".join(chunks)
    assert calls > 100
