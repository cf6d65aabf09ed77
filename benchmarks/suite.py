"""Runs the benchmarks: each peer of each block against `mirror sync`, runs alternated.

Results go to build/bench/, a file for each comparison; in the end the page is made of them all.

Usage: benchmarks/run [--only S-plain,L-tls] [--peers curl,requests] [--pairs 5] [--frames N]
                      [--variants mirror,mirror-128] [--dir DIR] [--list]
"""

from __future__ import annotations

import dataclasses
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from pathlib import Path

from benchmarks import disk, machine, report
from benchmarks.blocks import Block
from benchmarks.ceiling import ceiling
from benchmarks.contestants import (
    PEERS_BY_NAME,
    VARIANTS,
    Contestant,
    Scene,
    environment,
)
from benchmarks.figures import Comparison, Run, Spread
from benchmarks.frames import Expected, IncompleteError, write_export, write_pool
from benchmarks.measuring import RunFailedError, run
from benchmarks.nginx import ServerError, serve
from benchmarks.options import Wanted, parse

RESULTS = Path("build/bench")


def main() -> int:
    """0 when every comparison that was asked for was made."""
    for each in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(each, _stop)
    wanted = parse(sys.argv[1:])
    if wanted is None:
        return 0
    problems = 0
    for block in wanted.blocks:
        for comparison in _run_block(block, wanted):
            problems += comparison.problem is not None
    report.main()
    if problems:
        _tell(f"{problems} comparisons were not made, or not to their end; the reasons are above")
    return 1 if problems else 0


def _stop(number: int, _: object) -> None:
    raise SystemExit(128 + number)


def _run_block(block: Block, wanted: Wanted) -> list[Comparison]:
    """Every comparison of a block that was asked for, saved as soon as it is made."""
    peers = [PEERS_BY_NAME[name] for name in block.peers if name in wanted.peers]
    _tell(f"{block.name}: {block.title}; {block.frames} frames a run")
    found: list[Comparison] = []
    with tempfile.TemporaryDirectory(prefix="mirror-bench-") as folder:
        root = Path(folder)
        stage = _Stage(root, block, peers)
        try:
            with serve(root, tls=block.tls, delay=block.delay) as server:
                scene = Scene(root, server)
                found.extend(_compare(peer, scene, stage, wanted) for peer in peers)
        except ServerError as error:
            for peer in peers[len(found) :]:
                found.append(_new(block, peer, problem=str(error)))
                found[-1].save(RESULTS)
            _tell(f"{block.name}: NOT MEASURED: {error}")
    return found


def _new(block: Block, peer: Contestant, problem: str | None = None) -> Comparison:
    return Comparison(
        block.name,
        peer.name,
        list(block.variants),
        in_flight={name: VARIANTS[name].in_flight for name in block.variants},
        problem=problem,
        when=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
    )


def _compare(peer: Contestant, scene: Scene, stage: _Stage, wanted: Wanted) -> Comparison:
    comparison = _new(stage.block, peer)
    try:
        _fill(comparison, peer, scene, stage, wanted)
    except (RunFailedError, IncompleteError, disk.NoRoomError) as error:
        comparison.problem = str(error)
        _tell(f"{comparison.block} · {peer.name}: NOT MEASURED: {error}")
    comparison.save(RESULTS)
    return comparison


class _Stage:
    """The frames and exports of a block, and what must be there after a run."""

    def __init__(self, root: Path, block: Block, peers: list[Contestant]) -> None:
        self.block = block
        (root / "tmp").mkdir()
        write_pool(root / "pool", block.frame_bytes)
        self._expected = {}
        for share in {1, *(peer.share for peer in peers)}:
            export = root / f"export-{share}.json"
            write_export(export, self.frames(share))
            self._expected[share] = Expected.of(export, root / "pool")

    def frames(self, share: int) -> int:
        """How many frames one in `share` of them are."""
        return max(1, self.block.frames // share)

    def expected(self, share: int) -> Expected:
        """What such an export must leave."""
        return self._expected[share]


def _fill(
    comparison: Comparison, peer: Contestant, scene: Scene, stage: _Stage, wanted: Wanted
) -> None:
    """Make the comparison: a round that does not count, and those that do."""
    if peer.needs and not shutil.which(peer.needs):
        raise RunFailedError(f"{Path(peer.needs).name} is not installed")
    if peer.name == "wrk":
        comparison.ceiling = ceiling(scene.server)
        comparison.machine = machine.describe("none")
        _tell(f"{comparison.block} · wrk: {comparison.ceiling}")
        return
    running = [*(VARIANTS[name] for name in stage.block.variants), peer]
    frames = sum(stage.frames(each.share) for each in running)
    size = frames * (stage.block.frame_bytes + 8192) * (wanted.pairs + 1)
    fresh, base = _place(wanted, scene)
    with fresh(base, size) as place:
        comparison.machine = machine.describe(_name_disk(wanted))
        for number in range(wanted.pairs + 1):
            found = {
                each.name: _once(each, scene, stage, place / f"{number}-{each.name}")
                for each in running
            }
            if number:
                comparison.rounds.append(found)
            _tell(f"{comparison.block} · {peer.name} · {_describe(number, wanted, found, peer)}")
    for variant in stage.block.variants:
        spread = Spread.of(comparison.speedup(variant))
        _tell(
            f"{comparison.block} · {variant} is {spread.median:.2f} times as fast as {peer.name}"
            f" ({spread.low:.2f} to {spread.high:.2f})"
        )


def _place(
    wanted: Wanted, scene: Scene
) -> tuple[Callable[[Path, int], AbstractContextManager[Path]], Path]:
    if wanted.folder is None and disk.can_mount():
        return disk.fresh_image, scene.root
    return disk.fresh_folder, wanted.folder or scene.root


def _name_disk(wanted: Wanted) -> str:
    if wanted.folder is None and disk.can_mount():
        return "a fresh ext4 for each comparison, in an image on a loop device, direct I/O"
    return "a folder"


def _once(contestant: Contestant, scene: Scene, stage: _Stage, dest: Path) -> Run:
    """One run, whose frames are all there."""
    os.sync()  # what another left to be written is not written in this one's time
    command = contestant.command(scene, dest)
    log = scene.root / f"{contestant.name}.log"
    taken = run(command, environment(scene), log, scene.server)
    warming = dest.name.startswith("0-")
    try:
        steady = stage.expected(contestant.share).check(dest, whole=warming)
    except IncompleteError as error:
        raise IncompleteError(f"{contestant.name}: {error}") from None
    frames = stage.frames(contestant.share)
    return Run(frames=frames, steady=steady, **dataclasses.asdict(taken))


def _describe(number: int, wanted: Wanted, found: dict[str, Run], peer: Contestant) -> str:
    which = f"round {number} of {wanted.pairs}" if number else "warm-up"
    rates = ", ".join(f"{name} {run.rate:.0f}/s" for name, run in found.items())
    return f"{which}: {rates} (frames; {peer.title})"


def _tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
