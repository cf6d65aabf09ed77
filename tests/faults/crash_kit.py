"""Runs that come to a sudden end, and what must be true of their destination afterwards."""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import os
import signal
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from hashlib import sha256
from itertools import islice
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

from mirror.simulator import Dataset, DatasetSpec, Fault
from mirror.store import LedgerReader, Step, check_png
from tests.e2e.command import environment
from tests.faults import crash_child
from tests.faults.crash_child import Orders
from tests.faults.kit import Site, frames_at, site

SPEC = DatasetSpec(sequences=2, frames_per_sequence=12, frame_bytes=3_000)
GROUP, AT_ONCE = 8, 4
"""`commit_frames` and `concurrency` of these runs."""
BOUND = GROUP + AT_ONCE
"""Promise 3: what a sudden end may cost, in downloads."""
STREAMED = {"stream_threshold": 1_000}
KILLED = -9

BY_ITSELF = Orders()

_fork = multiprocessing.get_context("forkserver")
_fork.set_forkserver_preload([crash_child.__name__])


@dataclass(frozen=True)
class Ended:
    """How a run ended. `said`, `err`: its output; `steps`: those it told; `recorded`: frames that
    were recorded, by its word."""

    code: int
    said: str
    err: str
    steps: Counter[str]
    recorded: int


