"""What the program says on standard error besides its log: sentences, in the log's own form.

Asked before the settings are known, or where they are wrong, so the form is looked up by itself.
"""

from __future__ import annotations

import contextlib
import os
import sys
import tomllib
import traceback
from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

from mirror.observe.text import json_text, printable, redact, stamp, trace_text


def wants_json(log_format: str | None, config: Path | None) -> bool:
    """Whether standard error is for machines: by option, environment or configuration file."""
    return (log_format or os.environ.get("MIRROR_LOG_FORMAT") or _in_file(config)) == "json"


def _in_file(config: Path | None) -> object:
    if config is None:
        return None
    try:
        return tomllib.loads(config.read_text(encoding="utf-8")).get("log_format")
    except (OSError, ValueError):
        return None  # whoever needs the settings says so


def asked_for_json(words: Sequence[str]) -> bool:
    """The same of a command line that has not been parsed, or can't be."""
    config = _option(words, "--config")
    return wants_json(_option(words, "--log-format"), Path(config) if config else None)


def _option(words: Sequence[str], name: str) -> str | None:
    for word, following in pairwise([*words, ""]):
        if word == name:
            return following
        if word.startswith(f"{name}="):
            return word.removeprefix(f"{name}=")
    return None


def speak(sentence: str, *, as_json: bool, trace: BaseException | None = None) -> None:
    """Say it, with the traceback of `trace`, if standard error takes it."""
    sentence = "\n".join(printable(line) for line in redact(sentence).splitlines())
    behind = "" if trace is None else trace_text("".join(traceback.format_exception(trace)))
    if as_json:
        line = {"timestamp": stamp(datetime.now(UTC)), "level": "error", "event": sentence}
        text = json_text({**line, "exception": behind} if behind else line)
    else:
        text = "\n".join([*([behind] if behind else []), f"mirror: {sentence}"])
    with contextlib.suppress(OSError):
        sys.stderr.write(text + "\n")
        sys.stderr.flush()
