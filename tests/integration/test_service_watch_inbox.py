"""The service over a real folder, with a stand-in for the run."""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
import structlog

from mirror.errors import ConfigurationError
from mirror.service import watch as watching
from mirror.service.health import Pulse
from mirror.service.inbox import scan
from mirror.service.watch import Surroundings, watch

RESCAN = 0.01


class Stop:
    def __init__(self) -> None:
        self._event = asyncio.Event()

    def request(self) -> None:
        self._event.set()

    @property
    def requested(self) -> bool:
        return self._event.is_set()

    async def wait(self) -> None:
        await self._event.wait()


class World:
    """Answers each run with the next exit code of its script, then 0; lets a test wait for runs."""

    def __init__(self, *codes: int) -> None:
        self.codes = list(codes)
        self.synced: list[str] = []
        self.counted: Counter[str] = Counter()
        self.stop = Stop()
        self.pulse = Pulse()
        self.lines: list[str] = []
        self._spoke = asyncio.Event()
        self.now = 0.0
        self._run = asyncio.Condition()

    async def sync_one(self, path: Path) -> int:
        async with self._run:
            self.synced.append(path.name)
            self._run.notify_all()
        return self.codes.pop(0) if self.codes else 0

    async def until(self, runs: int) -> None:
        async with self._run:
            await self._run.wait_for(lambda: len(self.synced) >= runs)

    async def until_synced(self, name: str) -> None:
        async with self._run:
            await self._run.wait_for(lambda: name in self.synced)

    def around(self, sync_one: Callable[[Path], Awaitable[int]] | None = None) -> Surroundings:
        logger = structlog.wrap_logger(
            None,
            processors=[self._hear],
            wrapper_class=structlog.make_filtering_bound_logger("debug"),
        )
        return Surroundings(
            sync_one=sync_one or self.sync_one,
            stop=self.stop,
            pulse=self.pulse,
            count_export=lambda outcome: self.counted.update([outcome]),
            logger=logger,
            clock=lambda: self.now,
        )

    def _hear(self, _: object, __: str, event: structlog.typing.EventDict) -> str:
        self.lines.append(event["event"])
        self._spoke.set()
        raise structlog.DropEvent

    async def heard(self, words: str) -> None:
        while not any(words in line for line in self.lines):
            self._spoke.clear()
            await self._spoke.wait()


@pytest.fixture
def inbox(tmp_path: Path) -> Path:
    folder = tmp_path / "inbox"
    folder.mkdir()
    return folder


def put(inbox: Path, name: str, text: str = "{}", mtime: int | None = None) -> None:
    (inbox / name).write_text(text)
    if mtime is not None:
        os.utime(inbox / name, (mtime, mtime))


def move(source: Path, target: Path) -> None:
    source.rename(target)


async def test_what_is_there_and_what_comes_is_synced_once(inbox: Path) -> None:
    world = World()
    put(inbox, "a.json", mtime=1)
    put(inbox, "b.json", mtime=2)
    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        service = group.create_task(watch(inbox, RESCAN, world.around()))
        await world.until(2)
        put(inbox, "c.json")
        await world.until(3)
        put(inbox, "a.json", '{"changed": true}')
        await world.until(4)
        world.stop.request()
    assert service.result() == 0
    assert world.synced == ["a.json", "b.json", "c.json", "a.json"]
    assert world.counted == {"complete": 4}


async def test_hidden_files_symlinks_folders_and_others_are_not_exports(inbox: Path) -> None:
    put(inbox, "a.json")
    put(inbox, ".b.json")
    put(inbox, "c.json.part")
    (inbox / "d.json").mkdir()
    (inbox / "e.json").symlink_to(inbox / "a.json")
    os.mkfifo(inbox / "f.json")
    assert [entry.name for entry in scan(inbox)] == ["a.json"]


