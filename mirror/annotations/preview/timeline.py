"""Tracks as SVG: for each sequence its phases over time, on one axis for all.

Standing alone it brings its own style; within the page each track is an element by itself, styled
by the page. Every word of an export passes `markup`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from mirror.annotations.preview.axis import DARK, FONT, LEFT, LIGHT, RIGHT, STYLE, WIDTH, Axis
from mirror.annotations.preview.colours import colour_of, ink_on
from mirror.annotations.preview.layout import flow
from mirror.annotations.preview.tracks import (
    Bar,
    Event,
    Track,
    axis_length,
    clock,
    stack,
    text_width,
    ticks,
)
from mirror.annotations.preview.wording import markup, short

_BAR, _PITCH = 26, 31
_HEAD, _EVENT, _AXIS, _GAP = 26, 22, 30, 22


def timeline(tracks: Sequence[Track], *, left_away: int = 0) -> str:
    """One SVG document of all tracks, with a legend. `left_away`: sequences not in it."""
    axis = Axis(axis_length(tracks))
    parts: list[str] = []
    top = 16.0
    for track in tracks:
        body, height = track_markup(track, axis, {})
        parts.append(f'<g transform="translate(0 {top:g})">{body}</g>')
        top += height + _GAP
    legend, height = _legend(tracks, left_away)
    parts.append(f'<g transform="translate(0 {top:g})">{legend}</g>')
    high = round(top + height + 12)
    style = f":root{{{LIGHT}}}@media (prefers-color-scheme:dark){{:root{{{DARK}}}}}{STYLE}"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="tl" width="{WIDTH}" height="{high}"'
        f' viewBox="0 0 {WIDTH} {high}" role="img" aria-label="Phases over time">\n'
        f'<style>{style}</style>\n<rect width="{WIDTH}" height="{high}" fill="var(--ground)"/>\n'
        + "\n".join(parts)
        + "\n</svg>\n"
    )


def track_markup(track: Track, axis: Axis, labels: Mapping[str, int]) -> tuple[str, float]:
    """The elements of one track and how high they are together. `labels`: numbers by code, which
    then stand at what is of that label."""
    parts = [
        f'<text class="tl-name" x="{LEFT}" y="15">{markup(short(track.name, 90))}</text>',
        f'<text class="tl-dim" x="{WIDTH - RIGHT}" y="15" text-anchor="end">'
        f"{_summary(track)}</text>",
    ]
    top = float(_HEAD)
    events, rows = _events(track, axis, top, labels)
    bars_top = top + rows * _EVENT + (4 if rows else 0)
    bottom = bars_top + max(track.lanes, 0 if rows else 1) * _PITCH
    parts += _ground(track, axis, top, bottom)
    parts += [_stem(event, axis, top, bottom, labels) for event in track.events]
    parts += _bars(track, axis, bars_top, labels)
    parts += events
    return "".join(parts), bottom + _AXIS


def _summary(track: Track) -> str:
    words = []
    if track.bars:
        words.append(f"{len(track.bars):,} phase{'s' * (len(track.bars) > 1)}")
    if track.events:
        words.append(f"{len(track.events):,} point event{'s' * (len(track.events) > 1)}")
    if track.deep:
        words.append(f"{track.deep:,} more not drawn")
    length = round(track.length, -3) if track.length >= 60_000 else track.length
    return " · ".join([*words, clock(length)])


def _ground(track: Track, axis: Axis, top: float, bottom: float) -> Iterator[str]:
    """The band as long as the video, the ticks."""
    wide = axis.x(track.length) - LEFT
    yield (
        f'<rect class="tl-band" x="{LEFT}" y="{top:g}" width="{wide:g}"'
        f' height="{bottom - top:g}" rx="4"/>'
    )
    for time in ticks(axis.length):
        x = axis.x(time)
        yield f'<path class="tl-grid" d="M{x:g} {top:g}V{bottom + 5:g}"/>'
        yield (
            f'<text class="tl-dim" x="{x:g}" y="{bottom + 19:g}" text-anchor="middle"'
            f' font-size="11">{clock(time)}</text>'
        )


def _bars(track: Track, axis: Axis, top: float, labels: Mapping[str, int]) -> Iterator[str]:
    following: dict[int, float] = {}
    parts = []
    for bar in reversed(track.bars):
        parts.append(_bar(bar, axis, top, following.get(bar.lane, WIDTH - 4.0), labels))
        following[bar.lane] = axis.x(bar.start)
    yield from reversed(parts)


def _bar(bar: Bar, axis: Axis, top: float, room_until: float, labels: Mapping[str, int]) -> str:
    x, end = axis.x(bar.start), axis.x(bar.end)
    end = max(end, x + 3)
    y = top + bar.lane * _PITCH + (_PITCH - _BAR) / 2
    colour = colour_of(bar.code)
    text, wide = _fitting(bar.name, end - x - 14)
    ink = f'fill="{ink_on(colour)}"'
    at = x + 7
    if not text and not bar.open_end:
        text, wide = _fitting(bar.name, room_until - end - 12)
        ink, at = 'class="tl-text"', end + 6
    words = (
        f'<text x="{at:g}" y="{y + 18:g}" {ink} textLength="{wide:g}"'
        f' lengthAdjust="spacingAndGlyphs">{markup(text)}</text>'
        if text
        else ""
    )
    return (
        f"<g{_of_label(bar.code, labels)}><title>{_told(bar)}</title>"
        f'<path class="tl-bar" fill="{colour}" d="{_outline(bar, x, y, end)}"/>'
        f"{_openings(bar, x, y, end)}{words}</g>"
    )


def _outline(bar: Bar, x: float, y: float, end: float) -> str:
    """A bar; an open end is an arrow to the right of it, an open start a notch."""
    middle, low = y + _BAR / 2, y + _BAR
    right = f"L{end + 10:g} {middle:g}L{end:g} {low:g}" if bar.open_end else f"V{low:g}"
    notch = f"L{min(x + 8, end):g} {middle:g}" if bar.open_start else ""
    return f"M{x:g} {y:g}H{end:g}{right}H{x:g}{notch}Z"


def _openings(bar: Bar, x: float, y: float, end: float) -> str:
    lines = ""
    if bar.open_end:
        lines += (
            f"M{end + 5:g} {y - 1:g}L{end + 15:g} {y + _BAR / 2:g}L{end + 5:g} {y + _BAR + 1:g}"
        )
    if bar.open_start:
        lines += f"M{x - 6:g} {y - 1:g}L{x + 2:g} {y + _BAR / 2:g}L{x - 6:g} {y + _BAR + 1:g}"
    return f'<path class="tl-open" d="{lines}"/>' if lines else ""


def _told(bar: Bar) -> str:
    start = "open start" if bar.open_start else clock(bar.start)
    end = "open end" if bar.open_end else clock(bar.end)
    lasts = f" · {clock(bar.end - bar.start)}" if not (bar.open_start or bar.open_end) else ""
    return f"{markup(bar.name)} ({markup(bar.code)}): {start} to {end}{lasts}"


def _fitting(text: str, room: float) -> tuple[str, float]:
    """As much of the text as there is room for, and its width; nothing where it is little."""
    if text_width(text, FONT) > room:
        letters = int(room / text_width(text, FONT) * len(text)) - 1
        text = f"{text[:letters].rstrip()}…" if letters >= 3 else ""
    return text, round(text_width(text, FONT), 1)


def _events(
    track: Track, axis: Axis, top: float, labels: Mapping[str, int]
) -> tuple[list[str], int]:
    """The markers of point events, each with its name where there is room; how many rows."""
    texts = [short(event.name, 40) for event in track.events]
    boxes, sides = [], []
    for event, text in zip(track.events, texts, strict=True):
        x, wide = axis.x(event.at), text_width(text, FONT)
        right = x + 14 + wide < WIDTH
        sides.append(right)
        boxes.append((x - 8, x + 16 + wide) if right else (x - 16 - wide, x + 8))
    parts: list[str] = []
    rows = 0
    for (event, text, right), row in zip(
        zip(track.events, texts, sides, strict=True), stack(boxes), strict=True
    ):
        lane = row % 4  # beyond that, names lie over each other
        rows = max(rows, lane + 1)
        x, y = axis.x(event.at), top + lane * _EVENT + _EVENT / 2
        parts.append(
            f"<g{_of_label(event.code, labels)}><title>{markup(event.name)} ({markup(event.code)}):"
            f" at {clock(event.at)}</title>"
            f'<path class="tl-event" fill="{colour_of(event.code)}"'
            f' d="M{x:g} {y - 8:g}l8 8l-8 8l-8 -8Z"/>'
            f'<text class="tl-text" y="{y + 4.5:g}" x="{x + 13 if right else x - 13:g}"'
            f' text-anchor="{"start" if right else "end"}">{markup(text)}</text></g>'
        )
    return parts, rows


def _stem(event: Event, axis: Axis, top: float, bottom: float, labels: Mapping[str, int]) -> str:
    path = f"M{axis.x(event.at):g} {top:g}V{bottom:g}"
    return f'<path class="tl-stem" d="{path}"{_of_label(event.code, labels)}/>'


def _of_label(code: str, labels: Mapping[str, int]) -> str:
    return f' data-label="{labels[code]}"' if code in labels else ""


def _legend(tracks: Sequence[Track], left_away: int) -> tuple[str, float]:
    """Each label with how long it lasts in all, or how often it occurs."""
    entries = sorted(_totals(tracks))
    rows = flow([22 + text_width(text, FONT) for _, text in entries], WIDTH - LEFT - RIGHT, 20)
    parts = []
    for row, placed in enumerate(rows):
        for number, left in placed:
            code, text = entries[number]
            x, y = LEFT + left, row * 24
            parts.append(
                f'<rect x="{x:g}" y="{y}" width="14" height="14" rx="3" fill="{colour_of(code)}"/>'
                f'<text class="tl-text" x="{x + 21:g}" y="{y + 12}">{markup(text)}</text>'
            )
    if left_away:
        parts.append(
            f'<text class="tl-dim" x="{LEFT}" y="{len(rows) * 24 + 12}">{left_away:,} more'
            " sequences are not drawn.</text>"
        )
    return "".join(parts), (len(rows) + bool(left_away)) * 24


def _totals(tracks: Sequence[Track]) -> Iterator[tuple[str, str]]:
    names: dict[str, str] = {}
    lasting: Counter[str] = Counter()
    happening: Counter[str] = Counter()
    for track in tracks:
        names |= {code: name for code, name in track.drawn if code not in names}
        for bar in track.bars:
            lasting[bar.code] += bar.end - bar.start
        happening.update(event.code for event in track.events)
    for code, name in names.items():
        total = [clock(round(lasting[code], -3))] if code in lasting else []
        total += [f"{happening[code]:,} at a point"] if code in happening else []
        yield code, f"{short(name, 40)} · {' + '.join(total)}"
