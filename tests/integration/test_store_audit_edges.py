"""The edges of the audit trail: what can't be read, what is unfinished, who it was."""

from __future__ import annotations

import getpass
import os
import socket
from pathlib import Path

import pytest
from store_kit import descriptors

from mirror.errors import DestinationError
from mirror.store import PurgeTarget, audit_of, unfinished
from mirror.store.audit import AuditLine, FrameName, SequenceName, whoever

RESTORE = (
    " It names what was erased, so that it does not come back: restore it, or move it away if"
    " nothing was ever purged here."
)


@pytest.fixture
def trail(tmp_path: Path) -> Path:
    (tmp_path / ".mirror").mkdir()
    return tmp_path / ".mirror/audit.jsonl"


def test_an_audit_trail_that_is_no_file_ends_it_and_nothing_stays_open(
    tmp_path: Path, trail: Path
) -> None:
    trail.mkdir()
    before = descriptors()
    with pytest.raises(DestinationError) as caught:
        audit_of(tmp_path)
    assert descriptors() == before
    assert str(caught.value) == (
        "The audit trail .mirror/audit.jsonl can't be read: it is no regular file." + RESTORE
    )


@pytest.mark.parametrize("content", [b"{", b"[]\n", b'{"at": "\xff"}\n'])
def test_an_audit_trail_that_is_damaged_says_so(
    tmp_path: Path, trail: Path, content: bytes
) -> None:
    trail.write_bytes(content)
    with pytest.raises(DestinationError) as caught:
        audit_of(tmp_path)
    assert str(caught.value) == (
        "The audit trail .mirror/audit.jsonl can't be read: it is damaged." + RESTORE
    )


def test_a_destination_that_cannot_be_looked_at_is_named(tmp_path: Path) -> None:
    root = tmp_path / ("x" * 300)
    with pytest.raises(DestinationError) as caught:
        audit_of(root)
    assert str(caught.value) == (
        f"The destination {str(root)!r} can't be written: File name too long."
    )


def test_all_that_was_begun_and_not_ended_is_unfinished() -> None:
    sequences = tuple(SequenceName("w1", f"r{n}") for n in range(3))
    frames = tuple(FrameName("w1", "r9", f"f{n}") for n in range(3))
    begun = AuditLine("2026-01-01T00:00:00Z", "purge_begun", "u@h", sequences, frames)
    ended = AuditLine("2026-01-01T00:00:01Z", "purged", "u@h", sequences[1:2], frames[1:2])
    assert unfinished([begun]) == PurgeTarget(sequences, frames)
    assert unfinished([begun, ended]) == PurgeTarget(sequences[::2], frames[::2])


@pytest.mark.parametrize("error", [KeyError("no such uid"), OSError("no name")])
def test_a_user_without_a_name_is_a_number(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    """Newer versions of Python raise the latter."""

    def nobody() -> str:
        raise error

    monkeypatch.setattr(getpass, "getuser", nobody)
    assert whoever() == f"{os.getuid()}@{socket.gethostname()}"
