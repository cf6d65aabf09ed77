"""How errors name what is wrong: safely, shortly, in JSON's words."""

from __future__ import annotations

from pathlib import Path

import pytest

from mirror.export import place


@pytest.mark.parametrize(
    "text", ["\x1b[31m", "a\u202eb", "\ud800", "new\nline", "é", "\x00", "🦆" * 200, "a'b\"c"]
)
def test_attack_24_what_an_export_says_is_shown_escaped_and_short(text: str) -> None:
    told = place.shown(text)
    assert told.replace("…", "").isascii()
    assert told.replace("…", "").isprintable()
    assert len(told) < 1000


def test_a_long_text_is_shortened_and_says_so() -> None:
    assert place.shown("x" * 81) == f"'{'x' * 80}…'"
    assert place.shown("x" * 80) == f"'{'x' * 80}'"


def test_the_path_of_an_export_cannot_steer_a_terminal() -> None:
    assert place.named(Path("a\x1bb")) == r"Export 'a\x1bb'"


def test_a_sequence_is_named_with_its_root_where_it_has_one() -> None:
    assert place.of_sequence(Path("b.json"), 3, "r") == "Export 'b.json', sequence 3 (rootId 'r')"
    assert place.of_sequence(Path("b.json"), 3, "") == "Export 'b.json', sequence 3"


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("Expected `array`, got `null` - at `$.x`", "P, x: expected array, got null;"),
        ("Expected `str | null`, got `int` - at `$.a[3].b`", "P, a[3].b: expected string or null,"),
        ("Expected `int | float`, got `bool`", "P: expected number, got boolean;"),
        ("twice - at `key` in `$`", "P: twice;"),
        ("some other words", "P: some other words;"),
    ],
)
def test_what_msgspec_says_is_told_in_the_words_of_json(said: str, told: str) -> None:
    assert str(place.wrong_shape("P", ValueError(said))).startswith(told)


def test_the_field_of_a_part_is_named_from_the_whole() -> None:
    error = place.wrong_shape("P", ValueError("Bad - at `$[2].x`"), "labels[0].points")
    assert str(error).startswith("P, labels[0].points[2].x: bad;")


@pytest.mark.parametrize("block", [1, 2, 3, 1024])
@pytest.mark.parametrize(
    ("text", "offset"),
    [
        (b"", 0),
        (b"abc", 3),
        ("aé漢🦆z".encode(), 11),
        (b"abc\xff", 3),
        ("é".encode() * 5 + b"\x80x", 10),
        (b"ab\xe6\xbc", 2),
        (b"ab\xe6\xbcz", 2),
        (b"a\xed\xa0\x80", 1),
    ],
)
def test_the_first_byte_that_is_no_utf8_is_found_across_blocks(
    monkeypatch: pytest.MonkeyPatch, text: bytes, offset: int, block: int
) -> None:
    monkeypatch.setattr(place, "_BLOCK", block)
    assert place.first_bad_utf8(memoryview(text)) == offset
