"""The rows that matter most to a body, with bodies so large that they go past the parser into
memory of ours and past the page cache: frames of 600 kB, which have their own way in and out."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import Callable, Iterator
from dataclasses import replace
from mmap import mmap
from pathlib import Path
from typing import Any

import pytest

from mirror.events import RetryScheduled
from mirror.simulator import Fault
from mirror.store import Step
from mirror.sync import budget
from mirror.sync.saving import LARGE
from tests.faults.crash_kit import BOUND, KILLED, SPEC, Orders, scene
from tests.faults.disk_kit import (
    Mount,
    Strace,
    strace,
    sync,
    temporaries,
    temporary,
    tmpfs,
)
from tests.faults.kit import SMALL, frames_at, promises, recorded_at, site
from tests.faults.network_kit import (
    FRAMES,
    VICTIM,
    VICTIMS,
    fails_alone,
    nothing_left_behind,
    recovers,
    retries,
)
from tests.integration.savant_server import Request, cut, message, serve
from tests.tls import certified

__all__ = ["strace", "tmpfs"]

Note = Callable[[str, object], None]
SPEC_LARGE = replace(SMALL, frame_bytes=600_000)
MEMORY = 4 * 1024**2
"""`body_memory`: six bodies."""


class Watched(budget.Blocks):
    """Knows how much is in use, and was at most."""

    all: list[Watched]

    def __init__(self, capacity: int) -> None:
        super().__init__(capacity)
        self.used = self.most = self.taken = 0
        self.all.append(self)

    def take(self, size: int) -> mmap:
        assert size >= LARGE
        block = super().take(size)
        self.taken += 1
        self.used += len(block)
        self.most = max(self.most, self._held)
        return block

    def give(self, block: mmap) -> None:
        self.used -= len(block)
        super().give(block)


@pytest.fixture
def large(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Watched]]:
    """Frames are large; every block is given back, whatever becomes of its body, and what is held
    stays within the budget."""
    # also for the sites that the kit opens: what a decorator wraps is not in the types
    monkeypatch.setitem(site.__wrapped__.__kwdefaults__, "spec", SPEC_LARGE)  # type: ignore[attr-defined]
    monkeypatch.setattr(Watched, "all", [], raising=False)
    monkeypatch.setattr(budget, "Blocks", Watched)
    yield Watched.all
    assert sum(blocks.taken for blocks in Watched.all) >= len(FRAMES) - 1
    for blocks in Watched.all:
        assert blocks.used == 0
        assert blocks.most <= blocks._capacity


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> tuple[ssl.SSLContext, Path]:
    """A server's context, and the CA bundle to trust it by."""
    return certified(tmp_path_factory.mktemp("tls"))


# --- the store ------------------------------------------------------------------------------------


@pytest.mark.usefixtures("large")
@pytest.mark.parametrize(
    ("action", "reason", "params"),
    [
        ("early_fin", "truncated", {"at": 0.0}),
        ("early_fin", "truncated", {"at": 0.5}),
        ("early_fin", "truncated", {"at": 0.99999}),
        ("stall", "timeout", {"at": 0.5, "settings": {"read_timeout": 0.4}}),
        ("drip", "too_slow", {"interval": 0.02}),
        ("bit_flip", "not_png", {"at": 0.5, "told_at": "write"}),
        ("extra_bytes", "not_png", {"count": 1000, "told_at": "write"}),
        ("slow_down", "throttled", {}),
    ],
)
async def test_fault_19_22_23_24_31_34_a_large_body_is_fetched_again(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    action: str,
    reason: str,
    params: dict[str, Any],
) -> None:
    monkeypatch.setattr("mirror.savant.store.RATE_WINDOW", 0.3)
    await recovers(tmp_path, action, reason, **params)


