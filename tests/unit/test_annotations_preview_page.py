"""The page and the timeline: nothing of an export can act in them, nothing is fetched by them."""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from collections import Counter
from hashlib import sha256
from html.parser import HTMLParser
from xml.etree import ElementTree as ET

import pytest

from mirror.annotations.preview import Card, Contents, LabelCount, arrange, page, timeline
from mirror.annotations.preview.layout import plan
from mirror.annotations.values import Interval, Keypoint, Label, Outline, Point

NASTY = (
    "</script></title></style><script>alert(1)</script><img src=x onerror=alert(1)>\"'&\u202e]]>"
)
SHOWN = NASTY.replace("\u202e", "\\u202e")
SVG = "{http://www.w3.org/2000/svg}"
JPEG = b"\xff\xd8not really\xff\xd9"


def triangle() -> Outline:
    return Outline((Point(0.1, 0.1), Point(0.9, 0.1), Point(0.5, 0.9)))


def card(sequence: int, name: str, *labels: Label) -> Card:
    drawing = plan(labels, 320, 180, lambda text, size: 0.5 * size * len(text))
    return Card(sequence, name, (1920, 1080), JPEG, drawing, labels)


def contents(code: str = "a", name: str = "A") -> Contents:
    label = Label(code, name, (triangle(), Keypoint((Point(0.5, 0.5),))))
    track = arrange([Interval(code, name, 0, 1000), Interval(code, name, 5, 5)], None, name=name)
    return Contents(
        title=f"Preview of {name}",
        facts=[("2", f"frames of {name}")],
        notes=[f"Not drawn: {name}"],
        sequences={0: name, 1: "other"},
        labels=[LabelCount(code, name, 2)],
        cards=[card(0, f"{name}/f1", label), card(1, "other/f2")],
        tracks=[track],
    )


