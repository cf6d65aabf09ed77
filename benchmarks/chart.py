"""The chart: how many times as fast as each peer, as SVG, for light and for dark.

A panel for each block, S beside L. Bars leave from 1 on a logarithmic scale, so that twice as fast
and half as fast are as long; a thin line goes from the least to the most.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from html import escape

from benchmarks.blocks import BLOCKS, Block
from benchmarks.contestants import PEERS_BY_NAME, VARIANTS
from benchmarks.figures import Comparison, Spread

WIDTH, MARGIN, GAP = 1000, 24, 28
PANEL = (WIDTH - 2 * MARGIN - GAP) / 2
NAMES, ENDS = 148, 44  # left of the bars, and right of them
TOP, HEAD, FOOT = 92, 34, 30
ROWS = (26, 34)  # with one bar to a peer, with two
TIMES = "\N{MULTIPLICATION SIGN}"
_STYLE = """
  text { font: 12px system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif; fill: #1f2328 }
  .title { font-size: 18px; font-weight: 600 } .head { font-size: 13px; font-weight: 600 }
  .soft { fill: #59636e } .tick { font-size: 11px; fill: #59636e }
  .value { font-size: 11px; font-weight: 600 }
  .page { fill: #ffffff } .grid { stroke: #e4e8ec } .even { stroke: #59636e }
  .range { stroke: #1f2328; stroke-opacity: .75 } .v0 { fill: #4f83e0 } .v1 { fill: #2fb59a }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3 } .soft, .tick { fill: #9aa4af } .page { fill: #0d1117 }
    .grid { stroke: #262c34 } .even { stroke: #9aa4af } .range { stroke: #e6edf3 }
    .v0 { fill: #5b8def } .v1 { fill: #2aa58c }
  }
"""


@dataclass(frozen=True, slots=True)
class Bar:
    """Ours, in one variant, against one peer."""

    peer: str
    variant: str
    spread: Spread


@dataclass(frozen=True, slots=True)
class Scale:
    """From a ratio to a place; the ends are powers of two."""

    low: float
    high: float
    left: float
    width: float

    @classmethod
    def over(cls, values: Iterable[float], left: float, width: float) -> Scale:
        """A scale that holds these values, and as much as 0.5 to 2."""
        known = [value for value in values if value > 0]
        low = 2.0 ** math.floor(math.log2(min([0.5, *known])))
        high = 2.0 ** math.ceil(math.log2(max([2.0, *known])))
        return cls(low, high, left, width)

    def at(self, value: float) -> float:
        """Where a ratio is."""
        held = min(max(value, self.low), self.high)
        return self.left + self.width * math.log(held / self.low) / math.log(self.high / self.low)

    def ticks(self) -> list[float]:
        """Powers of two, or of four where those would be many."""
        first, last = round(math.log2(self.low)), round(math.log2(self.high))
        step = 1 if last - first <= 5 else 2
        return [2.0**power for power in range(first, last + 1) if power % step == 0]


def draw(comparisons: Sequence[Comparison]) -> str:
    """The whole picture."""
    panels = [(block, found) for block in BLOCKS if (found := bars(block.name, comparisons))]
    ends = [
        value for _, found in panels for bar in found for value in (bar.spread.low, bar.spread.high)
    ]
    variants = [name for name in VARIANTS if any(b.variant == name for _, f in panels for b in f)]
    body, y = list(_legend(variants)), float(TOP)
    for left, right in _rows_of_panels(panels):
        tallest = 0.0
        for number, panel in enumerate((left, right)):
            if panel:
                x = MARGIN + number * (PANEL + GAP)
                scale = Scale.over(ends, x + NAMES, PANEL - NAMES - ENDS)
                drawn, height = _panel(*panel, scale, (x, y), variants)
                body += drawn
                tallest = max(tallest, height)
        y += tallest
    height = y + MARGIN / 2
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:.0f}"'
        f' role="img" aria-label="mirror sync against its peers, in frames a second">'
        f'<style>{_STYLE}</style><rect class="page" width="{WIDTH}" height="{height:.0f}" rx="10"/>'
        + "".join(body)
        + "</svg>\n"
    )


def bars(block: str, comparisons: Iterable[Comparison]) -> list[Bar]:
    """Of one block, in the order of the comparisons."""
    return [
        Bar(each.peer, variant, Spread.of(ratios))
        for each in comparisons
        if each.block == block
        for variant in each.variants
        if (ratios := each.speedup(variant))
    ]


_Panel = tuple[Block, list[Bar]]


def _rows_of_panels(panels: list[_Panel]) -> Iterator[tuple[_Panel | None, _Panel | None]]:
    """S on the left, L on the right, of the same wire and distance."""
    by_name = {block.name: (block, found) for block, found in panels}
    for wire in dict.fromkeys(block.name[1:] for block, _ in panels):
        yield by_name.get(f"S{wire}"), by_name.get(f"L{wire}")


def _legend(variants: list[str]) -> Iterator[str]:
    yield _text(MARGIN, 38, "mirror sync against its peers", "title")
    yield _text(
        MARGIN,
        60,
        "Frames a second, ours over theirs: the median of pairs of runs, and from the least to the"
        f" most. Right of 1{TIMES}, mirror is faster.",
        "soft",
    )
    x = float(MARGIN)
    for number, name in enumerate(variants):
        title = VARIANTS[name].title
        yield f'<rect class="v{number}" x="{x}" y="72" width="11" height="11" rx="2"/>'
        yield _text(x + 17, 82, title, "")
        x += 17 + 7 * len(title) + 24


def _panel(
    block: Block, found: list[Bar], scale: Scale, corner: tuple[float, float], variants: list[str]
) -> tuple[list[str], float]:
    """What to draw, and how tall it is."""
    x, y = corner
    peers = list(dict.fromkeys(bar.peer for bar in found))
    row = ROWS[min(len(variants), len(ROWS)) - 1]
    top, bottom = y + HEAD, y + HEAD + row * len(peers)
    drawn = [_text(x, y + 22, block.title, "head")]
    for tick in scale.ticks():
        kind = "even" if tick == 1 else "grid"
        at = f"{scale.at(tick):.1f}"
        drawn.append(f'<line class="{kind}" x1="{at}" x2="{at}" y1="{top}" y2="{bottom}"/>')
        drawn.append(_text(scale.at(tick), bottom + 14, _tick(tick), "tick", "middle"))
    for number, peer in enumerate(peers):
        middle = top + row * number + row / 2
        name = PEERS_BY_NAME[peer].title.replace(" (download only)", ", 1 hop")
        drawn.append(_text(x + NAMES - 10, middle + 4, name, "", "end"))
        mine = [bar for bar in found if bar.peer == peer]
        thick = 14.0 if len(mine) == 1 else 12.0
        for place, bar in enumerate(mine):
            upper = middle + (place - len(mine) / 2) * (thick + 1)
            drawn += _bar(bar, scale, (upper, thick), variants.index(bar.variant))
    return drawn, HEAD + row * len(peers) + FOOT


def _tick(value: float) -> str:
    return f"{value:g}{TIMES}" if value >= 1 else f"1/{1 / value:g}"


def _bar(bar: Bar, scale: Scale, place: tuple[float, float], colour: int) -> Iterator[str]:
    at, thick = place
    one, end = scale.at(1), scale.at(bar.spread.median)
    low, high, middle = scale.at(bar.spread.low), scale.at(bar.spread.high), at + thick / 2
    yield (
        f'<rect class="v{colour}" x="{min(one, end):.1f}" y="{at:.1f}"'
        f' width="{max(abs(end - one), 1):.1f}" height="{thick}" rx="2"/>'
    )
    yield (
        f'<line class="range" x1="{low:.1f}" x2="{high:.1f}" y1="{middle:.1f}" y2="{middle:.1f}"/>'
    )
    value = f"{bar.spread.median:.2f}" if bar.spread.median < 10 else f"{bar.spread.median:.0f}"
    yield _text(max(end, high, one) + 6, middle + 4, f"{value}{TIMES}", "value")


def _text(x: float, y: float, text: str, kind: str, anchor: str = "start") -> str:
    return (
        f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'
    )