@pytest.mark.usefixtures("large")
async def test_fault_18_a_large_body_that_is_reset_is_fetched_again(tmp_path: Path) -> None:
    fault = Fault("reset_mid_body", frames=VICTIMS, attempts=1, at=0.5)
    async with site(tmp_path, fault) as there:
        report = await there.run()
        there.complete(report)
        assert report.retries == 3
        assert {event.reason for event in retries(there)} <= {"truncated", "connection"}
        nothing_left_behind(there.dest)


@pytest.mark.usefixtures("large")
@pytest.mark.parametrize("missing", [1, 300_000])
async def test_fault_26_a_large_body_cut_without_close_notify_is_fetched_again(
    tmp_path: Path, tls: tuple[ssl.SSLContext, Path], missing: int
) -> None:
    server, bundle = tls

    async def cut_once(_: Request, writer: asyncio.StreamWriter) -> None:
        whole = message(200, body)
        first = len(store.requests) == 1
        writer.write(whole[:-missing] if first else whole)
        await writer.drain()
        if first:
            cut(writer)

    async with serve(cut_once, server) as store:
        fault = Fault("frame_path", frames=VICTIM, kind="value", value=f"{store.url}/frame")
        async with site(tmp_path, fault, ssl_context=server) as there:
            body = there.dataset.png(VICTIM)
            there.complete(await asyncio.wait_for(there.run(ca_bundle=str(bundle)), 30))
            told = [(event.ref.frame_id, event.reason) for event in retries(there)]
            assert told == [(VICTIM, "truncated")]


@pytest.mark.usefixtures("large")
@pytest.mark.parametrize(("action", "attempts"), [("early_fin", 6), ("bit_flip", 3)])
async def test_fault_19_34_a_large_body_that_is_always_wrong_fails_alone(
    tmp_path: Path, action: str, attempts: int
) -> None:
    reason = {"early_fin": "truncated", "bit_flip": "not_png"}[action]
    await fails_alone(tmp_path, action, reason, attempts)


@pytest.mark.usefixtures("large")
async def test_fault_22_what_a_store_says_unasked_is_nobodys_frame(tmp_path: Path) -> None:
    """Behind each body it sends another frame's as an answer, in one go: whole PNGs, both."""

    async def chatty(request: Request, writer: asyncio.StreamWriter) -> None:
        if request.target not in bodies:
            raise AssertionError(request.target)
        writer.write(message(200, bodies[request.target]) + message(200, wrong))

    async with serve(chatty) as store:
        faults = [
            Fault("frame_path", frames=frame, kind="value", value=f"{store.url}/{frame}")
            for frame in FRAMES
        ]
        async with site(tmp_path, *faults) as there:
            bodies = {f"/{frame}": there.dataset.png(frame) for frame in FRAMES}
            wrong = there.dataset.png(VICTIM)
            there.complete(await asyncio.wait_for(there.run(concurrency=2), 30))
        assert store.connections == len(FRAMES)


# --- memory ---------------------------------------------------------------------------------------


async def test_fault_57_large_bodies_stay_within_their_memory(
    tmp_path: Path, large: list[Watched]
) -> None:
    """Twelve at once, room for six; also where the memory of a body that failed is needed."""
    fault = Fault("bit_flip", frames=VICTIMS, attempts="1-2")
    async with site(tmp_path, fault, store_latency=0.02) as there:
        report = await there.run(concurrency=12, body_memory=MEMORY)
        there.complete(report)
        assert [event.reason for event in retries(there)] == ["not_png"] * 6
    assert [blocks.taken for blocks in large] == [len(FRAMES) + 6]
    assert large[0].most > MEMORY // 2, "they were under way together"


async def test_fault_57_a_budget_smaller_than_a_block_is_no_error(
    tmp_path: Path, large: list[Watched]
) -> None:
    """One at a time, then, however often one is refused; nothing is kept for the next."""
    spec = replace(SPEC_LARGE, frame_bytes=1_100_000)
    fault = Fault("early_fin", frames=VICTIMS, attempts=1, at=0.9)
    flipped = Fault("bit_flip", frames=VICTIMS, attempts=2)
    async with site(tmp_path, fault, flipped, spec=spec) as there:
        there.complete(await there.run(body_memory=1024**2))
        assert len(there.told(RetryScheduled)) == 6
    assert large[0].used == 0
    assert large[0]._held <= 1024**2
    large[0].most = 0  # a body larger than everything gets everything


