"""How `mirror sync` grows with the number of frames: `python -m benchmarks.scale --dir DIR`.

For 1,000, 1,000,000 and, with `--largest`, 10,000,000 frames: the dry run, and the second run over
a destination where all is there. For a labelled export of 400 MB: the dry run, and reading with
ingesting (`--retry-failed` at a new destination, which asks for nothing and so fetches nothing).
Each is the installed command as a process of its own, with its imports.

Memory is RssAnon + RssShmem of `/proc/PID/status`, the most of looks every 10 ms: all that is
resident and not backed by a file, so without the mapped export. CPU is user and system of the
process. What is made (13 GB with `--largest`, 2 GB without) stays for the next time: remove DIR.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from benchmarks.make_destination import Files, make_destination

_LOOK = 0.01
_LARGE = 10_000_000
_PER_SEQUENCE = 1000
_FIELDS = ("RssAnon:", "RssShmem:")


@dataclass(frozen=True, slots=True)
class Taken:
    """Seconds, and bytes that no file backs."""

    wall: float
    cpu: float
    memory: int


@dataclass(frozen=True, slots=True)
class Case:
    """`words`: of `mirror`. `fresh`: a folder that is removed before each run."""

    name: str
    words: tuple[str, ...]
    fresh: Path | None = None


def measure(case: Case) -> Taken:
    """One run. Raises `RuntimeError` where it fails."""
    if case.fresh is not None:
        shutil.rmtree(case.fresh, ignore_errors=True)
    environment = os.environ | {"SAVANT_USERNAME": "nobody", "SAVANT_PASSWORD": "asks"}
    began = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "mirror", *case.words, "--quiet"],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    memory = 0
    while True:
        pid, status, usage = os.wait4(process.pid, os.WNOHANG)
        if pid:
            break
        memory = max(memory, _unbacked(process.pid))
        time.sleep(_LOOK)
    wall = time.perf_counter() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    with process:
        said = process.stderr.read().decode() if process.stderr else ""
    if process.returncode:
        raise RuntimeError(f"{case.name} ended with {process.returncode}: {said}")
    return Taken(wall, usage.ru_utime + usage.ru_stime, memory)


def _unbacked(pid: int) -> int:
    with suppress(OSError):
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
        return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith(_FIELDS))
    return 0


def cases(folder: Path, *, largest: bool) -> Iterator[Case]:
    """What is measured, in order; what it needs is made just before."""
    for frames in (1000, 1_000_000, *([_LARGE] if largest else [])):
        export = _export(folder, frames, max(1, frames // _PER_SEQUENCE), shapes=0)
        dest = folder / f"frames-{frames}"
        yield Case(
            f"dry run, {frames:,}, nothing there", _words(export, folder / "none", "--dry-run")
        )
        if not (dest / ".done").exists():
            shutil.rmtree(dest, ignore_errors=True)
            make_destination(export, dest, Files.SPARSE if frames < _LARGE else Files.LINKS)
            (dest / ".done").touch()
        measure(Case("the run that seals the ledger", _words(export, dest)))
        yield Case(f"second run, {frames:,} finished", _words(export, dest))
        yield Case(f"dry run, {frames:,} finished", _words(export, dest, "--dry-run"))
    labelled = _export(folder, 200_000, 100, shapes=4)
    new = folder / "new"
    yield Case("dry run, 200,000 labelled", _words(labelled, new, "--dry-run"), new)
    yield Case("ingest, 200,000 labelled", _words(labelled, new, "--retry-failed"), new)


def _words(export: Path, dest: Path, *further: str) -> tuple[str, ...]:
    return "sync", str(export), "--dest", str(dest), *further


def _export(folder: Path, frames: int, sequences: int, *, shapes: int) -> Path:
    export = folder / f"export-{frames}-{shapes}.json"
    if not export.exists():
        making = folder / "export.part"
        given = ("--frames", frames, "--sequences", sequences, "--shapes", shapes)
        words = [sys.executable, "-m", "benchmarks.make_export", making, *given]
        subprocess.run([str(word) for word in words], check=True, stdout=subprocess.DEVNULL)
        making.rename(export)
    return export


def main() -> None:
    """Parse, measure, print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dir", type=Path, required=True, help="where to make the files")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--largest", action="store_true", help="10,000,000 frames, too")
    given = parser.parse_args()
    given.dir.mkdir(parents=True, exist_ok=True)
    print("| run | wall, median (least) | CPU, median (least) | memory, most |\n|-|-|-|-|")
    for case in cases(given.dir.absolute(), largest=given.largest):
        taken = [measure(case) for _ in range(given.runs)]
        wall, cpu = [one.wall for one in taken], [one.cpu for one in taken]
        print(
            f"| {case.name} | {median(wall):.2f} s ({min(wall):.2f})"
            f" | {median(cpu):.2f} s ({min(cpu):.2f})"
            f" | {max(one.memory for one in taken) / 2**20:.0f} MiB |",
            flush=True,
        )


if __name__ == "__main__":
    main()
