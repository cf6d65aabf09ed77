"""Runs the benchmarks: each peer of each block against `mirror sync`, runs alternated.

Results go to build/bench/, a file for each comparison; in the end the page is made of them all.

Usage: benchmarks/run [--only S-plain,L-tls] [--peers curl,requests] [--pairs 5] [--frames N]
                      [--variants mirror,mirror-p2] [--dir DIR] [--list]
"""

from __future__ import annotations

import argparse
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

from benchmarks import contestants, disk, machine, report
from benchmarks.blocks import BLOCKS, BY_NAME, Block
from benchmarks.ceiling import ceiling
from benchmarks.contestants import (
    PEERS_BY_NAME,
    VARIANTS,
    Contestant,
    Scene,
    environment,
    offered,
)
from benchmarks.figures import Comparison, Run, Spread
from benchmarks.frames import Expected, IncompleteError, write_export, write_pool
from benchmarks.measuring import RunFailedError, run
from benchmarks.nginx import serve

RESULTS = Path("build/bench")


@dataclasses.dataclass(frozen=True, slots=True)
class Wanted:
    """What was asked for on the command line."""

    blocks: list[Block]
    peers: list[str]
    variants: list[str]
    pairs: int
    folder: Path | None


def main() -> int:
    """0 when every comparison that was asked for was made."""
    for each in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(each, _stop)
    wanted = _parse(sys.argv[1:])
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


def _parse(arguments: list[str]) -> Wanted | None:
    parser = argparse.ArgumentParser(prog="benchmarks/run", description=__doc__.partition("\n")[0])
    parser.add_argument("--only", default="", help="blocks, by comma")
    parser.add_argument("--peers", default="", help="by comma")
    parser.add_argument("--variants", default="mirror,mirror-p2", help="of ours, by comma")
    parser.add_argument("--pairs", type=int, default=5, help="counted rounds, after one more")
    parser.add_argument("--frames", type=int, help="in a run")
    parser.add_argument("--dir", type=Path, help="measure in this folder, not on a disk of our own")
    parser.add_argument("--list", action="store_true", help="what there is, and end")
    given = parser.parse_args(arguments)
    if given.list:
        for block in BLOCKS:
            print(f"{block.name:14} {block.frames:6} frames  {', '.join(block.peers)}")
        return None
    peers = _choose(parser, given.peers, list(PEERS_BY_NAME))
    blocks = [BY_NAME[name] for name in _choose(parser, given.only, list(BY_NAME))]
    if given.frames is not None:
        blocks = [dataclasses.replace(block, frames=given.frames) for block in blocks]
    if given.pairs < 1 or any(block.frames < 1 for block in blocks):
        parser.error("--pairs and --frames start at 1")
    variants = [name for name in _choose(parser, given.variants, list(VARIANTS)) if _told(name)]
    return Wanted(blocks, peers, variants, given.pairs, given.dir)


def _choose(parser: argparse.ArgumentParser, text: str, known: list[str]) -> list[str]:
    names = [name.strip() for name in text.split(",") if name.strip()] or known
    for name in names:
        if name not in known:
            parser.error(f"{name!r} is none of {', '.join(known)}")
    return names


def _told(variant: str) -> bool:
    if offered(variant):
        return True
    _tell(f"{variant} is left out: this mirror has no --processes")
    return False


def _run_block(block: Block, wanted: Wanted) -> list[Comparison]:
    peers = [PEERS_BY_NAME[name] for name in block.peers if name in wanted.peers]
    _tell(f"{block.name}: {block.title}; {block.frames} frames a run")
    found = []
    with tempfile.TemporaryDirectory(prefix="mirror-bench-") as folder:
        root = Path(folder)
        scene_of = _Stage(root, block, peers)
        with serve(root, tls=block.tls, delay=block.delay) as server:
            scene = Scene(root, server)
            for peer in peers:
                comparison = Comparison(
                    block.name, peer.name, wanted.variants, in_flight=contestants.IN_FLIGHT
                )
                try:
                    _fill(comparison, peer, scene, scene_of, wanted)
                except (RunFailedError, IncompleteError, disk.NoRoomError) as error:
                    comparison.problem = str(error)
                    _tell(f"{block.name} · {peer.name}: NOT MEASURED: {error}")
                comparison.when = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
                found.append(comparison)
                comparison.save(RESULTS)
    return found


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
    running = [*(VARIANTS[name] for name in wanted.variants), peer]
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
    for variant in wanted.variants:
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
