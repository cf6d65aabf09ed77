"""Makes docs/benchmarks.md and its chart of the results in build/bench/.

Usage: python -m benchmarks.report [RESULTS] [DOCS]
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from benchmarks.blocks import BLOCKS, Block
from benchmarks.chart import draw
from benchmarks.contestants import PEERS_BY_NAME, VARIANTS
from benchmarks.figures import Comparison, Run, Spread, load_all
from benchmarks.goals import Verdict, judge

INTRODUCTION = """# Benchmarks

`mirror sync` against what a user would run instead. Made by `make bench` from what was measured;
not to be edited. Absolute figures mean little on a shared machine: read the ratios.
"""
METHOD = """## How it was measured

- One nginx on the same machine is API and store, with a worker a core. Over TLS its certificate
  is of an authority made for the run. Where latency is added, nginx holds back each answer by 50
  ms.
- Frames are whole PNGs that don't compress: S = 88 KB, L = 3.3 MB. The API's answer is small and
  its URL signed in form.
- `mirror` runs as users run it: `mirror sync EXPORT --dest DEST --quiet`, in a process of its
  own, with every duty on (PNG check, SHA-256, fsync of files and folders, ledger). Start and end
  count.
- A comparison has a fresh ext4 of its own, on which nothing is deleted, or (with `--dir`) a new
  folder of a disk on which making files is cheap again. Its runs alternate, ours,
  theirs, ours, theirs, after a warm-up of each, with a `sync` before each. A ratio is taken of
  two runs that followed each other; the table has the median, and the least and the most.
- After each run every frame must be there: each size is looked at and one file in sixteen held
  against its bytes, all of them after the warm-up. A peer that fails, or leaves less, is named
  below.
- CPU is that of the process and its children, without nginx's, which stands apart, and without
  what the kernel writes back later. Memory is the most that all its processes together had
  resident, looked at ten times a second (pages shared between processes count in each).
- In flight ÷ latency: as many frames as may be in flight at most, each waiting 100 ms. Held
  against it is the rate between the first and the last tenth of the files, by their times.

## What favours whom

"""


def main(results: str = "build/bench", docs: str = "docs") -> None:
    """Write the page and the chart."""
    found = load_all(Path(results))
    order = {block.name: number for number, block in enumerate(BLOCKS)}
    peers = list(PEERS_BY_NAME)
    found.sort(key=lambda each: (order[each.block], peers.index(each.peer)))
    if not found:
        sys.exit(f"Nothing is measured yet: {results} is empty.")
    Path(docs, "benchmarks.svg").write_text(draw(found))
    Path(docs, "benchmarks.md").write_text(page(found))


def page(comparisons: list[Comparison]) -> str:
    """The whole text."""
    parts = [
        INTRODUCTION,
        "![How many times as fast as each peer](benchmarks.svg)\n",
        _goals(comparisons),
        *_figures(comparisons),
        _problems(comparisons),
        METHOD + "\n".join(_notes()) + "\n",
        _machine(comparisons),
    ]
    return "\n".join(part for part in parts if part)


def _table(head: list[str], rows: Iterable[list[str]]) -> str:
    lines = [head, ["-"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def spread_text(spread: Spread | None) -> str:
    """Median, and from where to where."""
    if spread is None:
        return ""
    return f"{_number(spread.median)} ({_number(spread.low)} to {_number(spread.high)})"


def _number(value: float) -> str:
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


# --- goals ----------------------------------------------------------------------------------------


def _goals(comparisons: list[Comparison]) -> str:
    rows = [
        [
            outcome.goal.text,
            VARIANTS[outcome.goal.variant].title,
            outcome.goal.asked,
            spread_text(outcome.spread),
            f"**{outcome.verdict.value}**"
            if outcome.verdict is Verdict.MISSED
            else outcome.verdict.value,
        ]
        for outcome in judge(comparisons)
    ]
    head = ["against", "ours", "goal, as ratio", "measured: median (least to most)", ""]
    return "## Goals\n\nFrames a second, ours over theirs, where no CPU is named.\n\n" + _table(
        head, rows
    )


# --- figures --------------------------------------------------------------------------------------


def _figures(comparisons: list[Comparison]) -> Iterator[str]:
    for block in BLOCKS:
        found = [each for each in comparisons if each.block == block.name]
        if any(each.rounds or each.ceiling for each in found):
            yield _block(block, found)


def _block(block: Block, comparisons: list[Comparison]) -> str:
    measured = [each for each in comparisons if each.rounds]
    rows = [row for each in measured for row in _rows(each)]
    head = [
        *("against", "ours", "times as fast", "CPU a frame, as ratio", "frames/s"),
        *("CPU a frame, µs", "nginx's", "memory, MB"),
    ]
    text = f"## {block.name}: {block.title}\n\n"
    if rows:
        text += _table(head, rows)
    for each in comparisons:
        if each.ceiling:
            rates = ", ".join(f"{hop} {rate:,.0f}" for hop, rate in each.ceiling.items())
            text += f"\nThe server's ceiling, by wrk, in answers a second: {rates}.\n"
    if measured:
        frames = sorted({run.frames for each in measured for run in each.runs(each.variants[0])})
        pairs = sorted({len(each.rounds) for each in measured})
        text += f"\nFrames a run: {_listed(frames)}; pairs: {_listed(pairs)}. "
        text += "Figures: ours · theirs, medians; of memory the most.\n"
    return text


def _rows(comparison: Comparison) -> Iterator[list[str]]:
    theirs = comparison.runs(comparison.peer)
    for variant in comparison.variants:
        ratios = comparison.speedup(variant)
        if not ratios:
            continue
        runs = comparison.runs(variant)
        yield [
            PEERS_BY_NAME[comparison.peer].title,
            VARIANTS[variant].title,
            spread_text(Spread.of(ratios)),
            spread_text(Spread.of(comparison.cpu_ratio(variant))),
            *(
                f"{_median(runs, name)} · {_median(theirs, name)}"
                for name in ("rate", "cpu_per_frame", "server_cpu_per_frame")
            ),
            f"{_most_memory(runs)} · {_most_memory(theirs)}",
        ]


def _median(runs: list[Run], name: str) -> str:
    return f"{Spread.of([getattr(run, name) for run in runs]).median:,.0f}"


def _most_memory(runs: list[Run]) -> str:
    return f"{max(run.memory for run in runs) / 1e6:,.0f}"


def _listed(numbers: list[int]) -> str:
    return " or ".join(f"{number:,}" for number in numbers)


# --- the rest -------------------------------------------------------------------------------------


def _problems(comparisons: list[Comparison]) -> str:
    lines = [
        f"- {each.block}, {PEERS_BY_NAME[each.peer].title}: {each.problem}"
        for each in comparisons
        if each.problem
    ]
    return "## What could not be measured\n\n" + "\n".join(lines) + "\n" if lines else ""


def _notes() -> Iterator[str]:
    for peer in PEERS_BY_NAME.values():
        yield f"- **{peer.title}**: {peer.note}"


def _machine(comparisons: list[Comparison]) -> str:
    facts: dict[str, list[str]] = {}
    for each in comparisons:
        for name, value in each.machine.items():
            known = facts.setdefault(name, [])
            if value not in known and value != "none":
                known.append(value)
    days = sorted({each.when[:10] for each in comparisons if each.when})
    facts["measured"] = [days[0] if len(days) == 1 else f"{days[0]} to {days[-1]}"] if days else []
    rows = [[name, "; ".join(values)] for name, values in facts.items()]
    return "## Machine and versions\n\n" + _table(["what", "which"], rows)


if __name__ == "__main__":
    main(*sys.argv[1:])
