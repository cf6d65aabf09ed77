"""Reason words and exit codes are interfaces: the document and the code agree."""

import re
from collections.abc import Iterator
from pathlib import Path

from mirror import errors
from mirror.errors import ExitCode, FrameError, MirrorError, RunError
from mirror.settings import Settings

ROOT = Path(__file__).parents[2]
DOCUMENT = (ROOT / "docs" / "exit-codes.md").read_text()


def classes(root: type[MirrorError]) -> Iterator[type[MirrorError]]:
    for kind in root.__subclasses__():
        if not kind.__name__.startswith("_"):
            yield kind
        yield from classes(kind)


def own(root: type[MirrorError]) -> list[type[MirrorError]]:
    """Those that `errors.py` defines with a reason of their own."""
    return [
        kind
        for kind in classes(root)
        if "reason" in vars(kind) and kind.__module__ == errors.__name__
    ]


def test_every_exit_code_is_documented_here_and_in_the_readme() -> None:
    expected = [str(code.value) for code in ExitCode]
    rows = re.compile(r"^\| (\d+) \|", re.MULTILINE)
    assert rows.findall(DOCUMENT) == expected
    assert rows.findall((ROOT / "README.md").read_text()) == expected


def test_every_reason_of_a_frame_is_documented_with_its_attempts() -> None:
    rows = dict(re.findall(r"^\| `(\w+)` \|.*\| (\w+) \|$", DOCUMENT, re.MULTILINE))
    kinds = {kind.reason: kind for kind in own(FrameError) if issubclass(kind, FrameError)}
    assert set(rows) == set(kinds)
    for reason, kind in kinds.items():
        attempts = "all" if kind.tries is None else str(kind.tries)
        assert rows[reason] == (attempts if kind.retryable else "1"), reason


def test_reasons_are_words_and_unlike_each_other() -> None:
    reasons = [kind.reason for kind in own(MirrorError)]
    assert len(set(reasons)) == len(reasons)
    assert all(re.fullmatch(r"[a-z_]+", reason) for reason in reasons)


def test_an_error_ends_the_run_or_concerns_a_frame() -> None:
    for kind in classes(MirrorError):
        assert issubclass(kind, (RunError, FrameError)) or kind in {RunError, FrameError}
    assert {kind.exit_code for kind in own(FrameError)} == {ExitCode.PARTIAL}
    assert Settings.model_fields["max_attempts"].default > max(
        kind.tries or 0 for kind in own(FrameError) if issubclass(kind, FrameError)
    )
