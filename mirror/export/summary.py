"""What is in exports: the counts that `mirror inspect` prints, in one pass.

What a count means is in `counts.py`. Memory is that of one (workspace, root)'s ids, or of one
frame's shapes.
"""

from __future__ import annotations

from collections.abc import Sequence

from mirror.export.counts import ExportCounts, ExportSummary, SequenceCounts
from mirror.export.distinct import Group, unite
from mirror.export.file import ExportFile
from mirror.export.selection import group_sequences, refuse_frame_twins, refuse_root_twins
from mirror.export.tally import Tally


def summarize(exports: Sequence[ExportFile]) -> ExportSummary:
    """Count everything in `exports`, which must be open. Raises `ExportError`."""
    tallies = [Tally() for _ in exports]
    total = Tally()
    by_export = [group_sequences([export]) for export in exports]
    everywhere = group_sequences(exports)
    refuse_root_twins(everywhere)
    by_sequence: list[SequenceCounts] = []
    for name, pieces in everywhere.items():
        together: Group = {}
        for tally, groups in zip(tallies, by_export, strict=True):
            if name in groups:
                together = unite(together, tally.add_group(groups[name]))
        refuse_frame_twins(together, pieces)
        labelled = total.distinct.add(together)
        by_sequence.append(SequenceCounts(*name, len(together), labelled))
    for tally, export in zip(tallies, exports, strict=True):
        for piece in export.sequences:
            tally.add_entry(piece)
        total.add_export(tally)
    return ExportSummary(
        tuple(
            ExportCounts(str(export.path), export.sha256, export.size, tally.counts())
            for export, tally in zip(exports, tallies, strict=True)
        ),
        total.counts(),
        tuple(by_sequence),
        tuple(total.videos.values()),
    )
