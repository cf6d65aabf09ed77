"""What is converted: the sequences of some exports, with the images of a destination.

Every converter walks over it the same way, one sequence after the other and one frame after the
other, so memory is that of one sequence's ids.
"""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from mirror.annotations.mirrored import MirroredImage, MirroredImages
from mirror.annotations.problems import Problems, problems_for
from mirror.annotations.reading import AnnotatedSequence, distinct_sequences
from mirror.annotations.splits import UNSPLIT, Splits
from mirror.annotations.tally import Skip, Tally
from mirror.annotations.values import Interval, Label
from mirror.errors import UsageError
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
        """`exports` must be open, and stay so. Raises `ExportError`, and `UsageError` where they
        hold no sequence that was chosen."""
        self.problems = problems
        self.splits = splits
        self._images = images
        self._choice = choice
        self.sequences: list[AnnotatedSequence] = [
            sequence
            for sequence in distinct_sequences(exports, problems)
            if not choice.sequences or sequence.root_id in choice.sequences
        ]
        unknown = choice.sequences - {sequence.root_id for sequence in self.sequences}
        if unknown:
            raise UsageError(
                f"The exports hold no sequence {min(unknown)!a}; `mirror inspect` lists them."
            )
        self.exports = exports
        self._codes: set[str] = set()
        self._names = dict(zip(self.sequences, _distinct_names(self.sequences), strict=True))

    @property
    def root(self) -> Path | None:
        """The destination of the images, where one was named."""
        return self._images.root if self._images else None

    def name(self, sequence: AnnotatedSequence) -> str:
        """What names a sequence in files: its root id; with the workspace, where two share it. No
        two have the same."""
        return self._names[sequence]

    def split(self, sequence: AnnotatedSequence) -> str:
        """The split that a sequence belongs to, with all its frames."""
        return self.splits.of(sequence.workspace_id, sequence.root_id or self.name(sequence))

    def missing(self) -> Iterator[FrameRef]:
        """Frames that are not mirrored; none where no destination was named."""
        if self._images is None:
            return
        for sequence in self.sequences:
            known = self._images.of(sequence.workspace_id, sequence.root_id)
            for frame_id in sequence.frame_ids():
                if frame_id not in known:
                    yield FrameRef(sequence.workspace_id, sequence.root_id, frame_id)

    def items(self, sequence: AnnotatedSequence, tally: Tally) -> Iterator[Item]:
        """The wanted frames of a sequence; those that are left out are counted."""
        images = self._images
        known = None if images is None else images.of(sequence.workspace_id, sequence.root_id)
        name = self.name(sequence)
        for frame in sequence.frames():
            tally.seen += 1
            self._codes.update([label.code for label in frame.labels])
            labels = self._choice.wanted(frame.labels)
            image = None if known is None else known.get(frame.ref.frame_id)
            if known is not None and image is None:
                tally.skip(Skip.NOT_MIRRORED)
            elif not (labels or self._choice.unlabelled):
                tally.skip(Skip.UNLABELLED)
            else:
                yield Item(frame.ref, f"{name}/{frame.ref.frame_id}", labels, image)

    def intervals(self, sequence: AnnotatedSequence) -> tuple[Interval, ...]:
        """The wanted video annotations of a sequence, in export order."""
        codes, found = self._choice.labels, sequence.intervals()
        self._codes.update([each.code for each in found])
        return tuple([each for each in found if each.code in codes]) if codes else found

    def refuse_unseen(self, tools: Iterable[str] = ()) -> None:
        """Once all is read: raise `UsageError` where a label that was chosen, or one of `tools`,
        never occurred in it, as a slip of the pen does not."""
        unseen = sorted({*self._choice.labels, *tools} - self._codes)
        if unseen:
            near = difflib.get_close_matches(unseen[0], sorted(self._codes), 3, 0.5)
            hint = f" Did you mean {' or '.join(ascii(each) for each in near)}?" if near else ""
            raise UsageError(
                f"Nothing that was read has the label {unseen[0]!a}.{hint} `mirror inspect` lists"
                " the labels by their codes."
            )

    def __repr__(self) -> str:
        return f"<Collection {len(self.sequences)} sequences>"


def _distinct_names(sequences: Sequence[AnnotatedSequence]) -> Iterator[str]:
    """Those without a root id are numbered; entries without a workspace may repeat a root id."""
    roots = Counter(sequence.root_id for sequence in sequences)
    taken: set[str] = set()
    for sequence in sequences:
        name = sequence.root_id or f"sequence-{sequence.index}"
        if sequence.workspace_id and sequence.root_id and roots[sequence.root_id] > 1:
            name = f"{sequence.workspace_id}/{sequence.root_id}"
        distinct, number = name, 1
        while distinct in taken:
            number += 1
            distinct = f"{name}-{number}"
        taken.add(distinct)
        yield distinct


@contextmanager
def open_collection(
    exports: Iterable[Path],
    dest: Path | None,
    *,
    strict: bool,
    choice: Choice = EVERYTHING,
    splits: Splits = UNSPLIT,
) -> Iterator[Collection]:
    """The collection of the exports at these paths, with the images of the destination `dest`.

    `strict`: the first annotation that is wrong raises `ExportError`. Raises as `ExportFile.open`,
    `MirroredImages.open` and `Collection` do.
    """
    with ExitStack() as stack:
        opened = [stack.enter_context(ExportFile.open(path)) for path in exports]
        images = stack.enter_context(MirroredImages.open(dest)) if dest else None
        problems = problems_for(strict=strict)
        yield Collection(opened, images, problems, choice=choice, splits=splits)
