"""One page for a browser that needs nothing else: no network, no other file, pictures within.

What it runs and how it is styled is named by hash in its Content-Security-Policy, so nothing that
stands in an export can run or fetch anything; and every word of an export passes `markup`. Filters
and the large view are `page.js`; without scripts all is there, unfiltered.
"""

from __future__ import annotations

from base64 import b64encode
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from importlib.resources import files

from mirror.annotations.preview.axis import DARK, LIGHT, STYLE, WIDTH, Axis
from mirror.annotations.preview.colours import PALETTE, colour_number, ink_on
from mirror.annotations.preview.layout import Drawing, Form, Mark, Tag
from mirror.annotations.preview.timeline import track_markup
from mirror.annotations.preview.tracks import Track, axis_length
from mirror.annotations.preview.wording import markup
from mirror.annotations.values import Label


@dataclass(frozen=True, slots=True)
class Card:
    """One frame on the page. `sequence`: its number; `size`: of the frame, in pixels; `jpeg`: the
    frame, as large as `drawing` says, without annotations; `labels`: those of the frame."""

    sequence: int
    name: str
    size: tuple[int, int]
    jpeg: bytes
    drawing: Drawing
    labels: tuple[Label, ...]

    @property
    def shown(self) -> dict[str, tuple[str, int]]:
        """By code, the name of a label and how many shapes of it are drawn."""
        drawn = Counter(mark.code for mark in self.drawing.marks)
        return {label.code: (label.name, drawn[label.code]) for label in self.labels}


@dataclass(frozen=True, slots=True)
class LabelCount:
    """What the page says of a label at its filter."""

    code: str
    name: str
    count: int


@dataclass(frozen=True, slots=True)
class Contents:
    """All that stands on the page. `facts`: a number and its word; `notes`: sentences on what is
    not as in the exports; `sequences`: names by number, as cards and tracks have them."""

    title: str
    facts: Sequence[tuple[str, str]]
    notes: Sequence[str]
    sequences: Mapping[int, str]
    labels: Sequence[LabelCount]
    cards: Sequence[Card]
    tracks: Sequence[Track]


def page(contents: Contents) -> Iterator[str]:
    """The page, piece by piece."""
    style, script = _style(), files(__package__).joinpath("page.js").read_text("utf-8")
    policy = (
        f"default-src 'none'; img-src data:; style-src {_hash(style)}; script-src {_hash(script)};"
        " base-uri 'none'; form-action 'none'"
    )
    yield (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        '<meta name="referrer" content="no-referrer">\n'
        f"<title>{markup(contents.title)}</title>\n<style>{style}</style>\n</head>\n<body>\n"
    )
    numbers = {label.code: number for number, label in enumerate(contents.labels)}
    yield from _header(contents)
    yield "<main>\n"
    yield from _filters(contents)
    yield from _tracks(contents, numbers)
    yield from _cards(contents, numbers)
    yield f"</main>\n{_FOOTER}"
    yield f"{_DIALOG if contents.cards else ''}<script>{script}</script>\n</body>\n</html>\n"


_FOOTER = "<footer>These frames may show patients: keep this page as you keep them.</footer>\n"
_DIALOG = (
    '<dialog aria-label="One frame, large"><div class="bar"><p></p>'
    '<button id="before" type="button">← Previous</button>'
    '<button id="after" type="button">Next →</button>'
    '<button id="close" type="button">Close</button></div>'
    '<div class="stage"></div><div class="below"></div></dialog>\n'
)


def _hash(text: str) -> str:
    return f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'"


def _style() -> str:
    plain = files(__package__).joinpath("page.css").read_text("utf-8")
    colours = "".join(
        f".c{number}{{--c:{colour};--i:{ink_on(colour)}}}" for number, colour in enumerate(PALETTE)
    )
    dark = f"@media (prefers-color-scheme:dark){{:root{{{DARK}}}}}"
    return f":root{{color-scheme:light dark;{LIGHT}}}{dark}\n{plain}{STYLE}{colours}"


def _colour(code: str) -> str:
    return f"c{colour_number(code)}"


def _header(contents: Contents) -> Iterator[str]:
    yield f'<header>\n<h1>{markup(contents.title)}</h1>\n<p class="facts">'
    for number, what in contents.facts:
        yield f"<span><b>{markup(number)}</b> {markup(what)}</span> "
    yield "</p>\n"
    if contents.notes:
        notes = "".join(f"<li>{markup(note)}</li>" for note in contents.notes)
        yield f'<ul class="notes">{notes}</ul>\n'
    yield "</header>\n"


