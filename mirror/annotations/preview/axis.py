"""The axis of a timeline, and how its SVG is styled, alone or within the page."""

from __future__ import annotations

from dataclasses import dataclass

WIDTH = 1200
LEFT, RIGHT = 24, 40
FONT = 13

STYLE = """
.tl{font-family:system-ui,-apple-system,"Segoe UI",Roboto,sans-serif;font-size:13px}
.tl-name{fill:var(--text);font-weight:600}.tl-dim{fill:var(--dim)}.tl-text{fill:var(--text)}
.tl-band{fill:var(--band)}.tl-grid{stroke:var(--line);stroke-width:1}
.tl-bar{stroke:var(--ground);stroke-width:1.5}.tl-open{fill:none;stroke:var(--text);stroke-width:2;
stroke-dasharray:3 3}.tl-event{stroke:var(--text);stroke-width:1.5}
.tl-stem{stroke:var(--dim);stroke-width:1;stroke-dasharray:2 3}
"""
"""Of the classes below; the colours are the variables that `LIGHT` and `DARK` set."""

LIGHT = "--ground:#ffffff;--text:#15181d;--dim:#5a6572;--band:#eef1f4;--line:#cfd6de"
DARK = "--ground:#15181d;--text:#eceff3;--dim:#9aa4b0;--band:#22272f;--line:#39414c"


@dataclass(frozen=True, slots=True)
class Axis:
    """Milliseconds to pixels."""

    length: int

    def x(self, time: float) -> float:
        """Where a time is."""
        return round(LEFT + (WIDTH - LEFT - RIGHT) * time / self.length, 1)
