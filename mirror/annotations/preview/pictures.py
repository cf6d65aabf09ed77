"""Paints what `layout` decided, with Pillow, which only this module imports.

A frame's file is untrusted: only a PNG is read, of at most `MOST_PIXELS`, and whatever is wrong
with it is an `UnreadableImageError`.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterable, Sequence
from functools import lru_cache
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from mirror.annotations.preview.colours import channels, colour_of, ink_on
from mirror.annotations.preview.layout import (
    Drawing,
    Entry,
    Form,
    Mark,
    Scale,
    flow,
    legend_text,
    plan,
    scale_of,
)
from mirror.annotations.preview.wording import drawable, short
from mirror.annotations.values import Label

MOST_PIXELS = 100_000_000
"""Of an image that is opened; some 400 MB when it is drawn."""

GROUND, TEXT, DIM = "#15181d", "#eceff3", "#9aa4b0"
_FILLED = {Form.AREA: 56, Form.BOX: 28}  # of 255
_EDGE = (0, 0, 0, 190)
_BROKEN = (OSError, SyntaxError, ValueError, EOFError, OverflowError, MemoryError)

Colour = tuple[int, int, int, int]
Font = ImageFont.FreeTypeFont | ImageFont.ImageFont


class UnreadableImageError(Exception):
    """A file is gone, or no PNG that can be drawn upon; the message says which."""


def open_frame(path: Path) -> Image.Image:
    """The frame in `path` as RGB. Raises `UnreadableImageError`."""
    if not path.is_file():
        raise UnreadableImageError("its file is gone")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what Pillow warns of is looked after here
            with Image.open(path, formats=["PNG"]) as image:
                if image.width * image.height > MOST_PIXELS:
                    raise UnreadableImageError(f"it has {image.width}x{image.height} pixels")
                return _as_rgb(image)
    except Image.DecompressionBombError:
        raise UnreadableImageError("it has too many pixels") from None
    except _BROKEN:
        raise UnreadableImageError("its file can't be read as a PNG") from None


def _as_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I"):  # 16 bits, of which Pillow would cut off the upper ones
        image = image.convert("I").point(lambda value: value / 256).convert("L")
    return image.convert("RGB")


def measure(text: str, size: int) -> float:
    """How wide a text is, in pixels, in our font of this size."""
    return float(_font(size).getlength(text))


@lru_cache(maxsize=64)
def _font(size: int) -> Font:
    try:
        return ImageFont.load_default(size)
    except (ImportError, OSError):  # Pillow without FreeType
        return ImageFont.load_default_imagefont()


def draw_frame(image: Image.Image, labels: Iterable[Label], caption: str = "") -> Image.Image:
    """A copy of `image` with its labels' shapes drawn, and below it a strip with the caption and
    the legend. Shapes stand where they are in the image: its top left corner is the picture's."""
    drawing = plan(labels, *image.size, measure)
    painted = paint(image, drawing)
    strip = _strip(drawing, max(image.width, 320), caption)
    whole = Image.new("RGB", (max(image.width, strip.width), image.height + strip.height), GROUND)
    whole.paste(painted, (0, 0))
    whole.paste(strip, (0, image.height))
    return whole


def paint(image: Image.Image, drawing: Drawing) -> Image.Image:
    """A copy of `image`, which is as large as the drawing says, with its marks and tags."""
    factor = _smoothing(image.width * image.height)
    layer = Image.new("RGBA", (image.width * factor, image.height * factor), (0, 0, 0, 0))
    for mark in drawing.marks:
        _paint_mark(layer, mark, drawing.scale, factor)
    painted = image.convert("RGBA")
    painted.alpha_composite(layer.reduce(factor) if factor > 1 else layer)
    draw = ImageDraw.Draw(painted)
    for tag in drawing.tags:
        colour = colour_of(tag.code)
        radius = drawing.scale.pad
        draw.rounded_rectangle([round(edge) for edge in tag.box], radius, fill=colour)
        write(draw, tag.box.left + radius, tag.box.top + radius, tag.text, drawing.scale.font,
               ink_on(colour))  # fmt: skip
    return painted.convert("RGB")


def _smoothing(pixels: int) -> int:
    """How many times as large marks are painted, for smooth edges once they are made smaller."""
    if pixels <= 600_000:
        return 3
    return 2 if pixels <= 2_500_000 else 1


def _paint_mark(layer: Image.Image, mark: Mark, scale: Scale, factor: int) -> None:
    points = [(x * factor, y * factor) for x, y in mark.points]
    colour = (*channels(colour_of(mark.code)), 255)
    line, edge = scale.line * factor, scale.edge * factor
    draw = ImageDraw.Draw(layer)
    if mark.form is Form.DOT:
        _paint_dot(draw, points[0], scale.dot * factor, edge, colour)
        return
    if filled := _FILLED.get(mark.form):
        _fill(layer, points, (*colour[:3], filled))
        points = [*points, *points[:2]]
    draw.line(points, fill=_EDGE, width=line + 2 * edge, joint="curve")
    if mark.form is Form.LINE:
        _paint_ends(draw, points, line / 2 + edge, _EDGE)
    draw.line(points, fill=colour, width=line, joint="curve")
    if mark.form is Form.LINE:
        _paint_ends(draw, points, line / 2, colour)
        for point in points:
            _paint_disc(draw, point, line * 1.3, colour)


