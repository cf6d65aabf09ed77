"""What was measured, and what follows from it: plain values, no I/O but the JSON of a comparison.

A ratio is taken within one round, where ours and theirs ran one after the other: the machine may
be slower in the next round, and both are.
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Run:
    """One run of one contestant, as a whole process with its children.

    `wall`, `cpu`, `server_cpu` (nginx's own): seconds. `steady`: frames a second between the first
    and the last tenth of the files by their time, so without start and end; 0 where unknown.
    `memory`: the most bytes resident in all its processes together, looked at ten times a second;
    `largest`: the most that one of them had, by the kernel's own account, at the last look.
    """

    frames: int
    wall: float
    cpu: float
    server_cpu: float
    steady: float
    memory: int
    largest: int

    @property
    def rate(self) -> float:
        """Frames a second, start and end included."""
        return self.frames / self.wall

    @property
    def cpu_per_frame(self) -> float:
        """Microseconds."""
        return self.cpu / self.frames * 1e6

    @property
    def server_cpu_per_frame(self) -> float:
        """Microseconds of nginx."""
        return self.server_cpu / self.frames * 1e6


@dataclass(frozen=True, slots=True)
class Spread:
    """The median of some values, and from where to where they go."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """Of at least one value."""
        return cls(statistics.median(values), min(values), max(values))


@dataclass(slots=True)
class Comparison:
    """One peer in one block: `rounds` hold a run of it, and of each variant of ours, by name.

    `in_flight`: the most frames under way, by variant. `ceiling`: requests a second by hop, for
    the one peer that only asks. `problem`: why there are no rounds, or fewer than were wanted.
    """

    block: str
    peer: str
    variants: list[str]
    rounds: list[dict[str, Run]] = field(default_factory=list)
    ceiling: dict[str, float] = field(default_factory=dict)
    in_flight: dict[str, int] = field(default_factory=dict)
    problem: str | None = None
    when: str = ""
    machine: dict[str, str] = field(default_factory=dict)

    def runs(self, name: str) -> list[Run]:
        """All runs of one contestant."""
        return [found[name] for found in self.rounds if name in found]

    def speedup(self, variant: str) -> list[float]:
        """Ours over theirs in frames a second, round by round: more is better."""
        return [
            found[variant].rate / found[self.peer].rate
            for found in self.rounds
            if variant in found and self.peer in found
        ]

    def cpu_ratio(self, variant: str) -> list[float]:
        """Ours over theirs in CPU a frame, round by round: less is better."""
        return [
            found[variant].cpu / found[variant].frames / _cpu(found[self.peer])
            for found in self.rounds
            if variant in found and self.peer in found
        ]

    def save(self, folder: Path) -> None:
        """As JSON, in place of an earlier one of the same block and peer."""
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{self.block}.{self.peer}.json"
        path.write_text(json.dumps(asdict(self), indent=1) + "\n")


def _cpu(run: Run) -> float:
    return max(run.cpu, 1e-6) / run.frames


def load(path: Path) -> Comparison:
    """What `save` wrote."""
    found = json.loads(path.read_text())
    rounds = [{name: Run(**run) for name, run in each.items()} for each in found.pop("rounds")]
    return Comparison(rounds=rounds, **found)


def load_all(folder: Path) -> list[Comparison]:
    """Every comparison in a folder, by file name."""
    return [load(path) for path in sorted(folder.glob("*.*.json"))]


def steady_rate(times: Sequence[float]) -> float:
    """Files a second between the first and the last tenth of these times, in any order; 0 where
    there are too few, or all came at once."""
    ordered = sorted(times)
    first, last = len(ordered) // 10, len(ordered) - 1 - len(ordered) // 10
    if last - first < 10 or ordered[last] <= ordered[first]:
        return 0.0
    return (last - first) / (ordered[last] - ordered[first])
