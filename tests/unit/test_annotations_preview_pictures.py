"""What Pillow paints: pixels change where a shape is, and nowhere else."""

from __future__ import annotations

import pytest
from PIL import Image, ImageChops, ImageFont

from mirror.annotations.preview import pictures
from mirror.annotations.preview.colours import channels, colour_of
from mirror.annotations.preview.layout import Entry
from mirror.annotations.preview.pictures import as_jpeg, draw_frame, paint, plan, shrink
from mirror.annotations.preview.sheets import Thumbnail, contact_sheet
from mirror.annotations.values import (
    Keypoint,
    Label,
    Outline,
    Point,
    Polyline,
    Rectangle,
    Shape,
    UnknownShape,
)

GREY = (90, 90, 90)


def image(width: int = 400, height: int = 240, colour: tuple[int, int, int] = GREY) -> Image.Image:
    return Image.new("RGB", (width, height), colour)


def points(*pairs: tuple[float, float]) -> tuple[Point, ...]:
    return tuple(Point(x, y) for x, y in pairs)


def changed(before: Image.Image, after: Image.Image) -> tuple[int, int, int, int] | None:
    """The box of the pixels that differ, within the frame."""
    return ImageChops.difference(before, after.crop((0, 0, *before.size))).getbbox()


@pytest.mark.parametrize(
    ("shape", "on", "off"),
    [
        (
            Outline(points((0.5, 0.5), (0.75, 0.5), (0.75, 0.75), (0.5, 0.75))),
            (200, 150),
            (240, 20),
        ),
        (Rectangle(points((0.75, 0.75), (0.5, 0.5))), (300, 150), (240, 20)),
        (Polyline(points((0.5, 0.5), (0.75, 0.5))), (250, 120), (250, 160)),
        (Keypoint(points((0.5, 0.5))), (200, 120), (240, 20)),
    ],
)
def test_a_shape_is_painted_in_its_colour_where_it_is(
    shape: Shape, on: tuple[int, int], off: tuple[int, int]
) -> None:
    before = image()
    after = draw_frame(before, [Label("grasper", "Grasper", (shape,))])
    painted = after.getpixel(on)
    assert isinstance(painted, tuple)
    wanted = channels(colour_of("grasper"))
    assert all(abs(a - b) <= 6 for a, b in zip(painted, wanted, strict=True))
    assert after.getpixel(off) == GREY
    assert before.getpixel(on) == GREY, "the frame itself stays as it is"


def test_an_outline_is_tinted_within() -> None:
    shape = Outline(points((0.25, 0.25), (0.75, 0.25), (0.75, 0.75), (0.25, 0.75)))
    after = draw_frame(image(), [Label("a", "A", (shape,))])
    assert after.getpixel((200, 120)) != GREY
    assert after.getpixel((20, 220)) == GREY


def test_the_tag_and_the_legend_have_the_same_colour() -> None:
    label = Label("liver", "Liver", (Rectangle(points((0.25, 0.5), (0.75, 0.75))),))
    after = draw_frame(image(), [label], "r/f")
    tag = plan([label], 400, 240, pictures.measure).tags[0]
    colour = channels(colour_of("liver"))
    assert after.getpixel((int(tag.box.right) - 3, int(tag.box.top) + 3)) == colour
    strip = after.crop((0, 240, *after.size))
    assert strip.height > 20
    assert colour in [found for _, found in strip.getcolors(100_000) or []]


def test_what_lies_outside_changes_nothing() -> None:
    labels = [
        Label("a", "A", (Keypoint(points((2.0, 2.0))), UnknownShape((), "ellipse", {}))),
    ]
    before = image()
    assert changed(before, draw_frame(before, labels)) is None


def test_points_a_little_outside_are_drawn_to_the_edge() -> None:
    shape = Outline(points((-0.01, 0.2), (1.01, 0.2), (1.01, 0.8), (-0.01, 0.8)))
    before = image()
    found = changed(before, draw_frame(before, [Label("a", "A", (shape,))]))
    assert found is not None
    assert (found[0], found[2]) == (0, 400)


@pytest.mark.parametrize("size", [(1, 1), (8, 8), (320, 180), (1920, 1080), (40, 3000)])
@pytest.mark.parametrize("colour", [(0, 0, 0), (255, 255, 255)])
def test_every_size_can_be_drawn_on(size: tuple[int, int], colour: tuple[int, int, int]) -> None:
    before = image(*size, colour)
    labels = [Label("胆囊", "胆囊\n\u202e\x00", (Outline(points((0, 0), (1, 0), (1, 1))),))]
    after = draw_frame(before, labels, "r/f" * 100)
    assert after.width >= size[0]
    assert after.height > size[1]
    assert changed(before, after) is not None


def test_a_pillow_without_freetype_draws_too(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: int) -> ImageFont.FreeTypeFont:
        raise ImportError

    monkeypatch.setattr(ImageFont, "load_default", refuse)
    pictures._font.cache_clear()
    try:
        label = Label("a", "Vésicule", (Keypoint(points((0.5, 0.5))),))
        assert changed(image(), draw_frame(image(), [label], "ü")) is not None
    finally:
        pictures._font.cache_clear()


def test_small_copies_keep_their_shape() -> None:
    assert shrink(image(4000, 1000), 400).size == (400, 100)
    assert shrink(image(100, 50), 400).size == (100, 50)
    assert as_jpeg(image()).startswith(b"\xff\xd8")


def test_a_sheet_has_its_pictures_in_rows() -> None:
    red, blue = (250, 10, 10), (10, 10, 250)
    entries = (Entry("a", "A", 1),)
    thumbnails = [
        Thumbnail(image(160, 90, colour), "sequence", f"frame{number}", entries)
        for number, colour in enumerate([red, blue, red])
    ]
    sheet = contact_sheet(thumbnails, 2, "Title")
    found = {colour: box_of(sheet, colour) for colour in (red, blue)}
    assert found[red][0] < found[blue][0]
    assert found[red][3] - found[red][1] > 180, "the third lies in a second row"
    assert found[blue][2] - found[blue][0] == 160
    assert box_of(contact_sheet(thumbnails[:1], 6, "Title"), red)[2] - 160 == 24


def box_of(sheet: Image.Image, colour: tuple[int, int, int]) -> tuple[int, int, int, int]:
    apart = ImageChops.difference(sheet, Image.new("RGB", sheet.size, colour)).convert("L")
    box = apart.point(lambda value: 255 if value == 0 else 0).getbbox()
    assert box is not None
    return box


def test_painting_needs_no_strip() -> None:
    drawing = plan([Label("a", "A", (Keypoint(points((0.5, 0.5))),))], 400, 240, pictures.measure)
    assert paint(image(), drawing).size == (400, 240)
