"""Video annotations as phases of a video: subtitles, per-frame text files, segments.

What is open is closed, and what overlaps is told apart, by the rules in `rules` and `sampling`,
which are plain functions; each use of a rule is counted. See `docs/annotations-phases.md`.
"""

from mirror.annotations.phases.activitynet import write_activitynet
from mirror.annotations.phases.cholec80 import write_cholec80
from mirror.annotations.phases.webvtt import write_webvtt

__all__ = ["write_activitynet", "write_cholec80", "write_webvtt"]
