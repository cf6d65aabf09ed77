"""The ledger locked, broken, gone or replaced; two runs at one destination."""

from __future__ import annotations

import asyncio
import json
import socket
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from mirror.events import LedgerRebuilt
from mirror.simulator import DatasetSpec, Fault
from mirror.store import Step
from tests.e2e.command import environment, finish
from tests.faults.disk_kit import at_steps, running, sync, temporaries, until
from tests.faults.kit import Site, frames_at, promises, recorded_at, site

SPEC = DatasetSpec(sequences=2, frames_per_sequence=20, frame_bytes=3_000)


def ledger_of(one: Site) -> Path:
    return one.dest / ".mirror" / "ledger.sqlite3"


async def adopts(one: Site) -> None:
    """A run that fetches nothing, and records every frame again."""
    asked = len(one.simulator.requests)
    report = await one.run()
    one.complete(report)
    assert report.frames.already_mirrored == len(one.dataset)
    assert len(one.simulator.requests) == asked
    assert temporaries(one.dest) == []


# --- a ledger that is held --------------------------------------------------------------------


async def test_fault_48_a_held_destination_names_its_holder_and_asks_nothing(
    tmp_path: Path,
) -> None:
    """And is free again the moment the holder is killed."""
    async with site(tmp_path, Fault("hang", hop="download", limit=1), spec=SPEC) as one:
        words = ("sync", one.export, "--dest", one.dest, "--quiet")
        env = environment(one.simulator, MIRROR_READ_TIMEOUT="600")
        async with running(*words, env=env) as first:
            await until(lambda: one.simulator.count("download") == len(one.dataset))
            asked = len(one.simulator.requests)
            second = await sync(one)
            assert (second.code, json.loads(second.out)["exit_code"]) == (75, 75)
            assert f"process {first.pid} on {socket.gethostname()}" in second.err
            assert len(one.simulator.requests) == asked
        third = await sync(one)
        assert third.code == 0, third.err
        promises(one.dest, one.dataset)


async def test_fault_51_of_two_that_start_at_once_one_stops_and_nothing_is_fetched_twice(
    tmp_path: Path,
) -> None:
    """The API answers only when one of them has stopped."""
    async with site(tmp_path, spec=SPEC) as one:
        await one.simulator.refuse("api")
        words = ("sync", one.export, "--dest", one.dest, "--json", "--quiet")
        env = environment(one.simulator, MIRROR_OUTAGE_PATIENCE="100")
        async with running(*words, env=env) as left, running(*words, env=env) as right:
            ends = {asyncio.ensure_future(finish(each)) for each in (left, right)}
            done, waiting = await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            (loser,) = done
            assert loser.result().code == 75, loser.result().err
            assert "Another run holds" in loser.result().err
            await one.simulator.accept("api")
            (winner,) = waiting
            assert (await winner).code == 0, (await winner).err
        downloads = [each.frame_id for each in one.simulator.requests if each.hop == "download"]
        assert Counter(downloads) == Counter(one.dataset.frame_ids())
        promises(one.dest, one.dataset)


def has_ledger(process: asyncio.subprocess.Process) -> bool:
    """Whether a process has its ledger open."""
    assert process.returncode is None
    open_files = []
    for each in Path(f"/proc/{process.pid}/fd").iterdir():
        with suppress(FileNotFoundError):
            open_files.append(each.readlink().name)
    return "ledger.sqlite3-wal" in open_files


async def test_fault_52_where_flock_lies_two_runs_harm_no_frame(tmp_path: Path) -> None:
    """Both believe that they hold the destination, sweep each other's temporaries and share the
    ledger; no final name ever holds anything but its frame, and the next run sets all right."""
    hook = tmp_path / "hook"
    hook.mkdir()
    (hook / "sitecustomize.py").write_text("import fcntl\nfcntl.flock = lambda *_: None\n")
    async with site(tmp_path, spec=SPEC) as one:
        words = ("sync", one.export, "--dest", one.dest, "--json", "--quiet")
        env = environment(
            one.simulator,
            PYTHONPATH=f"{hook}:{Path.cwd()}",
            MIRROR_OUTAGE_PATIENCE="100",
            MIRROR_COMMIT_FRAMES="4",
        )
        await one.simulator.refuse("api")
        async with running(*words, env=env) as left, running(*words, env=env) as right:
            await until(lambda: has_ledger(left) and has_ledger(right))
            await one.simulator.accept("api")
            ends = await asyncio.gather(finish(left), finish(right))
        assert {each.code for each in ends} == {0}, [each.err for each in ends]
        promises(one.dest, one.dataset)
        one.complete(await one.run())
        assert temporaries(one.dest) == []


# --- a ledger that is broken or gone ----------------------------------------------------------


