"""What is converted: the sequences of some exports, with the images of a destination.

Every converter walks over it the same way, one sequence after the other and one frame after the
other, so memory is that of one sequence's ids.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from mirror.annotations.mirrored import MirroredImage, MirroredImages
from mirror.annotations.problems import Problems
from mirror.annotations.reading import AnnotatedSequence, distinct_sequences
from mirror.annotations.splits import UNSPLIT, Splits
from mirror.annotations.tally import Skip, Tally
from mirror.annotations.values import Label
from mirror.export import ExportFile
from mirror.frames import FrameRef


@dataclass(frozen=True, slots=True)
class Item:
    """One frame to be converted. `name`: unique among all, with '/', without an extension; it
    carries the sequence. `image`: None where no destination was named."""

    ref: FrameRef
    name: str
    labels: tuple[Label, ...]
    image: MirroredImage | None


@dataclass(frozen=True, slots=True)
class Choice:
    """Which frames are wanted. What is empty narrows nothing.

    `sequences`: root ids. `labels`: codes; other labels are left away. `unlabelled`: frames without
    labels stay in.
    """

    sequences: frozenset[str] = frozenset()
    labels: frozenset[str] = frozenset()
    unlabelled: bool = True

    def wanted(self, labels: tuple[Label, ...]) -> tuple[Label, ...]:
        """Those of a frame's labels that are wanted."""
        codes = self.labels
        return tuple([label for label in labels if label.code in codes]) if codes else labels


EVERYTHING = Choice()


class Collection:
    """Sequences, images and splits together. `problems` collects what reading leaves out."""

    def __init__(
        self,
        exports: Sequence[ExportFile],
        images: MirroredImages | None,
        problems: Problems,
        *,
        choice: Choice = EVERYTHING,
        splits: Splits = UNSPLIT,
    ) -> None:
        """`exports` must be open, and stay so. Raises `ExportError`."""
        self.problems = problems
        self.splits = splits
        self._images = images
        self._choice = choice
        self.sequences: list[AnnotatedSequence] = [
            sequence
            for sequence in distinct_sequences(exports, problems)
            if not choice.sequences or sequence.root_id in choice.sequences
        ]
        roots = Counter(sequence.root_id for sequence in self.sequences)
        self._shared = {root_id for root_id, count in roots.items() if count > 1 or not root_id}

    def name(self, sequence: AnnotatedSequence) -> str:
        """What names a sequence in files: its root id; with the workspace, where two share it."""
        if not sequence.root_id:
            return f"sequence-{sequence.index}"
        if sequence.root_id in self._shared:
            return f"{sequence.workspace_id}/{sequence.root_id}"
        return sequence.root_id

    def split(self, sequence: AnnotatedSequence) -> str:
        """The split that a sequence belongs to, with all its frames."""
        return self.splits.of(sequence.workspace_id, sequence.root_id)

    def missing(self) -> Iterator[FrameRef]:
        """Frames that are not mirrored; none where no destination was named."""
        for sequence in self.sequences if self._images else ():
            known = self._known(sequence)
            for frame_id in sequence.frame_ids():
                if frame_id not in known:
                    yield FrameRef(sequence.workspace_id, sequence.root_id, frame_id)

    def items(self, sequence: AnnotatedSequence, tally: Tally) -> Iterator[Item]:
        """The wanted frames of a sequence; those that are left out are counted."""
        known = self._known(sequence)
        name = self.name(sequence)
        for frame in sequence.frames():
            tally.seen += 1
            labels = self._choice.wanted(frame.labels)
            image = known.get(frame.ref.frame_id)
            if self._images and image is None:
                tally.skip(Skip.NOT_MIRRORED)
            elif not (labels or self._choice.unlabelled):
                tally.skip(Skip.UNLABELLED)
            else:
                yield Item(frame.ref, f"{name}/{frame.ref.frame_id}", labels, image)

    def _known(self, sequence: AnnotatedSequence) -> dict[str, MirroredImage]:
        if self._images is None:
            return {}
        return self._images.of(sequence.workspace_id, sequence.root_id)

    def __repr__(self) -> str:
        return f"<Collection {len(self.sequences)} sequences>"
