"""The saver by itself: batches and groups around a disk that does what it is told."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from mirror.errors import DestinationError, NotPngError
from mirror.events import Events, GroupCommitted
from mirror.frames import FrameRef
from mirror.store import Body, CommitResult, Failure, PendingFrame, Refused, Written
from mirror.sync.budget import ByteBudget
from mirror.sync.saving import Disk, Saver
from tests.integration.sync_kit import quick


class Told:
    """What the saver says of each frame, by row."""

    def __init__(self) -> None:
        self.words: dict[int, str] = {}

    def recorded(self, written: Written) -> None:
        self.words[written.frame.row] = "recorded"

    def refused(self, refused: Refused) -> None:
        self.words[refused.frame.row] = "refused"

    def failure_recorded(self, failure: Failure) -> None:
        self.words[failure.frame.row] = "failed"


def frame(row: int) -> PendingFrame:
    return PendingFrame(row, FrameRef("w", "r", f"f{row}"), 0)


def accept(bodies: Sequence[Body]) -> list[Written | Refused]:
    return [Written(body.frame, f"t{body.frame.row}", body.size, b"", 1, 1) for body in bodies]


def refuse(bodies: Sequence[Body]) -> list[Written | Refused]:
    return [Refused(body.frame, NotPngError("no")) for body in bodies]


class Bench:
    """A saver, what it told, and the sizes of the groups it committed."""

    def __init__(self, write: Any = accept, **settings: Any) -> None:
        self.groups: list[int] = []
        self.told = Told()
        self.events: list[object] = []
        self.memory = ByteBudget(100)

        def commit(written: Sequence[Written], failures: Sequence[Failure]) -> CommitResult:
            self.groups.append(len(written) + len(failures))
            return CommitResult(committed=list(written))

        parts: Any = (SimpleNamespace(write=write), SimpleNamespace(commit=commit), None)
        self.disk = Disk(*parts)
        events = Events(self.events.append)
        self.saver = Saver(self.disk, self.memory, quick(**settings), events, self.told)

    async def put(self, *rows: int) -> None:
        for row in rows:
            self.saver.put(Body(frame(row), [b"x"], 1), await self.memory.reserve(1))

    async def end(self, saving: asyncio.Task[None]) -> None:
        self.saver.close()
        await asyncio.wait_for(saving, 10)


async def test_everything_put_is_recorded_by_the_time_it_ends() -> None:
    bench = Bench(commit_seconds=3600)
    with bench.disk:
        saving = asyncio.create_task(bench.saver.run())
        await bench.put(*range(10))
        bench.saver.adopt([Written(frame(20), None, 1, b"", 1, 1)])
        bench.saver.fail(Failure(frame(30), "not_found", "", 1))
        await bench.end(saving)
    assert set(bench.told.words) == {*range(10), 20, 30}
    assert bench.told.words[30] == "failed"
    assert bench.saver.holding == 0
    committed = [event for event in bench.events if isinstance(event, GroupCommitted)]
    assert sum(event.mirrored for event in committed) == 10
    assert sum(event.adopted for event in committed) == 1


async def test_a_flush_before_anything_is_written_commits_it_all_at_once() -> None:
    bench = Bench(commit_seconds=3600)
    with bench.disk:
        saving = asyncio.create_task(bench.saver.run())
        await bench.put(*range(8))
        bench.saver.flush()
        async with asyncio.timeout(10):
            while len(bench.told.words) < 8:  # noqa: ASYNC110 - nothing tells of it
                await asyncio.sleep(0.01)
        await bench.end(saving)
    assert bench.groups == [8]


async def test_no_more_than_commit_frames_are_uncommitted() -> None:
    bench = Bench(commit_frames=4, commit_seconds=0.01)
    with bench.disk:
        saving = asyncio.create_task(bench.saver.run())
        await bench.put(*range(50))
        await bench.end(saving)
    assert sum(bench.groups) == 50
    assert max(bench.groups) <= 4


async def test_refused_bodies_make_room_for_those_that_wait() -> None:
    """Both writers want a place, none is ever committed: the refused must give theirs back."""
    bench = Bench(refuse, commit_frames=1, commit_seconds=3600)
    with bench.disk:
        saving = asyncio.create_task(bench.saver.run())
        await bench.put(*range(6))
        await bench.end(saving)
    assert bench.told.words == dict.fromkeys(range(6), "refused")


async def test_memory_is_given_back_once_a_body_is_on_disk() -> None:
    bench = Bench(commit_seconds=3600)
    with bench.disk:
        saving = asyncio.create_task(bench.saver.run())
        await bench.put(*range(5))
        assert await asyncio.wait_for(bench.memory.reserve(100), 5) == 100
        await bench.end(saving)


async def test_a_failing_disk_ends_it_with_that_error() -> None:
    def fail(_: object) -> None:
        raise DestinationError("full")

    bench = Bench(fail)
    with bench.disk:
        saving = asyncio.create_task(bench.saver.run())
        await bench.put(*range(20))
        with pytest.raises(DestinationError, match="full"):
            await asyncio.wait_for(saving, 10)
