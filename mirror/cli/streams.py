"""Standard output and standard error, made so that a broken one is told apart from everything else.

Invariants: what can't be said on standard error is lost, and nothing else is; what can't be written
to standard output raises an error of ours, so that no library in between takes it for its own.
"""

from __future__ import annotations

import contextlib
import io
import os
import select
import sys
from typing import ClassVar, TextIO

from mirror.errors import ExitCode, RunError

_OUT, _ERR = 1, 2


class ResultLostError(RunError):
    """What a command has to print can't be written to standard output."""

    reason: ClassVar[str] = "output"
    exit_code: ClassVar[ExitCode] = ExitCode.DESTINATION


class ReaderGoneError(Exception):
    """Nobody reads standard output any more. Nothing to be said about it."""


class _Results(io.FileIO):
    def write(self, data: bytes, /) -> int:  # type: ignore[override] # any buffer, as in FileIO
        try:
            while (written := super().write(data)) is None:
                select.select([], [self], [])  # somebody has made it non-blocking
        except BrokenPipeError:
            raise ReaderGoneError from None
        except OSError as error:
            raise ResultLostError(
                f"The result can't be printed on standard output: {error.strerror}. What was done"
                " is done; make room, then ask again."
            ) from None
        return written


class _Remarks(io.FileIO):
    def write(self, data: bytes, /) -> int:  # type: ignore[override] # any buffer, as in FileIO
        with contextlib.suppress(OSError):
            written = super().write(data)
            if written is not None:
                return written
        return memoryview(data).nbytes


def guard_streams() -> None:
    """Put these in the place of `sys.stdout` and `sys.stderr`."""
    _fill_gaps()
    sys.stdout = _text(_Results(_OUT, "wb", closefd=False), sys.stdout)
    sys.stderr = _text(_Remarks(_ERR, "wb", closefd=False), sys.stderr, line_buffering=True)


def _fill_gaps() -> None:
    """Nothing that is opened later may get the number of a standard stream that was closed.

    Results must not seem to arrive, so standard output is then one that can't be written.
    """
    for descriptor in range(_ERR + 1):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_WRONLY if descriptor == _ERR else os.O_RDONLY)


def _text(raw: io.FileIO, like: TextIO | None, *, line_buffering: bool = False) -> TextIO:
    return io.TextIOWrapper(
        io.BufferedWriter(raw),
        encoding=like.encoding if like else "utf-8",
        errors="backslashreplace",
        line_buffering=line_buffering or raw.isatty(),
    )
