"""Frames with their annotations by number: what a training loop draws from.

Nothing but an index is in memory: some 100 bytes a frame, of which the export's text stays in the
mapped file until a frame is asked for. It can be handed to other processes: forked ones share the
file, others open it anew.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, overload

from mirror.annotations.collection import EVERYTHING, Choice, Collection
from mirror.annotations.mirrored import MirroredImages
from mirror.annotations.problems import Problems, problems_for
from mirror.annotations.reading import UndecodedFrame
from mirror.annotations.splits import UNSPLIT, Splits
from mirror.annotations.values import Label
from mirror.closing import Closing
from mirror.errors import ExportError, MissingFramesError, UsageError
from mirror.export import ExportFile
from mirror.frames import FrameRef


@dataclass(frozen=True, slots=True)
class Sample:
    """One frame. `path`: its PNG; `width`, `height`: pixels; `labels`: shapes in pixels, not
    clipped to the image (`Shape.clipped` works on normalised points)."""

    ref: FrameRef
    path: Path
    width: int
    height: int
    labels: tuple[Label, ...]


@dataclass(frozen=True, slots=True)
class Subset:
    """Which frames are wanted: of a choice, those of one split (all where `split` is empty)."""

    choice: Choice = EVERYTHING
    splits: Splits = UNSPLIT
    split: str = ""


ALL = Subset()


_Given = tuple[Path, list[Path], Subset, bool, bool]


class FrameDataset(Closing, Sequence[Sample]):
    """Every mirrored frame of `exports`, with its annotations in pixels.

        dataset = mirror.FrameDataset("frames", "batch.json")
        sample = dataset[0]
        sample.path, sample.width, sample.labels[0].shapes[0].box

    `len`, a number and a slice work as with any sequence, so PyTorch's `DataLoader` takes it as it
    is. `missing`: how many frames were left out because they are not mirrored. `problems`: which
    annotations were left out so far. Close it, or use it as a context manager.
    """

    def __init__(
        self,
        dest: Path | str,
        exports: Path | str | Iterable[Path | str],
        *,
        subset: Subset = ALL,
        allow_missing: bool = False,
        strict: bool = False,
    ) -> None:
        """Index the exports. Raises `ExportError`; `DestinationError` where `dest` has no ledger;
        `MissingFramesError` where frames are not mirrored, unless `allow_missing`; `UsageError` for
        a sequence or split that is not there. `strict`: an annotation that is wrong raises
        `ExportError` instead of being left out."""
        named = [exports] if isinstance(exports, str | Path) else list(exports)
        if not named:
            raise UsageError("No export was named.")
        if subset.split and subset.split not in subset.splits.names:
            known = ", ".join(subset.splits.names)
            raise UsageError(f"There is no split {subset.split!a}; there are {known}.")
        self._given = (Path(dest), [Path(each) for each in named], subset, allow_missing, strict)
        self.problems = problems_for(strict=strict)
        self._open()

    def _open(self) -> None:
        dest, paths, subset, allow_missing, _ = self._given
        self._frames: list[UndecodedFrame] = []
        self._widths, self._heights = array("I"), array("I")
        self._closed = False
        self.missing = 0
        self._root = dest
        with ExitStack() as stack:
            self._exports = [stack.enter_context(ExportFile.open(path)) for path in paths]
            images = stack.enter_context(MirroredImages.open(dest))
            self._layout = images.layout
            self._index(subset, images)
            if self.missing and not allow_missing:
                raise MissingFramesError(
                    f"{self.missing:,} frames are not at {str(dest)!a}: run `mirror sync` first, or"
                    " leave them out with allow_missing."
                )
            stack.pop_all()
        images.close()
        self._drawn = bytearray(len(self._frames))

    def _index(self, subset: Subset, images: MirroredImages) -> None:
        collection = Collection(
            self._exports, None, self.problems, choice=subset.choice, splits=subset.splits
        )
        for sequence in collection.sequences:
            if subset.split and collection.split(sequence) != subset.split:
                continue
            known = images.of(sequence.workspace_id, sequence.root_id)
            for frame in sequence.undecoded():
                image = known.get(frame.frame_id)
                if not (subset.choice.unlabelled or self._labels(frame, Problems())):
                    continue
                if image is None:
                    self.missing += 1
                    continue
                self._frames.append(frame)
                self._widths.append(image.width)
                self._heights.append(image.height)

    def _labels(self, frame: UndecodedFrame, problems: Problems) -> tuple[Label, ...]:
        choice = self._given[2].choice
        return choice.wanted(frame.decode(problems).labels)

    def _once(self, number: int) -> Problems:
        """What collects the problems of a frame, which count once, however often it is drawn."""
        if self._drawn[number]:
            return problems_for(strict=self._given[4])
        self._drawn[number] = 1
        return self.problems

    def __len__(self) -> int:
        return len(self._frames)

    @overload
    def __getitem__(self, index: int) -> Sample: ...

    @overload
    def __getitem__(self, index: slice) -> list[Sample]: ...

    def __getitem__(self, index: int | slice) -> Sample | list[Sample]:
        """The sample at `index`, or a list of those of a slice. Raises `IndexError`, and
        `ValueError` where the dataset is closed."""
        if self._closed:
            raise ValueError("the dataset is closed")
        if isinstance(index, slice):
            return [self._sample(number) for number in range(len(self))[index]]
        return self._sample(range(len(self))[index])

    def _sample(self, number: int) -> Sample:
        frame = self._frames[number]
        width, height = self._widths[number], self._heights[number]
        ref = FrameRef(frame.piece.workspace_id, frame.piece.root_id, frame.frame_id)
        labels = tuple(
            replace(label, shapes=tuple(shape.to_pixels(width, height) for shape in label.shapes))
            for label in self._labels(frame, self._once(number))
        )
        return Sample(ref, self._root / self._layout.relative(ref), width, height, labels)

    def close(self) -> None:
        """Let go of the exports; nothing can be drawn any more."""
        self._closed = True
        self._frames = []
        for export in self._exports:
            export.close()

    def __reduce__(self) -> tuple[Any, ...]:
        return FrameDataset._again, (self._given, self._identity())

    @classmethod
    def _again(cls, given: _Given, identity: tuple[object, ...]) -> FrameDataset:
        """The same dataset in another process. Raises `ExportError` where it is another one by now:
        a number would stand for another frame."""
        dest, exports, subset, allow_missing, strict = given
        again = cls(dest, exports, subset=subset, allow_missing=allow_missing, strict=strict)
        if again._identity() != identity:
            again.close()
            raise ExportError(
                "The exports or the frames changed since the dataset was made; make it again."
            )
        return again

    def _identity(self) -> tuple[object, ...]:
        return len(self), *(export.stamp for export in self._exports)

    def __repr__(self) -> str:
        return f"<FrameDataset {len(self):,} frames of {str(self._root)!a}>"
