"""The way in and the one way out: signals from the first moment, the exit code at the end.

Nothing but the standard library is imported until the signals are caught.
"""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path

from mirror.cli.signals import catch_signals, ignore_signals

_INTERRUPTED = 75
"""`ExitCode.INTERRUPTED`, without the import."""


def main() -> None:
    """Run the command line. Exit codes: `docs/exit-codes.md`."""
    catch_signals()
    words = sys.argv[1:]
    try:
        code: int = import_module("mirror.cli.commands").run(words)
    except KeyboardInterrupt:
        ignore_signals()
        _speak("Interrupted before it was done; run the same command again.", words)
        code = _INTERRUPTED
    ignore_signals()
    sys.exit(code)


def _speak(sentence: str, words: list[str]) -> None:
    speech = import_module("mirror.cli.speech")
    config = _option(words, "--config")
    as_json = speech.wants_json(_option(words, "--log-format"), config and Path(config))
    speech.speak(sentence, as_json=as_json)


def _option(words: list[str], name: str) -> str | None:
    """The value of an option, for when the command line has not been parsed."""
    for word, following in zip(words, [*words[1:], ""], strict=True):
        if word == name:
            return following
        if word.startswith(f"{name}="):
            return word.removeprefix(f"{name}=")
    return None
