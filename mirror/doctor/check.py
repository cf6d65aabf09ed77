"""What a step of the examination found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from mirror.errors import ExitCode, MirrorError

Result = Literal["ok", "warn", "fail", "skipped"]


@dataclass(frozen=True, slots=True)
class Check:
    """One step. `what` was found, in a sentence; `advice`: what to do, empty where nothing is.

    `exit_code` is that of a run that fails so, `COMPLETE` for all but a failure.
    """

    name: str
    result: Result
    what: str
    advice: str = ""
    exit_code: ExitCode = ExitCode.COMPLETE


def failed(name: str, error: MirrorError, advice: str = "") -> Check:
    """A step that ended in `error`; one frame's error, here, is the platform's."""
    code = error.exit_code if error.exit_code is not ExitCode.PARTIAL else ExitCode.UNAVAILABLE
    return Check(name, "fail", str(error), advice, code)


def skipped(name: str, why: str) -> Check:
    """A step that was not tried."""
    return Check(name, "skipped", why)
