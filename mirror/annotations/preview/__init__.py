"""Frames with their annotations drawn on them, and phases over time, to be looked at.

`write_preview` makes all of it. `pictures` and `sheets` need the extra `preview`, and are imported
when there is a frame to draw; the rest is plain Python.
"""

from mirror.annotations.preview.page import Card, Contents, LabelCount, page
from mirror.annotations.preview.previewed import Previewed, notes
from mirror.annotations.preview.timeline import timeline
from mirror.annotations.preview.tracks import Track, arrange
from mirror.annotations.preview.writing import PreviewOptions, write_preview

__all__ = [
    "Card",
    "Contents",
    "LabelCount",
    "PreviewOptions",
    "Previewed",
    "Track",
    "arrange",
    "notes",
    "page",
    "timeline",
    "write_preview",
]
