"""The edges of a destination that is held: what fails half-way, what is durable, what is said."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from store_kit import descriptors, failing, group, names, record, target_of

from mirror.errors import DestinationBusyError
from mirror.store import Destination, Layout, Ledger, Step
from mirror.store.lock import lock_state


@pytest.fixture
def tight() -> Iterator[None]:
    """What is made is for its owner alone, so that a file's mode has to be set."""
    was = os.umask(0o077)
    yield
    os.umask(was)


@pytest.mark.usefixtures("tight")
def test_a_temporary_that_cannot_have_its_mode_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Destination.open(tmp_path, Layout(file_mode=0o644)) as destination:
        before = descriptors()
        with monkeypatch.context() as patch:
            patch.setattr(os, "fchmod", failing(errno.EPERM))
            with pytest.raises(PermissionError):
                destination.create("new")
        assert descriptors() == before
        assert names(tmp_path / ".mirror/tmp") == []


def test_a_destination_is_let_go_also_where_its_temporaries_cannot_be_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    destination = Destination.open(tmp_path, Layout())
    with monkeypatch.context() as patch:
        patch.setattr(os, "scandir", failing(errno.EIO))
        destination.close()
    assert lock_state(tmp_path).holder is None


def test_what_is_set_aside_is_durable_with_every_folder_above_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "r1").mkdir()
    (tmp_path / "r1/f1.png").write_bytes(b"something else")
    synced: list[str] = []
    with (
        Destination.open(tmp_path, Layout()) as destination,
        destination.directories() as below,
        monkeypatch.context() as patch,
    ):
        patch.setattr(os, "fsync", lambda file: synced.append(target_of(file)))
        kept = destination.set_aside("r1/f1.png", below.find("r1"))
    assert kept == ".mirror/set-aside/r1/f1.png.1"
    made = (".mirror/set-aside/r1", ".mirror/set-aside", ".mirror", "r1")
    assert synced == [str(tmp_path / folder) for folder in made]


def test_a_run_that_cannot_be_read_is_told_with_the_destination(tmp_path: Path) -> None:
    with Destination.open(tmp_path, Layout()):
        (tmp_path / ".mirror/lock").write_text("{")
        with pytest.raises(DestinationBusyError) as caught:
            Destination.open(tmp_path, Layout())
    assert str(caught.value) == (
        f"Another run holds the destination {str(tmp_path)!r}: process ? on an unknown host, since"
        " just now. Wait until it has ended, or stop it, and run again."
    )


def test_the_lock_says_since_when_in_utc(tmp_path: Path) -> None:
    with Destination.open(tmp_path, Layout()):
        holder = lock_state(tmp_path).holder
    assert holder is not None
    since = datetime.fromisoformat(holder.since)
    assert since.utcoffset() == timedelta(0)
    assert abs(datetime.now(UTC) - since) < timedelta(seconds=120)


def test_a_destination_says_which_it_is_and_whether_it_is_closed(tmp_path: Path) -> None:
    with Destination.open(tmp_path, Layout()) as destination:
        assert repr(destination) == f"<Destination {str(tmp_path)!r}>"
    assert repr(destination) == f"<Destination {str(tmp_path)!r} closed>"


def test_an_ingest_is_told_before_and_after_it_is_durable(tmp_path: Path) -> None:
    steps: list[Step] = []
    with (
        Destination.open(tmp_path, Layout(), steps.append) as destination,
        Ledger.open(destination) as ledger,
    ):
        steps.clear()
        ledger.ingest(record(), [group("f1")])
        assert steps == [Step.INGESTING, Step.INGESTED]
