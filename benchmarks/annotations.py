"""What writing annotations costs: CPU, wall clock, memory beyond the mapped file, by format.

`python -m benchmarks.annotations --dir DIR [--frames N] [--sequences N] [FORMAT…]`: an export with
four shapes a frame, a ledger in which every frame is mirrored (no files), and
`mirror annotations EXPORT --to FORMAT --frames DEST` for each format, as a process of its own.
Memory is RssAnon + RssShmem, the most of looks every 10 ms.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

from benchmarks.make_destination import Files, make_destination
from benchmarks.scale import Case, measure

FORMATS = ("csv", "jsonl", "parquet", "coco")


def main() -> None:
    """Print one line a format."""
    parser = argparse.ArgumentParser(description="Measure what writing annotations costs.")
    parser.add_argument("formats", nargs="*", default=FORMATS)
    parser.add_argument("--dir", type=Path, required=True, help="where there is room for 3 GB")
    parser.add_argument("--frames", type=int, default=200_000)
    parser.add_argument("--sequences", type=int, default=100)
    given = parser.parse_args()
    export = given.dir / f"labelled-{given.frames}-{given.sequences}.json"
    dest = export.with_suffix("")
    if not export.exists():
        script = str(Path(__file__).with_name("make_export.py"))
        size = (f"--frames={given.frames}", f"--sequences={given.sequences}")
        subprocess.run([sys.executable, script, str(export), *size], check=True)
        make_destination(export, dest, Files.NONE)
    for name in given.formats:
        words = ("annotations", str(export), "--to", name, "--frames", str(dest))
        found = measure(Case(name, (*words, "--out", str(given.dir / f"out-{name}"))))
        memory = found.memory / 1e6
        print(f"{name:16} {found.cpu:6.1f} s CPU {found.wall:6.1f} s wall {memory:6.0f} MB")


if __name__ == "__main__":
    main()