class Reader(HTMLParser):
    """Collects what a browser would make of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: Counter[str] = Counter()
        self.attributes: list[tuple[str, str, str]] = []
        self.texts: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        self.attributes += [(tag, name, value or "") for name, value in attrs]

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def read(what: Contents) -> Reader:
    return Reader("".join(page(what)))


def test_hostile_names_are_text_on_the_page() -> None:
    plain, nasty = read(contents()), read(contents(NASTY, NASTY))
    assert nasty.tags == plain.tags
    assert nasty.tags["script"] == nasty.tags["style"] == nasty.tags["title"] - 2 == 1
    assert not [name for _, name, _ in nasty.attributes if name.startswith("on")]
    assert [(tag, name) for tag, name, _ in nasty.attributes] == [
        (tag, name) for tag, name, _ in plain.attributes
    ]
    assert sum(SHOWN in text for text in nasty.texts) >= 6
    assert f"Enlarge {SHOWN}/f1" in [value for _, _, value in nasty.attributes]


def test_hostile_names_are_text_in_the_timeline() -> None:
    tracks = [arrange([Interval(NASTY, NASTY, 0, 9), Interval(NASTY, NASTY, 3, 3)], 10, name=NASTY)]
    root = ET.fromstring(timeline(tracks))
    kinds = Counter(each.tag.removeprefix(SVG) for each in root.iter())
    assert set(kinds) == {"svg", "style", "rect", "g", "text", "path", "title"}
    assert kinds["style"] == 1
    titles = [each.text or "" for each in root.iter(f"{SVG}title")]
    assert len(titles) == 2
    assert all(SHOWN in title for title in titles)
    assert all(not name.startswith("on") for each in root.iter() for name in each.attrib)


def test_the_page_needs_nothing_else() -> None:
    text = "".join(page(contents()))
    assert "http://" not in text
    assert "https://" not in text
    assert "@import" not in text
    assert "url(" not in text
    reader = Reader(text)
    links = [value for _, name, value in reader.attributes if name in {"src", "href", "xlink:href"}]
    assert links
    assert all(link.startswith("data:image/jpeg;base64,") for link in links)
    assert b64decode(links[0].partition(",")[2]) == JPEG
    assert not {"link", "iframe", "object", "embed", "base", "form"} & set(reader.tags) - {"form"}


def test_the_timeline_names_no_address_but_its_namespace() -> None:
    text = timeline([arrange([Interval("a", "A", 0, None)], 10, name="r")])
    assert re.findall(r"https?://[^\"' ]*", text) == ["http://www.w3.org/2000/svg"]


def test_the_policy_allows_the_own_style_and_script_and_nothing_else() -> None:
    text = "".join(page(contents(NASTY, NASTY)))
    policy = next(v for t, n, v in Reader(text).attributes if t == "meta" and "default-src" in v)
    assert policy.startswith("default-src 'none'; img-src data:;")
    assert "unsafe" not in policy
    for kind in ("style", "script"):
        own = re.search(rf"<{kind}>(.*?)</{kind}>", text, re.DOTALL)
        assert own is not None
        digest = b64encode(sha256(own[1].encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}'" in policy
    assert not [name for _, name, _ in Reader(text).attributes if name == "style"]


def test_cards_tell_the_filters_what_they_show() -> None:
    reader = read(contents())
    figures = [value for tag, name, value in reader.attributes if name == "data-labels"]
    assert figures == ["0", ""]
    boxes = [value for _, name, value in reader.attributes if name == "data-of"]
    assert boxes == ["0", "none"]
    # two marks, their tags and the line below the picture; a bar, an event and its stem
    marked = [tag for tag, name, _ in reader.attributes if name == "data-label"]
    assert Counter(marked)["g"] >= 4
    assert Counter(marked)["li"] == 1


def test_counts_are_of_what_is_drawn() -> None:
    far = Keypoint((Point(5, 5),))
    shown = card(0, "f", Label("a", "A", (triangle(), far)), Label("a", "again", ())).shown
    assert shown == {"a": ("again", 1)}


def test_a_page_without_frames_has_no_large_view() -> None:
    found = contents()
    bare = Contents(found.title, [], [], {0: "r"}, found.labels, [], found.tracks)
    reader = read(bare)
    assert not reader.tags["dialog"]
    assert not reader.tags["select"]
    assert reader.tags["svg"] == 1


@pytest.mark.parametrize("duration", [None, 5_000_000])
def test_open_ends_are_marked_and_told(duration: int | None) -> None:
    track = arrange([Interval("a", "A", 0, None, True), Interval("b", "B", 5, 9_000)], duration)
    root = ET.fromstring(timeline([track]))
    marks = [each for each in root.iter(f"{SVG}path") if each.get("class") == "tl-open"]
    titles = [each.text for each in root.iter(f"{SVG}title")]
    assert len(marks) == 1
    assert titles[0] == "A (a): open start to open end"
    assert titles[1] == "B (b): 0:00.005 to 0:09 · 0:08.995"


def test_bars_stand_where_their_times_are() -> None:
    track = arrange([Interval("a", "A", 0, 500), Interval("b", "B", 500, 1000)], 1000)
    root = ET.fromstring(timeline([track]))
    bars = [
        each.get("d") or "" for each in root.iter(f"{SVG}path") if each.get("class") == "tl-bar"
    ]
    assert bars[0].startswith("M24 ")
    assert "H592V" in bars[0]
    assert bars[1].startswith("M592 ")
    assert "H1160V" in bars[1]


def test_a_legend_adds_up_and_says_what_is_not_there() -> None:
    tracks = [arrange([Interval("a", "A", 0, 60_000), Interval("a", "A", 9, 9)], None)] * 2
    texts = [each.text for each in ET.fromstring(timeline(tracks, left_away=3)).iter(f"{SVG}text")]
    assert "A · 2:00 + 2 at a point" in texts
    assert "3 more sequences are not drawn." in texts


def test_many_point_events_at_once_don_t_grow_without_end() -> None:
    track = arrange([Interval("a", "Same place", 5, 5)] * 50, 10)
    root = ET.fromstring(timeline([track]))
    assert int(root.get("height") or 0) < 300
