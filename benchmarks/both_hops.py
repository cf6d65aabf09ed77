"""`mirror sync` against `requests` with 16 threads: both hops, alternated runs, ratios in pairs.

`mirror` runs as users run it: verification, ledger and durability on. The peer has none of them.

Usage: python -m benchmarks.both_hops [--pairs 5] [--frames 10000] [--frame-bytes 88000] [--dir DIR]
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks.nginx import serve, write_export


@dataclass(frozen=True)
class Figures:
    """One run of one command, as a whole process."""

    wall: float
    cpu: float


def measure(command: list[str], environment: dict[str, str]) -> Figures:
    """Run `command` to its end; seconds of wall and CPU, its children included."""
    before, since = os.times(), time.perf_counter()
    done = subprocess.run(
        command, env=os.environ | environment, stdout=subprocess.DEVNULL, check=False
    )
    wall, after = time.perf_counter() - since, os.times()
    if done.returncode:
        raise SystemExit(f"{command[0]} failed with {done.returncode}")
    cpu = (
        after.children_user + after.children_system - before.children_user - before.children_system
    )
    return Figures(wall, cpu)


def spread(values: list[float]) -> str:
    """Median, and from where to where."""
    return f"{statistics.median(values):8.2f}  ({min(values):.2f} to {max(values):.2f})"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--frames", type=int, default=10000)
    parser.add_argument("--frame-bytes", type=int, default=88_000)
    parser.add_argument("--dir", type=Path, default=None, help="on the disk to be measured")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="mirror-bench-", dir=args.dir) as folder:
        root = Path(folder)
        export = root / "export.json"
        write_export(export, args.frames)
        with serve(root / "nginx", args.frame_bytes) as domain:
            settle(root)
            compare(root, export, domain, args)


def settle(root: Path) -> None:
    """Wait until making a file is cheap, two minutes at most.

    ext4 passes one by one over inodes that were freed in the last minute, so that making a file
    costs ten times as much after much was deleted. For the same reason the runs delete nothing.
    """
    for number in range(24):
        folder = root / f"settle-{number}"
        folder.mkdir()
        since = time.perf_counter()
        for name in range(200):
            (folder / str(name)).touch()
        if (time.perf_counter() - since) / 200 < 60e-6:
            return
        time.sleep(5)


def compare(root: Path, export: Path, domain: str, args: argparse.Namespace) -> None:
    """Both commands in turn, after a warm-up of each."""
    environment = {"SAVANT_DOMAIN": domain, "SAVANT_USERNAME": "u", "SAVANT_PASSWORD": "p"}
    mirror = [sys.executable, "-m", "mirror", "sync", str(export), "--quiet", "--dest"]
    peer = [sys.executable, "-m", "benchmarks.peers.requests_threads", domain, str(export)]
    a: list[Figures] = []
    b: list[Figures] = []
    for number in range(args.pairs + 1):
        for name, command, figures in (("ours", mirror, a), ("theirs", peer, b)):
            os.sync()
            found = measure([*command, str(root / f"{name}-{number}")], environment)
            if number:
                figures.append(found)
        print(f"pair {number} of {args.pairs}" + ("" if number else " (warm-up)"), file=sys.stderr)
    print(f"{args.frames} frames of {args.frame_bytes} bytes, {args.pairs} pairs")
    print("mirror sync, frames/s          ", spread([args.frames / run.wall for run in a]))
    print("requests, 16 threads, frames/s ", spread([args.frames / run.wall for run in b]))
    print("mirror sync, CPU µs a frame    ", spread([run.cpu / args.frames * 1e6 for run in a]))
    print("requests, CPU µs a frame       ", spread([run.cpu / args.frames * 1e6 for run in b]))
    pairs = list(zip(a, b, strict=True))
    print(
        "throughput ratio, in pairs     ", spread([other.wall / ours.wall for ours, other in pairs])
    )
    print(
        "CPU ratio, in pairs            ", spread([ours.cpu / other.cpu for ours, other in pairs])
    )


if __name__ == "__main__":
    main()