async def test_small_bodies_take_no_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They come with their headers: to receive them apart would cost them time."""
    monkeypatch.setattr(Watched, "all", [], raising=False)
    monkeypatch.setattr(budget, "Blocks", Watched)
    async with site(tmp_path, spec=replace(SMALL, frame_bytes=LARGE - 10_000)) as there:
        there.complete(await there.run())
    assert [blocks.taken for blocks in Watched.all] == [0]


# --- the disk, and the end of the process ---------------------------------------------------------


@pytest.mark.parametrize(("step", "count"), [(Step.TEMPORARY_CREATED, 7), (Step.RENAMED, 7)])
async def test_fault_39_killed_among_large_bodies(
    tmp_path: Path, record_property: Note, step: Step, count: int
) -> None:
    spec = replace(SPEC, frame_bytes=600_000)
    async with scene(tmp_path, spec=spec) as one:
        ended = await one.run(Orders(step, count))
        assert ended.code == KILLED, ended.err
        record_property("kills", 1)
        assert one.downloads - len(one.promises()) <= BOUND
        await one.completed()


@pytest.mark.parametrize(("number", "calls"), [("EIO", 1), ("EIO", 2)])
async def test_fault_42_a_large_body_the_disk_does_not_take_is_fetched_again(
    tmp_path: Path, strace: Strace, number: str, calls: int
) -> None:
    """The pages, or what is behind the last one."""
    async with site(tmp_path, spec=SPEC_LARGE) as one:
        ended, log = await strace.sync(
            one,
            f"pwrite64:error={number}:when={calls}",
            trace="pwrite64",
            paths=[temporary(one.dest, 5)],
        )
        assert ended.code == 0, ended.err
        assert [call.injected for call in log].count(True) == 1
        assert json.loads(ended.out)["retries"] == 1
        promises(one.dest, one.dataset)
        assert len(recorded_at(one.dest)) == 12
        assert temporaries(one.dest) == []


async def test_fault_45_a_large_body_that_may_not_go_past_the_cache_goes_through_it(
    tmp_path: Path, strace: Strace
) -> None:
    async with site(tmp_path, spec=SPEC_LARGE) as one:
        ended, log = await strace.sync(
            one, "pwrite64:error=EINVAL:when=1", trace="pwrite64", paths=[temporary(one.dest, 5)]
        )
        assert ended.code == 0, ended.err
        assert [call.injected for call in log] == [True, False]
        assert json.loads(ended.out)["retries"] == 0
        promises(one.dest, one.dataset)
        assert len(recorded_at(one.dest)) == 12


async def test_fault_43_45_a_disk_full_of_large_bodies_ends_the_run_and_it_resumes(
    tmp_path: Path, tmpfs: Mount
) -> None:
    async with site(tmp_path, spec=SPEC_LARGE) as one:
        one.dest = tmpfs("size=4m") / "frames"
        ended = await sync(one, MIRROR_CONCURRENCY="4", MIRROR_COMMIT_FRAMES="2")
        assert (ended.code, json.loads(ended.out)["outcome"]) == (74, "failed"), ended.err
        assert "it is full" in ended.err
        assert temporaries(one.dest) == []
        promises(one.dest, one.dataset)
        assert recorded_at(one.dest)
        tmpfs("size=64m")
        there, before = len(frames_at(one.dest)), one.simulator.count("download")
        ended = await sync(one)
        assert ended.code == 0, ended.err
        assert one.simulator.count("download") == before + len(one.dataset) - there
        promises(one.dest, one.dataset)
        assert recorded_at(one.dest).keys() == set(FRAMES)
