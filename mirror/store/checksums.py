"""`DEST/.mirror/SHA256SUMS`: the recorded digests in the form that `sha256sum -c` reads.

To be read from the destination: `cd DEST && sha256sum --check .mirror/SHA256SUMS`. Ids and
templates hold nothing that the format would have to escape.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from mirror.store.destination import Destination, stands
from mirror.store.layout import Layout
from mirror.store.values import RecordedFrame

NAME = "SHA256SUMS"


def write_checksums(destination: Destination, frames: Iterable[RecordedFrame]) -> None:
    """Write the file anew, whole and durable. Raises `DestinationError`, and what `frames` does."""
    destination.write_state(NAME, _lines(destination.layout, frames))


def has_checksums(destination: Destination) -> bool:
    """Whether the destination has such a file, to be kept true."""
    return stands(NAME, destination.state_fd)


def _lines(layout: Layout, frames: Iterable[RecordedFrame]) -> Iterator[bytes]:
    lines: list[str] = []
    for frame in frames:
        lines.append(f"{frame.sha256.hex()}  {layout.relative(frame.ref)}\n")
        if len(lines) == 1024:
            yield "".join(lines).encode()
            lines.clear()
    yield "".join(lines).encode()