@pytest.mark.parametrize("code", [1, 65, 70])
async def test_a_bad_export_is_left_until_it_changes(inbox: Path, code: int) -> None:
    world = World(code)
    put(inbox, "bad.json", mtime=1)
    put(inbox, "good.json", mtime=2)
    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        group.create_task(watch(inbox, RESCAN, world.around()))
        await world.until(2)
        put(inbox, "bad.json", "changed")
        await world.until(3)
        world.stop.request()
    assert world.synced == ["bad.json", "good.json", "bad.json"]


@pytest.mark.parametrize("code", [69, 74, 75])
async def test_an_outage_is_waited_out_and_tried_again_behind_the_others(
    inbox: Path, code: int
) -> None:
    """Until the pause is over nothing runs, not even another export: it would meet the same."""
    world = World(code)
    put(inbox, "a.json", mtime=1)
    put(inbox, "b.json", mtime=2)
    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        service = group.create_task(watch(inbox, RESCAN, world.around()))
        await world.until(1)
        for _ in range(5):
            await asyncio.sleep(RESCAN)
        assert world.synced == ["a.json"]
        world.now += watching.FIRST_PAUSE
        await world.until(3)
        world.stop.request()
    assert service.result() == 0
    assert world.synced == ["a.json", "b.json", "a.json"]
    assert "Trying again in 15 s." in world.lines


@pytest.mark.parametrize("code", [77, 78])
async def test_what_only_a_person_can_mend_ends_the_service_with_its_code(
    inbox: Path, code: int
) -> None:
    world = World(code)
    put(inbox, "a.json")
    async with asyncio.timeout(10):
        assert await watch(inbox, RESCAN, world.around()) == code
    assert world.counted == {"failed": 1}


async def test_a_stop_lets_the_run_drain_and_starts_no_other(inbox: Path) -> None:
    """The run sees the same stop signal; its 75 is then no failure of the service."""
    world = World()
    put(inbox, "a.json", mtime=1)
    put(inbox, "b.json", mtime=2)
    running = asyncio.Event()

    async def run(path: Path) -> int:
        world.synced.append(path.name)
        running.set()
        await world.stop.wait()
        await asyncio.sleep(0)
        assert world.pulse.health().reason == "stopping"
        return 75

    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        service = group.create_task(watch(inbox, RESCAN, world.around(run)))
        await running.wait()
        assert world.pulse.health().ready
        world.stop.request()
    assert service.result() == 0
    assert world.synced == ["a.json"]
    assert world.counted == {"interrupted": 1}


async def test_a_stop_while_idle_is_answered_at_once(inbox: Path) -> None:
    world = World()
    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        service = group.create_task(watch(inbox, 3600, world.around()))
        await asyncio.sleep(0)
        world.stop.request()
    assert service.result() == 0


async def test_an_inbox_that_is_no_folder_is_a_wrong_configuration(tmp_path: Path) -> None:
    world = World()
    with pytest.raises(ConfigurationError, match="can't be listed: no such file"):
        await watch(tmp_path / "none", RESCAN, world.around())
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigurationError, match="not a directory"):
        await watch(tmp_path / "file", RESCAN, world.around())


async def test_an_inbox_that_goes_away_is_said_once_and_waited_for(inbox: Path) -> None:
    world = World()
    put(inbox, "a.json")
    away = inbox.with_name("away")
    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        group.create_task(watch(inbox, RESCAN, world.around()))
        await world.until(1)
        move(inbox, away)
        await world.heard("can't be listed")
        await asyncio.sleep(3 * RESCAN)
        move(away, inbox)
        put(inbox, "b.json")
        await world.until_synced("b.json")
        world.stop.request()
    assert sum("can't be listed" in line for line in world.lines) == 1


async def test_a_bug_in_a_run_is_not_swallowed(inbox: Path) -> None:
    async def run(_: Path) -> int:
        raise RuntimeError("a bug")

    put(inbox, "a.json")
    async with asyncio.timeout(10):
        with pytest.raises(RuntimeError, match="a bug"):
            await watch(inbox, RESCAN, World().around(run))
