"""The command line of the benchmarks."""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path

from benchmarks.blocks import BLOCKS, BY_NAME, Block
from benchmarks.contestants import PEERS_BY_NAME, VARIANTS

DESCRIPTION = "Measures mirror sync against what a user would run instead."


@dataclasses.dataclass(frozen=True, slots=True)
class Wanted:
    """What was asked for on the command line."""

    blocks: list[Block]
    peers: list[str]
    pairs: int
    folder: Path | None


def parse(arguments: list[str]) -> Wanted | None:
    """What these arguments ask for; None where they ask for a list, which is printed then."""
    parser = argparse.ArgumentParser(prog="benchmarks/run", description=DESCRIPTION)
    parser.add_argument("--only", default="", help="blocks, by comma")
    parser.add_argument("--peers", default="", help="by comma")
    parser.add_argument("--variants", default="", help="of ours, by comma")
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
    if given.dir is not None and not given.dir.is_dir():
        parser.error(f"--dir: there is no folder {str(given.dir)!r}")
    if given.variants:
        variants = tuple(_choose(parser, given.variants, list(VARIANTS)))
        blocks = [dataclasses.replace(block, variants=variants) for block in blocks]
    return Wanted(blocks, peers, given.pairs, given.dir)


def _choose(parser: argparse.ArgumentParser, text: str, known: list[str]) -> list[str]:
    names = [name.strip() for name in text.split(",") if name.strip()] or known
    for name in names:
        if name not in known:
            parser.error(f"{name!r} is none of {', '.join(known)}")
    return names
