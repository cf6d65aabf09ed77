"""A platform, an export, a destination, and what must be true of it after every run.

The remote side is the simulator; the run is the real one, in this process.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

from mirror.events import Event, Events, Listener
from mirror.simulator import Behaviour, Dataset, DatasetSpec, Fault, FaultPlan, Simulator
from mirror.sources import load_settings
from mirror.store import LedgerReader
from mirror.sync.report import RunReport
from mirror.sync.request import SyncRequest
from mirror.sync.run import run_sync
from mirror.sync.stop import Stop

SMALL = DatasetSpec(sequences=2, frames_per_sequence=6, frame_bytes=6_000)
QUICK: dict[str, Any] = {
    "backoff_base": 0.01,
    "backoff_cap": 0.05,
    "outage_patience": 2.0,
    "commit_seconds": 0.05,
    "concurrency": 8,
}
"""Settings that wait for nothing longer than they must."""

Truth = Callable[[str], bytes]
"""Frame id to the bytes that are right."""


@dataclass
class Site:
    """A simulator that listens, its export on disk, and where its frames go."""

    simulator: Simulator
    export: Path
    dest: Path
    events: list[Event] = field(default_factory=list)
    listeners: list[Listener] = field(default_factory=list)

    @property
    def dataset(self) -> Dataset:
        return self.simulator.dataset

    async def run(
        self, stop: Stop | None = None, request: dict[str, Any] | None = None, **settings: Any
    ) -> RunReport:
        """One `sync` of the export; `events` has what it told."""
        account = self.simulator.account
        given = {
            "domain": self.simulator.domain,
            "username": account.username,
            "password": account.password,
        }
        usual = {"exports": (self.export,), "destination": self.dest}
        asked = SyncRequest(**(usual | (request or {})))
        self.events.clear()
        events = Events(self.events.append, *self.listeners)
        return await run_sync(
            asked, load_settings(**(given | QUICK | settings)), events, stop or Stop()
        )

    def told(self, kind: type[Event]) -> list[Any]:
        """The events of one kind of the last run."""
        return [event for event in self.events if isinstance(event, kind)]

    def complete(self, report: RunReport) -> None:
        """Assert that the run says 0, and every frame is there, byte for byte, and recorded."""
        assert (report.exit_code, report.outcome) == (0, "complete"), report
        promises(self.dest, self.dataset)
        assert recorded_at(self.dest).keys() == set(self.dataset.frame_ids())


@asynccontextmanager
async def site(
    folder: Path,
    *faults: Fault,
    spec: DatasetSpec = SMALL,
    **behaviour: Any,
) -> AsyncIterator[Site]:
    """A platform with these faults, for the time of the block."""
    dataset = Dataset(spec)
    export = folder / "batch.json"
    dataset.write_export(export)
    plan, manner = FaultPlan(tuple(faults)), Behaviour(**behaviour)
    async with Simulator(dataset, plan=plan, behaviour=manner) as simulator:
        yield Site(simulator, export, folder / "frames")


def frames_at(dest: Path) -> dict[str, bytes]:
    """Every file below a destination that is not its state, by frame id."""
    return {
        path.stem: path.read_bytes()
        for path in dest.rglob("*")
        if path.is_file() and ".mirror" not in path.relative_to(dest).parts
    }


def recorded_at(dest: Path) -> dict[str, tuple[int, bytes]]:
    """Size and SHA-256 of every frame the ledger says is mirrored, by frame id."""
    with LedgerReader.open(dest) as reader:
        return {each.ref.frame_id: (each.size, each.sha256) for each in reader.mirrored()}


def promises(
    dest: Path, dataset: Dataset, *, foreign: Collection[bytes] = (), truth: Truth | None = None
) -> None:
    """Hold the destination against the platform's truth, bit by bit.

    Every final name holds a whole, right frame (but for contents in `foreign`, which were there
    before); every recorded frame is at its name, with the size and digest of its record.
    """
    right = truth or dataset.png
    there = {name: body for name, body in frames_at(dest).items() if body not in foreign}
    for name, body in there.items():
        assert body == right(name), f"{name} at the destination is not the platform's frame"
    for name, (size, digest) in recorded_at(dest).items():
        assert name in there, f"{name} is recorded as mirrored and not there"
        assert (size, digest) == (len(there[name]), sha256(there[name]).digest())
