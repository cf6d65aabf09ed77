"""The first half of every dataset: each frame read once, its marks made, its image placed."""

from __future__ import annotations

from pathlib import Path

from mirror.annotations.collection import Collection
from mirror.annotations.datasets.images import Images
from mirror.annotations.datasets.marks import Drawn, Marker
from mirror.annotations.datasets.spool import Spool
from mirror.annotations.values import Label
from mirror.closing import Closing


class Gathered(Closing):
    """`splits`: the frames of each split that has any. `names`: of each label code, for people.
    `kinds`: of marks that are there."""

    def __init__(self, out: Path) -> None:
        self._out = out
        self.splits: dict[str, Spool] = {}
        self.names: dict[str, str] = {}
        self.kinds: set[int] = set()

    def add(self, split: str, drawn: Drawn, labels: tuple[Label, ...]) -> None:
        """One more frame."""
        if split not in self.splits:
            self.splits[split] = Spool(self._out)
        self.splits[split].add(drawn)
        self.kinds.update(mark.kind for mark in drawn.marks)
        for label in labels:
            self.names.setdefault(label.code, label.name)

    def close(self) -> None:
        """The frames are gone."""
        for spool in self.splits.values():
            spool.close()

    def __repr__(self) -> str:
        return f"<Gathered {self.splits}>"


def gather(collection: Collection, out: Path, marker: Marker, images: Images) -> Gathered:
    """Every frame of `collection`, which must know its images; the caller closes it."""
    gathered = Gathered(out)
    try:
        for sequence in collection.sequences:
            split = collection.split(sequence)
            for item in collection.items(sequence, marker.tally):
                name = images.name(item)
                gathered.add(split, marker.draw(item, name), item.labels)
                images.put(item, name, split)
    except BaseException:
        gathered.close()
        raise
    return gathered