def overwrite(start: int, length: int) -> Callable[[Path], None]:
    """As `dd if=/dev/zero conv=notrunc` does."""

    def do(ledger: Path) -> None:
        with ledger.open("r+b") as file:
            file.seek(start)
            file.write(b"\x5a" * length)

    return do


def cut(ledger: Path) -> None:
    with ledger.open("r+b") as file:
        file.truncate(ledger.stat().st_size // 2 + 100)


DAMAGE = {
    "its header": overwrite(0, 100),
    "its first page": overwrite(100, 3_900),
    "a page in the middle": overwrite(4096 * 3, 4096),
    "its end cut off": cut,
    "no database at all": lambda ledger: ledger.write_bytes(b"notes\n"),
    "a folder": lambda ledger: (ledger.unlink(), ledger.mkdir()),
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE.keys())
async def test_fault_49_a_damaged_ledger_is_kept_aside_and_made_anew_without_a_request(
    tmp_path: Path, damage: Callable[[Path], object]
) -> None:
    async with site(tmp_path, spec=SPEC) as one:
        one.complete(await one.run())
        damage(ledger_of(one))
        await adopts(one)
        (told,) = one.told(LedgerRebuilt)
        (kept,) = (one.dest / ".mirror").glob("ledger.damaged-*.sqlite3")
        assert kept.name in told.what


async def test_fault_49_a_deleted_ledger_is_made_anew_without_a_request(tmp_path: Path) -> None:
    async with site(tmp_path, spec=SPEC) as one:
        one.complete(await one.run())
        ledger_of(one).unlink()
        await adopts(one)
        assert not one.told(LedgerRebuilt)


async def test_fault_49_without_a_ledger_only_whole_files_are_believed(tmp_path: Path) -> None:
    """A truncated file and one with a turned bit are set aside and fetched; the others adopted."""
    async with site(tmp_path, spec=SPEC) as one:
        one.complete(await one.run())
        ledger_of(one).unlink()
        first, second = sorted(one.dest.glob("*/*.png"))[:2]
        first.write_bytes(first.read_bytes()[:-20])
        turned = bytearray(second.read_bytes())
        turned[len(turned) // 2] ^= 1
        second.write_bytes(turned)
        report = await one.run()
        one.complete(report)
        assert one.simulator.count("download") == len(one.dataset) + 2
        assert len(report.set_aside) == 2


async def test_fault_49_a_process_says_where_the_damaged_ledger_is(tmp_path: Path) -> None:
    async with site(tmp_path, spec=SPEC) as one:
        one.complete(await one.run())
        overwrite(0, 100)(ledger_of(one))
        ended = await sync(one)
        assert ended.code == 0, ended.err
        (kept,) = (one.dest / ".mirror").glob("ledger.damaged-*.sqlite3")
        assert kept.name in ended.err
        assert one.simulator.count("download") == len(one.dataset)


# --- a ledger that goes while it is used ------------------------------------------------------


def once(step: Step, act: Callable[[], object]) -> Callable[[Step], None]:
    """`act` the first time that `step` is reached."""
    left = [act]

    def reached(what: Step) -> None:
        if what is step and left:
            left.pop()()

    return reached


async def goes(one: Site, monkeypatch: pytest.MonkeyPatch, act: Callable[[], object]) -> str:
    """A run in the middle of which something happens, and which must not say that all is well."""
    with monkeypatch.context() as patch:
        at_steps(patch, once(Step.RECORDED, act))
        report = await one.run()
    assert (report.exit_code, report.outcome) == (74, "failed"), report
    return str(report.error)


async def test_fault_49_a_ledger_deleted_under_a_run_is_not_called_complete(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with site(tmp_path, spec=SPEC) as one:
        said = await goes(one, monkeypatch, lambda: ledger_of(one).unlink())
        assert "is not where it was" in said
        assert "run again" in said
        await adopts(one)


async def test_fault_49_a_ledger_replaced_under_a_run_is_not_called_complete(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with site(tmp_path, spec=SPEC) as one:

        def replace() -> None:
            ledger_of(one).rename(tmp_path / "old")
            ledger_of(one).write_bytes(b"")

        await goes(one, monkeypatch, replace)
        await adopts(one)


async def test_fault_49_a_destination_renamed_under_a_run_is_not_called_complete(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was written is where the folder is now."""
    async with site(tmp_path, spec=SPEC) as one:
        moved = tmp_path / "moved"
        said = await goes(one, monkeypatch, lambda: one.dest.rename(moved))
        assert "is not where it was" in said
        assert str(one.dest) in said
        assert not one.dest.exists()
        assert len(frames_at(moved)) == len(one.dataset)
        moved.rename(one.dest)
        assert recorded_at(one.dest).keys() == set(one.dataset.frame_ids())
        await adopts(one)
