"""Text from an export, made fit to be drawn or to stand in HTML and SVG. Hostile until then."""

from __future__ import annotations

import unicodedata
from html import escape
from zlib import crc32

from mirror.observe.text import printable

_LONGEST = 48


def markup(text: str) -> str:
    """`text` to stand in an element or in a quoted attribute, of HTML or XML."""
    return escape(printable(text), quote=True)


def short(text: str, longest: int = _LONGEST) -> str:
    """`text`, without its middle where it is longer than so many characters."""
    if len(text) <= longest:
        return text
    head = (longest - 3) * 2 // 3
    return f"{text[:head]}...{text[len(text) - (longest - 3 - head) :]}"


def drawable(text: str) -> str:
    """`text` with the letters that the font of Pillow has, which are those of ASCII; empty where
    hardly anything is left of it."""
    plain = unicodedata.normalize("NFKD", text)
    kept = [char for char in plain if not unicodedata.combining(char)]
    drawn = "".join(char if " " <= char <= "~" else "?" for char in kept)
    return drawn if drawn.count("?") * 3 <= len(drawn) else ""


def drawn_name(code: str, name: str) -> str:
    """What a picture calls a label: its name, its code where the font can't write that, and where
    it can't write either, a number that is always the same for that code."""
    shown = short(drawable(name).strip() or drawable(code).strip())
    return shown or f"label {crc32(code.encode(errors='replace')) & 0xFFFF:04x}"