@dataclass
class Scene:
    """A site, and what goes on at it. `limit`: how many frames are asked for; `foreign`: contents
    that are not the platform's; `damaged`: the ledger was."""

    site: Site
    folder: Path
    limit: int
    foreign: set[bytes] = field(default_factory=set)
    damaged: bool = False
    runs: int = 0

    @property
    def dest(self) -> Path:
        return self.site.dest

    @property
    def downloads(self) -> int:
        return self.site.simulator.count("download")

    @property
    def ids(self) -> set[str]:
        """The frames that are asked for."""
        return set(islice(self.site.dataset.frame_ids(), self.limit))

    def path(self, number: int) -> Path:
        """The final name of the Nth frame of the export."""
        dataset = self.site.dataset
        per = dataset.spec.frames_per_sequence
        root_id, frames = dataset.sequences[number // per]
        return self.dest / root_id / f"{frames[number % per]}.png"

    def place(self, number: int, content: bytes) -> None:
        """Somebody else's file at the Nth frame's name."""
        path = self.path(number)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        self.foreign.add(content)

    @asynccontextmanager
    async def running(self, orders: Orders = BY_ITSELF, **settings: Any) -> AsyncIterator[Running]:
        """One `mirror sync` of the export, ended in any case."""
        self.runs += 1
        given = {"concurrency": AT_ONCE, "commit_frames": GROUP} | settings
        env = environment(
            self.site.simulator,
            **{f"MIRROR_{name.upper()}": str(value) for name, value in given.items()},
        )
        words = ["sync", str(self.site.export), "--dest", str(self.dest), "--quiet", "--json"]
        words += ["--limit", str(self.limit)] if self.limit < len(self.site.dataset) else []
        tally = self.folder / f"tally{self.runs}"
        said = self.folder / f"said{self.runs}"
        orders = Orders(**{**vars(orders), "tally": tally})
        process = _fork.Process(target=crash_child.main, args=(orders, words, env, said))
        await asyncio.to_thread(process.start)
        running = Running(process, tally, said)
        try:
            yield running
        finally:
            process.kill()
            await asyncio.to_thread(process.join)
            process.close()

    async def run(self, orders: Orders = BY_ITSELF, **settings: Any) -> Ended:
        """One run, to whatever end it comes."""
        async with self.running(orders, **settings) as running:
            ended = await running.ended()
        if ended.steps[Step.TEMPORARY_WRITTEN]:
            self.foreign.update(orders.appear.values())
        return ended

    def promises(self) -> set[str]:
        """Hold the destination against the platform's truth; the frames that are there."""
        there = frames_at(self.dest) if self.dest.exists() else {}
        for name, body in there.items():
            if body not in self.foreign:
                check_png([body], 1 << 20)
                assert body == self.site.dataset.png(name), f"{name} is not the platform's frame"
        recorded = recorded_at(self.dest)
        for name, (size, digest) in recorded.items():
            assert name in there, f"{name} is recorded and not there"
            assert (size, digest) == (len(there[name]), sha256(there[name]).digest()), name
        report = self.dest / ".mirror/report.json"
        assert not report.exists() or json.loads(report.read_text()), "half a report"
        kept = contents(self.dest)
        assert self.foreign <= kept, "something that was there before is lost"
        return {name for name, body in there.items() if _whole(body)}

    async def completed(self, **settings: Any) -> Ended:
        """Run again: it completes, fetches what was not there and nothing else, and tidies up."""
        there, before = self.promises(), self.downloads
        ended = await self.run(**settings)
        assert ended.code == 0, ended.err
        assert self.downloads - before == len(self.ids) - len(there)
        self.tidy(ended)
        return ended

    def tidy(self, ended: Ended) -> None:
        """Every frame is there and recorded; nothing is left that does not belong there."""
        ids = self.ids
        assert self.promises() == ids
        assert recorded_at(self.dest).keys() == ids
        found = json.loads((self.dest / ".mirror/report.json").read_text())
        assert (found["outcome"], found["frames"]["total"]) == ("complete", len(ids))
        assert json.loads(ended.said) == found
        state = self.dest / ".mirror"
        names = {path.name for path in state.iterdir()}
        aside = {name for name in names if name == "set-aside" and self.foreign}
        damaged = {name for name in names if self.damaged and name.startswith("ledger.damaged-")}
        ours = {"ledger.sqlite3", "ledger.sha256", "lock", "report.json", "tmp"}
        assert names - aside - damaged == ours
        assert not list((state / "tmp").iterdir())


@dataclass
class Running:
    """A run that is under way."""

    process: ForkServerProcess
    tally: Path
    said: Path

    def kill(self) -> None:
        self.process.kill()

    async def freeze(self) -> None:
        """Let it do nothing more, until it is killed. What the kernel does for it is done then."""
        number = self.process.pid or 0
        with suppress(ProcessLookupError):
            os.kill(number, signal.SIGSTOP)
        async with asyncio.timeout(30):
            while not all(state in "TtXZ" for state in _states(number)):
                await asyncio.sleep(0.001)

    async def ended(self, within: float = 60.0) -> Ended:
        """How it ended."""
        await asyncio.to_thread(partial(self.process.join, within))
        code = self.process.exitcode
        said, err = _text(self.said), _text(self.said.with_suffix(".err"))
        assert code is not None, f"the run did not end:\n{err}"
        lines = _text(self.tally).splitlines()
        recorded = [int(line.split()[1]) for line in lines if line.startswith("recorded ")]
        steps = Counter(line for line in lines if " " not in line)
        return Ended(code, said, err, steps, sum(recorded))


@asynccontextmanager
async def scene(
    folder: Path,
    *faults: Fault,
    dest: Path | None = None,
    spec: DatasetSpec = SPEC,
    limit: int | None = None,
    **manner: Any,
) -> AsyncIterator[Scene]:
    """A platform, an export, and a destination (`dest`, where it is to be elsewhere)."""
    async with site(folder, *faults, spec=spec, **manner) as one:
        if dest is not None:
            one.dest = dest
        yield Scene(one, folder, len(one.dataset) if limit is None else limit)


def recorded_at(dest: Path) -> dict[str, tuple[int, bytes]]:
    """Size and SHA-256 of every frame that is recorded; none where there is no ledger yet."""
    reader = LedgerReader.find(dest)
    if reader is None:
        return {}
    with reader:
        return {each.ref.frame_id: (each.size, each.sha256) for each in reader.mirrored()}


def contents(dest: Path) -> set[bytes]:
    """Of every file of a destination, wherever it is now."""
    return {path.read_bytes() for path in dest.rglob("*") if path.is_file()}


def _whole(body: bytes) -> bool:
    """Whether it is a whole PNG, so that a run has no reason to fetch it again."""
    try:
        check_png([body], 1 << 20)
    except Exception:  # noqa: BLE001 - whatever is wrong with it
        return False
    return True


async def made(path: Path, within: float = 30.0) -> None:
    """Once this file is there."""
    async with asyncio.timeout(within):
        while not path.exists():
            await asyncio.sleep(0.01)


def _states(process: int) -> list[str]:
    """Of each thread of a process, as `proc` has it; none where it ended."""
    found = []
    for path in Path(f"/proc/{process}/task").glob("*/stat"):
        with suppress(FileNotFoundError, ProcessLookupError):
            found.append(path.read_text().rpartition(")")[2].split()[0])
    return found


def _text(path: Path) -> str:
    return path.read_text() if path.exists() else ""


# --- where a run can be stopped -------------------------------------------------------------------

FRAMES = SPEC.sequences * SPEC.frames_per_sequence
GROUPS = FRAMES // GROUP
"""Commits of a run, at the least."""
REACHED = {
    Step.HELD: 1,
    Step.SWEPT: 1,
    Step.LEDGER_MADE: 1,
    Step.LEDGER_OPENED: 1,
    Step.INGESTING: 1,
    Step.INGESTED: 1,
    Step.FORGOTTEN: 1,
    Step.TEMPORARY_CREATED: FRAMES,
    Step.TEMPORARY_WRITTEN: FRAMES,
    Step.FILE_SYNCED: FRAMES,
    Step.FILES_SYNCED: GROUPS,
    Step.CHECKED: FRAMES,
    Step.RENAMED: FRAMES,
    Step.DIRECTORY_SYNCED: 2 * GROUPS,
    Step.DIRECTORIES_SYNCED: GROUPS,
    Step.RECORDING: GROUPS,
    Step.RECORDED: GROUPS,
    Step.LEDGER_CLOSED: 1,
    Step.STATE_SYNCED: 1,
    Step.STATE_RENAMED: 1,
    Step.STATE_WRITTEN: 1,
}
"""How often a run that fetches everything reaches each step, at the least."""
REACHED_STREAMED = REACHED | {Step.BLOCK_WRITTEN: FRAMES}
REACHED_FOREIGN = {step: most - 1 if most == FRAMES else most for step, most in REACHED.items()} | {
    Step.MOVED_ASIDE: 5,
    Step.SET_ASIDE: 5,
}
"""Where `strangers` are about: one frame is adopted, three files are in the way from the start, and
two appear."""


def points(reached: dict[Step, int], counts: tuple[int, ...]) -> list[tuple[Step, int]]:
    """Each step, the first times and the last that it is reached."""
    return [
        (step, count)
        for step, most in reached.items()
        for count in sorted({count for count in counts if count < most} | {most})
    ]


def strangers(one: Scene) -> dict[Path, bytes]:
    """Put files that are not the platform's in the way; those that are to appear later."""
    other = Dataset(replace(SPEC, seed=2))
    pictures = [other.png(frame_id) for frame_id in islice(other.frame_ids(), 2)]
    right = one.site.dataset.png(one.path(4).stem)
    one.place(1, b"a note")
    one.place(3, pictures[0])
    one.place(4, right[:-30])
    one.place(20, b"")
    return {one.path(7): b"a note that came later", one.path(15): pictures[1]}
