"""Counts while the slices pass: one pass over the frames of each (workspace, root)."""

from __future__ import annotations

from collections.abc import Iterable

from mirror.export.counts import Counts, Repeats, VideoSequence
from mirror.export.cut import SequenceSlice
from mirror.export.distinct import NEW, Carried, Distinct, Group, by_size
from mirror.export.phases import add_phases, coverage, of_sequence
from mirror.export.shapes import labelled_frames, read_phases
from mirror.export.written import Written


class Tally:
    """Of one export; or of several, each added when it is counted. `videos`: what counts of each
    sequence with video annotations."""

    def __init__(self) -> None:
        self.written = Written()
        self.distinct = Distinct()
        self.videos: dict[tuple[str, ...], VideoSequence] = {}

    def add_entry(self, piece: SequenceSlice) -> None:
        """One entry of `sequences`, and its phases."""
        self.written.entries += 1
        if not (phases := read_phases(piece)):
            return
        video = of_sequence(piece, phases)
        add_phases(self.written.phases, video.phases)
        if piece.workspace_id and piece.root_id:
            # a later stage takes the place of an earlier one
            self.videos[piece.workspace_id, piece.root_id] = video
        else:
            self.videos["", "", video.export, str(video.sequence)] = video

    def add_group(self, pieces: Iterable[SequenceSlice]) -> Group:
        """The frames of one (workspace, root)."""
        group: Group = {}
        shared: dict[Carried, Carried] = {}
        written = self.written
        for piece in pieces:
            for number, frame in enumerate(labelled_frames.read(piece)):
                written.occurrences += 1
                codes, shapes, entry = group.get(frame.id, NEW)
                if entry >= 0:
                    written.in_entry += entry == piece.index
                    written.in_export += entry != piece.index
                if frame.labels:
                    codes = codes.union([label.counted for label in frame.labels])
                    shapes = written.add_labels(piece, number, frame, frame.labels)
                now = Carried(codes, shapes, piece.index)
                group[frame.id] = shared.setdefault(now, now)
        self.distinct.add(group)
        return group

    def add_export(self, export: Tally) -> None:
        """What one further export says, but for its distinct frames, which may be known."""
        self.written.add(export.written)
        self.videos.update(export.videos)

    def counts(self) -> Counts:
        """The result."""
        written, distinct = self.written, self.distinct
        repeated = written.occurrences - distinct.frames
        across = repeated - written.in_entry - written.in_export
        return Counts(
            sequences=written.entries,
            distinct_sequences=distinct.groups,
            frames=distinct.frames,
            repeated_frames=repeated,
            repeats=Repeats(written.in_entry, written.in_export, across),
            labelled_frames=distinct.labelled,
            labels=dict(by_size(written.labels)),
            label_frames=dict(by_size(distinct.label_frames)),
            coverage=distinct.coverage(),
            shapes=dict(by_size(written.shapes)),
            shapes_per_frame=distinct.shapes_per_frame(),
            points_outside=written.points_outside,
            outside=written.outside,
            unreadable_shapes=written.unreadable_shapes,
            unreadable_at=written.unreadable_at,
            phases=dict(sorted(written.phases.items())),
            video=coverage(self.videos.values()),
        )
