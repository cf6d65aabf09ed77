"""What is wrong with an annotation, and what comes of it: left out and counted, or the end.

An export whose JSON, ids or lists are wrong can't be read at all, and is refused by `export`.
"""

from __future__ import annotations

from collections import Counter
from enum import StrEnum
from typing import NamedTuple

from mirror.errors import ExportError

_MOST_EXAMPLES = 10


class ProblemKind(StrEnum):
    """The stable word for what is wrong."""

    NO_CODE = "no_code"
    """A label or a video annotation that no code names."""
    POINTS = "points"
    """A shape with too few or too many points for its kind."""
    COORDINATES = "coordinates"
    """A point that has no x or y, or one that is no finite number."""
    TIMES = "times"
    """A time that is no number of milliseconds from 0 on."""
    BACKWARDS = "backwards"
    """A video annotation that ends before it starts."""


class Problem(NamedTuple):
    """`place`: the export, sequence, frame, label and shape, counted from 0."""

    kind: ProblemKind
    place: str
    what: str

    def __str__(self) -> str:
        return f"{self.place}: {self.what}"


class Problems:
    """Collects what is left out. `counts` by kind; `examples` are the first ten. `lacking`: what
    was asked for and is not in the exports at all, as a sentence."""

    def __init__(self) -> None:
        self.lacking = ""
        self.counts: Counter[ProblemKind] = Counter()
        self.examples: list[Problem] = []

    def add(self, problem: Problem) -> None:
        """One annotation is left out."""
        self.counts[problem.kind] += 1
        if len(self.examples) < _MOST_EXAMPLES:
            self.examples.append(problem)

    def lack(self, sentence: str) -> None:
        """Nothing that was asked for is there."""
        self.lacking = sentence

    def __repr__(self) -> str:
        return f"<Problems {dict(self.counts)}>"


class StrictProblems(Problems):
    """Ends the reading at the first."""

    def add(self, problem: Problem) -> None:
        """Raises `ExportError` that names it."""
        super().add(problem)
        raise ExportError(
            f"{problem}; mend it on the platform and download again, or leave such annotations out"
            " by not asking for strict reading."
        )

    def lack(self, sentence: str) -> None:
        """Raises `ExportError` that says so."""
        raise ExportError(sentence)


def problems_for(*, strict: bool) -> Problems:
    """What collects problems, or raises at the first of them."""
    return StrictProblems() if strict else Problems()
