"""The way in and the one way out: signals from the first moment, the exit code at the end.

Nothing but the standard library is imported until the signals are caught. Here alone a signal, and
a result that can't be printed, become an exit code.
"""

from __future__ import annotations

import gc
import os
import signal
import sys
from importlib import import_module

from mirror.cli.signals import catch_signals, ignore_signals

_CYCLES_AFTER = 50_000


def main() -> None:
    """Run the command line. Exit codes: `docs/exit-codes.md`."""
    catch_signals()
    gc.set_threshold(_CYCLES_AFTER)  # importing makes much that stays, and nothing to collect
    words = sys.argv[1:]
    try:
        code = _run(words)
    except KeyboardInterrupt:
        ignore_signals()
        code = _give_up(words, 75, "Interrupted before it was done; run the same command again.")
    ignore_signals()
    sys.exit(code)


def _run(words: list[str]) -> int:
    streams = import_module("mirror.cli.streams")
    streams.guard_streams()
    try:
        code: int = import_module("mirror.cli.commands").run(words)
        sys.stdout.flush()
    except streams.ReaderGoneError:
        return _give_up(words, 128 + signal.SIGPIPE)
    except streams.ResultLostError as error:
        return _give_up(words, error.exit_code, str(error))
    return code


def _give_up(words: list[str], code: int, sentence: str = "") -> int:
    # what standard output has not taken yet, Python would try to write once more at its end
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    if sentence:
        speech = import_module("mirror.cli.speech")
        speech.speak(sentence, as_json=speech.asked_for_json(words))
    return code
