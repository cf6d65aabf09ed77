"""Bodies become temporaries; files that are already there are looked at. Runs on one thread.

Invariants: only a whole PNG within the byte cap becomes `Written`; a body that is refused leaves
no temporary; when the destination fails, the call leaves none of its temporaries. Nothing here is
durable: that is the committer's work.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator, Sequence
from hashlib import sha256

from mirror.errors import DestinationError, FrameError
from mirror.store.descriptors import write_whole
from mirror.store.destination import OLD_FILE, Destination
from mirror.store.direct import write_direct
from mirror.store.directories import Directories, split
from mirror.store.png import PngChecker, PngInfo
from mirror.store.steps import Step, Strikes
from mirror.store.syncing import begin_writing
from mirror.store.trouble import LOST, destination_error, lost_error, why
from mirror.store.values import (
    Adopted,
    AnyBody,
    Body,
    LargeBody,
    PendingFrame,
    Refused,
    StreamedBody,
    Written,
)

BLOCK = 1024 * 1024
CACHED = 256 * 1024
"""Bytes that are still in the processor's cache when they are looked at a second time."""
_ODD = frozenset(
    {errno.ELOOP, errno.ENXIO, errno.ENODEV, errno.EACCES, errno.EPERM, errno.EIO, errno.EISDIR}
)
"""What a symbolic link, a socket, a device, or a file that can't be read says."""


class FrameWriter:
    """Writes batches. `max_bytes`: the most one frame may have."""

    def __init__(self, destination: Destination, max_bytes: int) -> None:
        self._destination = destination
        self._max_bytes = max_bytes
        self._strikes = Strikes()

    def write(self, bodies: Sequence[AnyBody]) -> list[Written | Refused]:
        """Check each body and put it into its temporary; one result for each, in order.

        A body that is no whole PNG, or that the disk does not keep, comes back as `Refused`.
        Raises `DestinationError` when the destination can't be written; then nothing of the
        batch is left.
        """
        results: list[Written | Refused] = []
        try:
            for body in bodies:
                results.append(self._write(body))  # noqa: PERF401 - what is done is undone below
        except OSError as error:
            self._drop(results, bodies)
            raise destination_error(self._destination.root, error) from None
        except BaseException:
            self._drop(results, bodies)
            raise
        return results

    def adopt(self, frames: Sequence[PendingFrame]) -> Adopted:
        """Look at the final name of each frame.

        A whole PNG is `written` (and durable once committed); anything else that stands there is
        moved into `.mirror/set-aside`, durably. Raises `DestinationError`, also where a folder on
        the way is a symbolic link or a file.
        """
        adopted = Adopted([], [], [])
        try:
            with self._destination.directories() as directories:
                for frame in frames:
                    self._look(frame, directories, adopted)
        except OSError as error:
            raise destination_error(self._destination.root, error) from None
        return adopted

    def discard(self, written: Sequence[Written]) -> None:
        """Remove the temporaries of frames that will not be committed."""
        for item in written:
            if item.name is not None:
                self._destination.remove(item.name)

    # --- writing ------------------------------------------------------------------------------

    def _write(self, body: AnyBody) -> Written | Refused:
        name = body.name if isinstance(body, StreamedBody) else self._destination.temporary()
        try:
            if isinstance(body, StreamedBody):
                file = os.open(name, OLD_FILE, dir_fd=self._destination.temporaries_fd)
                info, size, digest = self._read(file)
            else:
                info, size, digest = self._check(_parts(body))
                self._save(name, body)
        except FrameError as error:
            self._destination.remove(name)
            return Refused(body.frame, error)
        except OSError as error:
            self._destination.remove(name)
            if error.errno not in LOST or self._strikes.out():
                raise
            return Refused(body.frame, lost_error(error))
        self._strikes.clear()
        self._destination.reached(Step.TEMPORARY_WRITTEN)
        return Written(body.frame, name, size, digest, info.width, info.height)

    def _check(self, chunks: Iterator[bytes | memoryview]) -> tuple[PngInfo, int, bytes]:
        """Size in pixels, size in bytes, digest. Raises `NotPngError`, `TooLargeError`."""
        checker, digest, size = PngChecker(self._max_bytes), sha256(), 0
        for chunk in chunks:
            checker.feed(chunk)
            digest.update(chunk)
            size += len(chunk)
        return checker.finish(), size, digest.digest()

    def _read(self, file: int) -> tuple[PngInfo, int, bytes]:
        """The same of an open file, which is closed."""
        try:
            return self._check(_blocks(file))
        finally:
            os.close(file)

    def _save(self, name: str, body: Body | LargeBody) -> None:
        file = self._destination.create(name)
        self._destination.reached(Step.TEMPORARY_CREATED)
        try:
            if isinstance(body, LargeBody):
                write_direct(file, body.memory, body.size)
            else:
                write_whole(file, body.chunks)
        except BaseException:
            os.close(file)
            raise
        begin_writing(file)
        self._destination.keep_open(name, file)

    def _drop(self, results: list[Written | Refused], bodies: Sequence[AnyBody]) -> None:
        self.discard([item for item in results if isinstance(item, Written)])
        for body in bodies:
            if isinstance(body, StreamedBody):
                self._destination.remove(body.name)

    # --- adopting -----------------------------------------------------------------------------

    def _look(self, frame: PendingFrame, directories: Directories, adopted: Adopted) -> None:
        path = self._destination.layout.relative(frame.ref)
        place = split(path)[0]
        if self._folder(place, directories) is None:
            adopted.absent.append(frame)
            return
        try:
            found = self._inspect(frame, path, directories)
        except FileNotFoundError:
            adopted.absent.append(frame)
            return
        if found is not None:
            adopted.written.append(found)
            return
        kept = self._destination.set_aside(path, directories.find(place))
        adopted.set_aside.append((frame, kept))
        adopted.absent.append(frame)

    def _folder(self, place: str, directories: Directories) -> int | None:
        try:
            return directories.find(place)
        except FileNotFoundError:
            return None
        except OSError as error:
            where = str(self._destination.root / place)
            raise DestinationError(f"The folder {where!r} can't be used: {why(error)}.") from None

    def _inspect(self, frame: PendingFrame, path: str, directories: Directories) -> Written | None:
        """What stands at `path`, if it is a whole PNG. Raises `OSError`."""
        try:
            file = directories.open_file(path, OLD_FILE)
            if not stat.S_ISREG(os.fstat(file).st_mode):
                os.close(file)
                return None
            info, size, digest = self._read(file)
        except FrameError:
            return None
        except OSError as error:
            if error.errno in _ODD:
                return None
            raise
        return Written(frame, None, size, digest, info.width, info.height)


def _parts(body: Body | LargeBody) -> Iterator[bytes | memoryview]:
    if isinstance(body, Body):
        yield from body.chunks
        return
    with memoryview(body.memory) as memory:
        for at in range(0, body.size, CACHED):
            with memory[at : min(at + CACHED, body.size)] as part:
                yield part


def _blocks(file: int) -> Iterator[bytes]:
    while block := os.read(file, BLOCK):
        yield block