def _filters(contents: Contents) -> Iterator[str]:
    yield '<form class="panel scripted" aria-label="Filters">\n'
    yield '<fieldset><legend>Labels</legend><div class="chips">'
    for number, label in enumerate(contents.labels):
        yield (
            f'<label class="chip {_colour(label.code)}" title="{markup(label.code)}">'
            f'<input type="checkbox" data-of="{number}" checked><i></i>'
            f"<span>{markup(label.name)}</span><b>{label.count:,}</b></label>"
        )
    if bare := sum(not card.labels for card in contents.cards):
        yield (
            '<label class="chip"><input type="checkbox" data-of="none" checked>'
            f"<span>frames without labels</span><b>{bare:,}</b></label>"
        )
    yield '</div></fieldset>\n<div class="tools">'
    yield '<button type="button" id="every">All labels</button>'
    yield '<button type="button" id="none">No label</button>'
    if len(contents.sequences) > 1:
        yield '<label>Sequence <select id="sequence"><option value="">all</option>'
        for number, name in contents.sequences.items():
            yield f'<option value="{number}">{markup(name)}</option>'
        yield "</select></label>"
    told = '<output id="told" aria-live="polite"></output>' if contents.cards else ""
    yield f"{told}</div>\n</form>\n"


def _tracks(contents: Contents, numbers: Mapping[str, int]) -> Iterator[str]:
    if not contents.tracks:
        return
    yield "<h2>Phases over time</h2>\n"
    axis = Axis(axis_length(contents.tracks))
    for track in contents.tracks:
        body, height = track_markup(track, axis, numbers)
        yield (
            f'<div class="track" data-sequence="{track.number}" tabindex="0" role="group"'
            f' aria-label="Phases of {markup(track.name)}"><svg class="tl"'
            f' viewBox="0 0 {WIDTH} {height:g}">{body}</svg></div>\n'
        )


def _cards(contents: Contents, numbers: Mapping[str, int]) -> Iterator[str]:
    if not contents.cards:
        return
    yield '<h2>Frames</h2>\n<div class="grid">\n'
    for card in contents.cards:
        yield from _card(card, numbers)
    yield '</div>\n<p id="empty" class="empty off">No frame has what the filters ask for.</p>\n'


def _card(card: Card, numbers: Mapping[str, int]) -> Iterator[str]:
    listed = " ".join(str(numbers[code]) for code in card.shown)
    name = markup(card.name)
    width, height = card.size
    yield (
        f'<figure class="card" data-sequence="{card.sequence}" data-labels="{listed}">'
        f'<button type="button" aria-label="Enlarge {name}">'
    )
    yield from _shot(card, numbers)
    yield (
        f'</button><figcaption><div class="name" data-name="{name}">{name} · '
        f"{width}\N{MULTIPLICATION SIGN}{height}</div>"
        '<ul class="tags">'
    )
    for code, (label, shapes) in card.shown.items():
        count = f" \N{MULTIPLICATION SIGN}{shapes}" if shapes > 1 else ""
        yield (
            f'<li class="{_colour(code)}" data-label="{numbers[code]}"><i></i>'
            f"{markup(label)}{count}</li>"
        )
    yield f"{'' if card.labels else '<li>no labels</li>'}</ul></figcaption></figure>\n"


def _shot(card: Card, numbers: Mapping[str, int]) -> Iterator[str]:
    """The frame with its marks over it, each of which the filters can hide."""
    drawing = card.drawing
    yield (
        f'<svg class="shot" viewBox="0 0 {drawing.width} {drawing.height}" width="{drawing.width}"'
        f' height="{drawing.height}"><image width="{drawing.width}" height="{drawing.height}"'
        f' href="data:image/jpeg;base64,{b64encode(card.jpeg).decode()}"/>'
    )
    for mark in drawing.marks:
        yield _mark(mark, numbers)
    for tag in drawing.tags:
        yield _tag(tag, drawing, numbers)
    yield "</svg>"


def _mark(mark: Mark, numbers: Mapping[str, int]) -> str:
    attributes = f'class="{_colour(mark.code)}" data-label="{numbers[mark.code]}"'
    if mark.form is Form.DOT:
        x, y = mark.points[0]
        dot = f'<path class="dot" d="M{x:.1f} {y:.1f}h0"/>'
        return f"<g {attributes}>{3 * dot}</g>"
    path = "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in mark.points)
    path += "" if mark.form is Form.LINE else "Z"
    return (
        f'<g {attributes}><path class="edge" d="{path}"/>'
        f'<path class="ink {mark.form.value}" d="{path}"/></g>'
    )


def _tag(tag: Tag, drawing: Drawing, numbers: Mapping[str, int]) -> str:
    scale, box = drawing.scale, tag.box
    return (
        f'<g class="tag {_colour(tag.code)}" data-label="{numbers[tag.code]}">'
        f'<rect x="{box.left:.1f}" y="{box.top:.1f}" width="{box.width:.1f}"'
        f' height="{box.height:.1f}" rx="{scale.pad}"/><text x="{box.left + scale.pad:.1f}"'
        f' y="{box.top + scale.pad + scale.font * 0.9:.1f}" font-size="{scale.font}"'
        f' textLength="{box.width - 2 * scale.pad:.1f}" lengthAdjust="spacingAndGlyphs">'
        f"{markup(tag.text)}</text></g>"
    )
