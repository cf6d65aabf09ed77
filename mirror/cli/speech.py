"""What the program says on standard error besides its log: sentences."""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path

import orjson


def wants_json(log_format: str | None, config: Path | None) -> bool:
    """Whether standard error is for machines."""
    del config
    return (log_format or os.environ.get("MIRROR_LOG_FORMAT")) == "json"


def speak(sentence: str, *, as_json: bool) -> None:
    """One sentence on standard error, if it takes any; an object where that is for machines."""
    if as_json:
        line = orjson.dumps({"level": "error", "event": sentence}).decode()
    else:
        line = f"mirror: {sentence}"
    with contextlib.suppress(OSError):
        sys.stderr.write(line + "\n")
        sys.stderr.flush()
