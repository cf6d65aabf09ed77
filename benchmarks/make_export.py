"""Writes a labelled export of any size: `python benchmarks/make_export.py OUT --frames N`.

The bytes depend on the arguments alone. Frames are streamed, so memory stays flat; the labels of a
frame are drawn from a small pool of prepared texts, because formatting every coordinate anew would
take longer than reading the export does.
"""

from __future__ import annotations

import argparse
import random
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_LABELS = ("gallbladder", "liver", "cystic_duct", "cystic_artery", "grasper", "hook", "clipper")
_POOL = 64
_BUFFER = 4 * 1024**2


@dataclass(frozen=True, slots=True)
class Size:
    """How much to write: `frames` in all, spread over `sequences`; `shapes` in each frame."""

    frames: int
    sequences: int
    shapes: int
    points: int


def _identifier(source: random.Random) -> str:
    return str(uuid.UUID(int=source.getrandbits(128), version=4))


def _shape(source: random.Random, points: int) -> str:
    drawn = ",".join(
        f'{{"x":{source.random():.6f},"y":{source.random():.6f}}}' for _ in range(points)
    )
    return f'{{"id":"{_identifier(source)}","type":"close_polygon","points":[{drawn}]}}'


def _labels(source: random.Random, size: Size) -> str:
    """The `labels` of one frame: two shapes to a label, as annotators draw them."""
    written = []
    for first in range(0, size.shapes, 2):
        code = source.choice(_LABELS)
        shapes = ",".join(_shape(source, size.points) for _ in range(min(2, size.shapes - first)))
        written.append(
            f'{{"id":"{_identifier(source)}","code":"{code}",'
            f'"displayName":"{code.replace("_", " ").capitalize()}","shapes":[{shapes}]}}'
        )
    return ",".join(written)


def _frames(source: random.Random, count: int, pool: list[str]) -> Iterator[str]:
    bits = source.getrandbits
    for number in range(count):
        text = f"{bits(128):032x}"
        name = f"{text[:8]}-{text[8:12]}-4{text[13:16]}-a{text[17:20]}-{text[20:]}"
        yield (
            f'{"," if number else ""}{{"id":"{name}","frameNumber":{number},'
            f'"timestamp":{number * 40},"framePath":"s3://savant-frames/prod/{name}.png",'
            f'"labels":[{pool[bits(6)]}]}}'
        )


def write_export(out: Path, size: Size, seed: int) -> None:
    """Write one export to `out`."""
    source = random.Random(seed)
    pool = [_labels(source, size) for _ in range(_POOL)]
    workspace = _identifier(source)
    with out.open("w", encoding="ascii", newline="\n", buffering=_BUFFER) as file:
        file.write(f'{{"id":"{_identifier(source)}","name":"Batch {seed}","sequences":[')
        for index in range(size.sequences):
            count = size.frames // size.sequences + (index < size.frames % size.sequences)
            file.write(
                f'{"," if index else ""}{{"id":"{_identifier(source)}",'
                f'"rootId":"{_identifier(source)}","workspaceId":"{workspace}",'
                f'"name":"sequence {index}","videoAnnotations":[],"featureSet":['
            )
            file.writelines(_frames(source, count, pool))
            file.write("]}")
        file.write("]}\n")


def main() -> None:
    """Parse, write, say how large it became."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--frames", type=int, required=True)
    parser.add_argument("--sequences", type=int, default=100)
    parser.add_argument("--shapes", type=int, default=4)
    parser.add_argument("--points", type=int, default=12)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    if given.sequences < 1 or min(given.frames, given.shapes, given.points) < 0:
        parser.error("--sequences starts at 1, the other counts at 0")
    size = Size(given.frames, given.sequences, given.shapes, given.points)
    write_export(given.out, size, given.seed)
    print(f"{given.out}: {given.frames} frames, {given.out.stat().st_size / 1e6:.0f} MB")


if __name__ == "__main__":
    main()
