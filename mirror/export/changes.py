"""What changed between two exports, in all: the sum of what `compare` says of each sequence."""

from __future__ import annotations

from collections import Counter
from typing import Any

from mirror.export.difference import LabelChange, Presence, SequenceDifference


class Changes:
    """Counts while the differences pass. `sequences` by presence, of those that differ."""

    def __init__(self) -> None:
        self.sequences: Counter[Presence] = Counter()
        self.added = 0
        self.removed = 0
        self.relabelled = 0
        self.redrawn = 0
        self.phases_added = 0
        self.phases_removed = 0
        self._gained: Counter[str] = Counter()
        self._lost: Counter[str] = Counter()

    def add(self, found: SequenceDifference) -> None:
        """One sequence that differs."""
        self.sequences[found.presence] += 1
        self.added += len(found.added)
        self.removed += len(found.removed)
        self.relabelled += len(found.relabelled)
        self.redrawn += found.redrawn
        self.phases_added += len(found.phases_added)
        self.phases_removed += len(found.phases_removed)
        for code, change in found.labels.items():
            self._gained[code] += change.gained
            self._lost[code] += change.lost

    @property
    def labels(self) -> dict[str, LabelChange]:
        """By code, in its order: of the relabelled frames, those that gained and lost it."""
        codes = sorted(self._gained | self._lost)
        return {code: LabelChange(self._gained[code], self._lost[code]) for code in codes}

    def as_object(self) -> dict[str, Any]:
        """For machines; documented in `docs/exports.md`."""
        return {
            "differs": self.sequences.total() > 0,
            "sequences": {
                "added": self.sequences[Presence.ADDED],
                "removed": self.sequences[Presence.REMOVED],
                "changed": self.sequences[Presence.BOTH],
            },
            "frames": {
                "added": self.added,
                "removed": self.removed,
                "relabelled": self.relabelled,
                "redrawn": self.redrawn,
            },
            "labels": self.labels,
            "phases": {"added": self.phases_added, "removed": self.phases_removed},
        }