def _fill(layer: Image.Image, points: Sequence[tuple[float, float]], colour: Colour) -> None:
    """Tint what the points enclose; only the part of the layer that they are in is looked at."""
    xs, ys = [x for x, _ in points], [y for _, y in points]
    left, top = max(0, int(min(xs))), max(0, int(min(ys)))
    right, bottom = min(layer.width, int(max(xs)) + 1), min(layer.height, int(max(ys)) + 1)
    if left < right and top < bottom:
        cover = Image.new("RGBA", (right - left, bottom - top), (0, 0, 0, 0))
        ImageDraw.Draw(cover).polygon([(x - left, y - top) for x, y in points], fill=colour)
        layer.alpha_composite(cover, (left, top))


def _paint_ends(
    draw: ImageDraw.ImageDraw, points: Sequence[tuple[float, float]], radius: float, colour: Colour
) -> None:
    for point in (points[0], points[-1]):
        _paint_disc(draw, point, radius, colour)


def _paint_dot(
    draw: ImageDraw.ImageDraw, at: tuple[float, float], radius: float, edge: float, colour: Colour
) -> None:
    _paint_disc(draw, at, radius + 2 * edge, _EDGE)
    _paint_disc(draw, at, radius + edge, (255, 255, 255, 255))
    _paint_disc(draw, at, radius, colour)


def _paint_disc(
    draw: ImageDraw.ImageDraw, at: tuple[float, float], radius: float, colour: Colour
) -> None:
    x, y = at
    draw.ellipse([x - radius, y - radius, x + radius, y + radius], fill=colour)


def write(draw: ImageDraw.ImageDraw, x: float, y: float, text: str, size: int, colour: str) -> None:
    """Text whose top left corner is at `x`, `y`."""
    draw.text((round(x), round(y)), text, fill=colour, font=_font(size))


def _strip(drawing: Drawing, width: int, caption: str) -> Image.Image:
    """Caption, legend, and what could not be drawn."""
    scale = scale_of(max(drawing.width, 320), max(drawing.height, 180))
    notes = [
        f"not drawn: {drawable(kind) or 'unknown kind'} x{count}"
        for kind, count in sorted(drawing.unknown.items())
    ]
    if drawing.outside:
        notes.append(f"outside the image: {drawing.outside}")
    if not drawing.legend:
        notes.insert(0, "no labels")
    return legend_strip(drawing.legend, notes, width, scale, caption)


def legend_strip(
    entries: Sequence[Entry], notes: Sequence[str], width: int, scale: Scale, caption: str
) -> Image.Image:
    """A strip of swatches with names, then the notes; the caption above."""
    pad, font = 2 * scale.pad, scale.font
    texts = [legend_text(entry) for entry in entries] + [short(note) for note in notes]
    swatches = [colour_of(entry.code) for entry in entries] + [""] * len(notes)
    shown = short(drawable(caption), max(12, int((width - 2 * pad) / (measure("n", font) or 1))))
    widths = [
        measure(text, font) + 1.3 * font * bool(swatch)
        for text, swatch in zip(texts, swatches, strict=True)
    ]
    rows = flow(widths, width - 2 * pad, 1.2 * font)
    top = pad // 2 + scale.row * bool(shown)
    strip = Image.new("RGB", (width, top + len(rows) * scale.row + pad // 2), GROUND)
    draw = ImageDraw.Draw(strip)
    write(draw, pad, pad // 2 + scale.pad, shown, font, DIM)
    for row in rows:
        for number, x in row:
            _paint_entry(draw, (pad + x, top + scale.pad), texts[number], swatches[number], font)
        top += scale.row
    return strip


def _paint_entry(
    draw: ImageDraw.ImageDraw, at: tuple[float, float], text: str, swatch: str, font: int
) -> None:
    x, y = at
    if swatch:
        square = [x, y + font * 0.15, x + font * 0.9, y + font * 1.05]
        draw.rounded_rectangle(square, font * 0.2, fill=swatch)
        x += font * 1.3
    write(draw, x, y, text, font, TEXT if swatch else DIM)


def shrink(image: Image.Image, longest: int) -> Image.Image:
    """A copy with at most so many pixels on its longer side."""
    small = image.copy()
    small.thumbnail((longest, longest), Image.Resampling.LANCZOS)
    return small


def as_jpeg(image: Image.Image) -> bytes:
    """For a page: small, good enough to look at."""
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=82, optimize=True)
    return stream.getvalue()


def save_png(image: Image.Image, path: Path) -> None:
    """Write it. Raises `OSError`."""
    image.save(path, "PNG", compress_level=4)
