"""The edges of layouts, strikes, and what an error of the disk is called."""

from __future__ import annotations

import errno
import resource
import sys
from pathlib import Path

import pytest

from mirror.errors import ConfigurationError, LedgerError
from mirror.frames import FrameRef
from mirror.store.descriptors import most_descriptors
from mirror.store.layout import Layout
from mirror.store.steps import Strikes
from mirror.store.trouble import destination_error, lost_error, refused_error, why


def test_a_template_that_is_refused_says_why() -> None:
    with pytest.raises(ConfigurationError) as caught:
        Layout(".mirror/{frame_id}")
    assert str(caught.value) == (
        "The path template '.mirror/{frame_id}' starts with a dot, where mirror keeps its own"
        " files: let it start with something else."
    )
    with pytest.raises(ConfigurationError) as caught:
        Layout("/{frame_id}")
    assert str(caught.value) == (
        "The path template '/{frame_id}' is no relative path of names and ids; if no setting says"
        " so, the ledger is not of mirror's making: do not trust it."
    )


def test_attack_01_an_id_of_dots_leads_nowhere_also_in_the_middle_of_a_path() -> None:
    layout = Layout("a/{root_id}/{frame_id}.png")
    assert layout.relative(FrameRef("w", "r", "f")) == "a/r/f.png"
    with pytest.raises(LedgerError) as caught:
        layout.relative(FrameRef("w", "..", "f"))
    assert str(caught.value) == (
        "The ledger names a frame whose file would be 'a/../f.png', outside the destination: it is"
        " not of mirror's making. Move the ledger away, and run again."
    )


def test_strikes_are_out_after_so_many_in_a_row() -> None:
    strikes = Strikes()
    for _ in range(2):
        assert [strikes.out() for _ in range(Strikes.MOST)] == [False, False, True]
        strikes.clear()
        assert repr(strikes) == "<Strikes 0 of 3>"


def test_what_an_error_of_the_disk_is_called() -> None:
    assert str(lost_error(OSError(errno.EIO, "x"))) == (
        "The disk did not keep the file: Input/output error."
    )
    assert str(lost_error(OSError(errno.EMFILE, "x"))) == (
        "No file could be opened for it: Too many open files."
    )
    assert str(refused_error("r/f.png", OSError(errno.EISDIR, "x"))) == (
        "'r/f.png' can't be put in its place: Is a directory."
    )
    assert str(destination_error(Path("frames"), OSError(errno.EROFS, "x"))) == (
        "The destination 'frames' can't be written: it is mounted read-only: mount it read-write"
        " and run again."
    )


def test_an_error_without_a_number_is_called_by_its_kind() -> None:
    assert why(TimeoutError()) == "TimeoutError"
    assert why(OSError(errno.EPERM, "x")).startswith("permission denied")
    assert str(lost_error(BlockingIOError())) == "The disk did not keep the file: BlockingIOError."


@pytest.mark.parametrize(
    ("soft", "most"), [(64, 64), (4096, 4096), (resource.RLIM_INFINITY, sys.maxsize)]
)
def test_the_limit_that_counts_is_the_soft_one(
    monkeypatch: pytest.MonkeyPatch, soft: int, most: int
) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (soft, 1_000_000))
    assert most_descriptors() == most
