"""What is planted at the destination, before a run or in the middle of it (attacks 6, 7, 23)."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import pytest

from mirror.events import Event, GroupCommitted, RequestStarted, RunStarted
from mirror.simulator import Dataset
from tests.e2e.command import environment, mirror
from tests.faults.attack_kit import Reacting, ended, modes, reasons, tree
from tests.faults.kit import SMALL, frames_at, promises, recorded_at, site

GOOD = Dataset(SMALL)
FRAMES = list(GOOD.frame_ids())
ROOT = GOOD.root_ids[0]
FINAL = f"{ROOT}/{FRAMES[0]}.png"
"""The final name of the first frame."""


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """A folder that nothing may be written to, with a file that may not change."""
    folder = tmp_path / "outside"
    folder.mkdir()
    (folder / "victim").write_bytes(b"precious")
    (folder / f"{FRAMES[0]}.png").write_bytes(b"precious, too")
    return folder


def once(kind: type[Event], act: Callable[[], None]) -> Reacting:
    """Events that `act` is called at the first of one kind of."""
    left = [act]

    def react(event: Event) -> None:
        if isinstance(event, kind) and left:
            left.pop()()

    return Reacting(react)


def swap(folder: Path, outside: Path) -> Callable[[], None]:
    """Puts a link to `outside` where `folder` is."""

    def act() -> None:
        folder.rename(folder.with_name(f"{folder.name}-moved"))
        folder.symlink_to(outside)

    return act


# --- attack 6: folders ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "place", [".mirror", ".mirror/tmp", ".mirror/set-aside", ROOT, f".mirror/set-aside/{ROOT}"]
)
async def test_attack_06_a_link_for_a_folder_is_not_followed(
    tmp_path: Path, outside: Path, place: str
) -> None:
    """Whichever folder of the destination is a link: the run stops, and says at what."""
    async with site(tmp_path) as here:
        link = here.dest / place
        link.parent.mkdir(parents=True)
        link.symlink_to(outside)
        if "set-aside" in place:  # it is used when something stands in a frame's place
            (here.dest / ROOT).mkdir()
            (here.dest / FINAL).write_bytes(b"no image")
        before = tree(outside)
        code, told = await ended(here)
        assert code == 74, told
        assert str(here.dest) in told
        assert tree(outside) == before
        assert here.simulator.count("download") == 0
        if "set-aside" in place:
            assert (here.dest / FINAL).read_bytes() == b"no image"
        link.unlink()
        here.complete(await here.run())
        assert tree(outside) == before


async def test_attack_06_a_linked_state_folder_is_not_read_by_other_commands_either(
    tmp_path: Path, outside: Path
) -> None:
    """Reading follows the link, but makes and changes nothing there."""
    async with site(tmp_path) as here:
        here.complete(await here.run())
        (here.dest / ".mirror").rename(outside / "state")
        (here.dest / ".mirror").symlink_to(outside / "state")
        before = tree(outside)
        env = environment(here.simulator)
        for words in (("status", here.dest), ("verify", here.dest)):
            told = await mirror(*words, env=env)
            assert told.code in {0, 1, 74}, told
            assert tree(outside) == before, words


@pytest.mark.parametrize("moment", [RunStarted, RequestStarted, GroupCommitted])
async def test_attack_06_a_folder_swapped_for_a_link_during_the_run_is_not_followed(
    tmp_path: Path, outside: Path, moment: type[Event]
) -> None:
    """Its frames fail one by one, the others arrive; nothing lands behind the link."""
    async with site(tmp_path) as here:
        await here.run(request={"limit": 1})  # so that the folder is there to be swapped
        before = tree(outside)
        here.events = once(moment, swap(here.dest / ROOT, outside))
        report = await here.run(commit_frames=2)
        assert tree(outside) == before
        assert report.exit_code in {1, 74}, report
        if report.exit_code == 1:
            assert set(reasons(report).values()) == {"write_refused"}
        assert (here.dest / ROOT).is_symlink()
        (here.dest / ROOT).unlink()
        (here.dest / f"{ROOT}-moved").rename(here.dest / ROOT)
        here.complete(await here.run())
        assert tree(outside) == before


@pytest.mark.parametrize("moment", [RunStarted, RequestStarted, GroupCommitted])
@pytest.mark.parametrize("place", ["", ".mirror", ".mirror/tmp"])
async def test_attack_06_the_destination_swapped_for_a_link_during_the_run_is_held_all_the_same(
    tmp_path: Path, outside: Path, moment: type[Event], place: str
) -> None:
    """What is open is what is written to, wherever it was moved."""
    async with site(tmp_path) as here:
        before = tree(outside)
        victim = here.dest / place
        here.events = once(moment, swap(victim, outside))
        report = await here.run(commit_frames=2)
        assert tree(outside) == before
        assert report.exit_code in {0, 74}, report
        victim.unlink()
        victim.with_name(f"{victim.name}-moved").rename(victim)
        promises(here.dest, here.dataset)
        here.complete(await here.run())


# --- attack 7: files ------------------------------------------------------------------------------


def _dangling(path: Path, outside: Path) -> None:
    path.symlink_to(outside / "made-through-the-link")


def _to_file(path: Path, outside: Path) -> None:
    path.symlink_to(outside / "victim")


def _to_whole_frame(path: Path, outside: Path) -> None:
    (outside / "whole.png").write_bytes(GOOD.png(FRAMES[0]))
    path.symlink_to(outside / "whole.png")


def _to_device(path: Path, outside: Path) -> None:
    path.symlink_to("/dev/zero")


def _to_itself(path: Path, outside: Path) -> None:
    path.symlink_to(path)


def _second_name(path: Path, outside: Path) -> None:
    path.hardlink_to(outside / "victim")


def _pipe(path: Path, outside: Path) -> None:
    os.mkfifo(path)


def _folder(path: Path, outside: Path) -> None:
    path.mkdir()
    (path / "inside").write_bytes(b"precious, here")


def _socket(path: Path, outside: Path) -> None:
    at = os.open(path.parent, os.O_RDONLY)
    try:  # a socket's own path is short
        with socket.socket(socket.AF_UNIX) as sock:
            sock.bind(f"/proc/self/fd/{at}/{path.name}")
    finally:
        os.close(at)


PLANTS = [
    _dangling,
    _to_file,
    _to_whole_frame,
    _to_device,
    _to_itself,
    _second_name,
    _pipe,
    _folder,
    _socket,
]
Plant = Callable[[Path, Path], None]


@pytest.mark.parametrize("moment", [None, RequestStarted, GroupCommitted])
@pytest.mark.parametrize("plant", PLANTS)
async def test_attack_07_what_is_planted_at_a_final_name_is_set_aside_and_not_written_through(
    tmp_path: Path, outside: Path, plant: Plant, moment: type[Event] | None
) -> None:
    """Before the run, while bodies come, and after the first frames are committed."""
    async with site(tmp_path) as here:
        path = here.dest / FINAL

        def act() -> None:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.unlink(missing_ok=True)
            plant(path, outside)

        if moment is None:
            act()
            before = tree(outside)
        else:
            before = tree(outside) | (
                {"whole.png": ("0o100644", sha256(GOOD.png(FRAMES[0])).hexdigest())}
                if plant is _to_whole_frame
                else {}
            )
            here.events = once(moment, act)
        async with asyncio.timeout(30):
            report = await here.run(commit_frames=2)
        assert tree(outside) == before
        assert report.exit_code == 0, report
        if moment is GroupCommitted:  # it may have come after its frame: the next run finds it
            report = await here.run()
        here.complete(report)
        assert path.is_file()
        assert not path.is_symlink()
        assert path.stat().st_nlink == 1
        assert tree(outside) == before
        kept = (here.dest / ".mirror").glob("set-aside/*/*")
        if plant is _folder:
            assert [(one / "inside").read_bytes() for one in kept] == [b"precious, here"]


STATE = [
    *("ledger.sqlite3", "ledger.sqlite3-wal", "ledger.sqlite3-shm", "ledger.sqlite3-journal"),
    *("lock", "report.json", "SHA256SUMS", "audit.jsonl", "tmp/planted", "set-aside", "tmp"),
]


_EVERY_PLANT = [_dangling, _to_file, _to_device, _second_name, _pipe, _folder, _socket]
_QUICK = {(_second_name, True), (_pipe, True), (_folder, True), (_dangling, False)}


@pytest.mark.parametrize("name", STATE)
@pytest.mark.parametrize(
    ("plant", "later"),
    [
        pytest.param(plant, later, marks=[] if (plant, later) in _QUICK else pytest.mark.long)
        for plant in _EVERY_PLANT
        for later in (False, True)
    ],
)
async def test_attack_07_what_is_planted_among_mirrors_own_files_is_not_written_through(
    tmp_path: Path, outside: Path, plant: Plant, name: str, later: bool
) -> None:
    """On the first run and on a later one: it ends, nothing outside changes, and once the thing is
    taken away everything is as it should be."""
    async with site(tmp_path) as here:
        if later:
            await here.run(request={"limit": 2})
        path = here.dest / ".mirror" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.is_dir():
            for one in path.iterdir():
                one.unlink()
            path.rmdir()
        path.unlink(missing_ok=True)
        before = tree(outside)
        plant(path, outside)
        async with asyncio.timeout(30):
            code, told = await ended(here, write_checksums=True)
        assert code in {0, 74}, told
        assert "Internal error" not in told
        assert tree(outside) == before
        if code:
            path.rename(tmp_path / "taken-away")
        here.complete(await here.run())
        assert tree(outside) == before


_HANGING = {(_pipe, "lock"), (_pipe, "report.json"), (_pipe, "ledger.sqlite3-wal")}


@pytest.mark.parametrize(
    ("plant", "name"),
    [
        pytest.param(plant, name, marks=[] if (plant, name) in _HANGING else pytest.mark.long)
        for plant in (_pipe, _to_device, _to_file, _folder, _to_itself)
        for name in STATE[:7]
    ],
)
async def test_attack_07_status_and_verify_neither_hang_nor_crash_on_what_is_planted(
    tmp_path: Path, outside: Path, plant: Plant, name: str
) -> None:
    async with site(tmp_path) as here:
        await here.run()
        path = here.dest / ".mirror" / name
        path.unlink(missing_ok=True)
        before = tree(outside)
        plant(path, outside)
        env = environment(here.simulator)
        async with asyncio.timeout(30):
            for command in ("status", "verify"):
                told = await mirror(command, here.dest, env=env)
                assert told.code in {0, 1, 74}, told
                assert "Internal error" not in told.err
        assert tree(outside) == before


async def test_attack_07_temporaries_have_names_that_nobody_can_plant_beforehand(
    tmp_path: Path,
) -> None:
    """Those of two runs have nothing in common."""
    seen: list[set[str]] = []
    async with site(tmp_path) as here:
        for _ in range(2):
            names: set[str] = set()

            def look(_: Event, names: set[str] = names) -> None:
                found = here.dest / ".mirror" / "tmp"
                names |= {one.name for one in found.iterdir()} if found.is_dir() else set()

            here.events = Reacting(look)
            await here.run(commit_seconds=0.2)
            for path in here.dest.glob("*/*.png"):
                path.unlink()
            seen.append(names)
    prefixes = [{name.partition("-")[0] for name in names} for names in seen]
    assert all(len(prefix) == 1 and len(next(iter(prefix))) == 16 for prefix in prefixes), prefixes
    assert prefixes[0] != prefixes[1]


# --- attack 23: permissions -----------------------------------------------------------------------


@pytest.mark.parametrize("mask", [0o000, 0o022, 0o377])
@pytest.mark.parametrize(
    ("settings", "file_mode", "dir_mode"),
    [({}, 0o600, 0o700), ({"file_mode": "0640", "dir_mode": "0750"}, 0o640, 0o750)],
)
async def test_attack_23_nobody_else_reads_frames_or_state_at_any_moment(
    tmp_path: Path, mask: int, settings: dict[str, str], file_mode: int, dir_mode: int
) -> None:
    """Looked at with every event of the run, whatever the umask is."""
    seen: dict[str, set[int]] = {}
    async with site(tmp_path) as here:
        here.dest = tmp_path / "new" / "frames"

        def look(_: Event) -> None:
            if here.dest.exists():
                for name, mode in modes(here.dest).items():
                    seen.setdefault(name, set()).add(mode)

        here.events = Reacting(look)
        old = os.umask(mask)
        try:
            # streamed bodies, and something to set aside, too
            await here.run(request={"limit": 3}, write_checksums=True, **settings)
            victim = next(here.dest.glob("*/*.png"))
            victim.write_bytes(b"no image")
            here.complete(await here.run(write_checksums=True, stream_threshold=1000, **settings))
        finally:
            os.umask(old)
        look(here.events[-1])
        seen[".."] = {(tmp_path / "new").stat().st_mode & 0o777}
        folders = {
            name for name in seen if (here.dest / name).is_dir() or name in {"..", ".mirror/tmp"}
        }
    assert {name for name in seen if "ledger" in name} >= {
        *(".mirror/ledger.sqlite3", ".mirror/ledger.sqlite3-wal", ".mirror/ledger.sqlite3-shm")
    }
    assert any(name.startswith(".mirror/tmp/") for name in seen)
    assert any("set-aside" in name for name in seen)
    for name, found in seen.items():
        allowed = dir_mode if name in folders else file_mode
        # mirror's own files may be closer still
        assert all(mode & ~allowed == 0 for mode in found), (name, [oct(one) for one in found])
        if name.endswith(".png") and "set-aside" not in name:
            assert found == {file_mode}, name
        if name in folders:
            assert found == {dir_mode}, name


async def test_attack_23_the_command_under_an_open_umask_leaves_nothing_open(
    tmp_path: Path,
) -> None:
    """As a process, with a run that fails in part and one that is refused."""
    async with site(tmp_path) as here:
        env = environment(here.simulator, MIRROR_WRITE_CHECKSUMS="true")
        words = ("-m", "mirror", "sync", str(here.export), "--dest", str(here.dest))
        process = await asyncio.create_subprocess_exec(
            *("sh", "-c", 'umask 000; exec "$0" "$@"', sys.executable, *words),
            env=env,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
        _, told = await process.communicate()
        assert process.returncode == 0, told.decode()
        found = modes(here.dest)
        assert {name for name, mode in found.items() if mode & 0o077} == set()
        assert len(frames_at(here.dest)) == len(recorded_at(here.dest)) == len(FRAMES)
