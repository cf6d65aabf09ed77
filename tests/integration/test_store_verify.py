"""Recorded frames held against their records, on real files."""

from __future__ import annotations

import errno
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from store_kit import Store, failing, group, store

from mirror.errors import DestinationError
from mirror.store import (
    Check,
    Damage,
    Damaged,
    LedgerReader,
    by_content,
    by_size,
    has_checksums,
    put_aside,
    verify,
    write_checksums,
)


@pytest.fixture
def mirrored(tmp_path: Path) -> Iterator[Store]:
    """Four frames, mirrored and recorded."""
    with store(tmp_path / "dest") as one:
        frames = one.ask(group("a", "b"), group("c", "d", root="r2"))
        one.committer.commit(one.write(frames), [])
        yield one


def found(one: Store, check: Check = by_content) -> dict[str, Damage]:
    with LedgerReader.open(one.root) as reader:
        pieces = list(verify(reader.mirrored(), one.root, one.destination.layout, check))
    assert sum(piece.frames for piece in pieces) == 4
    return {each.frame.ref.frame_id: each.damage for piece in pieces for each in piece.damaged}


def test_what_is_whole_is_not_named(mirrored: Store) -> None:
    assert found(mirrored) == found(mirrored, by_size) == {}


def test_every_kind_of_damage_is_told_apart(mirrored: Store) -> None:
    root = mirrored.root
    (root / "r1/a.png").unlink()
    (root / "r1/b.png").write_bytes(b"short")
    whole = (root / "r2/c.png").read_bytes()
    (root / "r2/c.png").write_bytes(whole[:-5] + bytes([whole[-5] ^ 1]) + whole[-4:])
    (root / "r2/d.png").unlink()
    (root / "r2/d.png").symlink_to(root / "r2/c.png")
    expected = {"a": Damage.GONE, "b": Damage.WRONG_SIZE, "d": Damage.NO_FILE}
    assert found(mirrored) == expected | {"c": Damage.WRONG_CONTENT}
    assert found(mirrored, by_size) == expected  # which reads nothing


@pytest.mark.parametrize("kind", ["folder", "fifo", "device"])
def test_what_is_no_file_is_not_read(mirrored: Store, kind: str) -> None:
    path = mirrored.root / "r1/a.png"
    path.unlink()
    if kind == "folder":
        path.mkdir()
    elif kind == "fifo":
        os.mkfifo(path)
    else:
        path.symlink_to("/dev/zero")
    assert found(mirrored) == {"a": Damage.NO_FILE}


def test_attack_06_a_folder_swapped_for_a_link_is_not_followed(mirrored: Store) -> None:
    (mirrored.root / "r2").rename(mirrored.root.parent / "elsewhere")
    (mirrored.root / "r2").symlink_to(mirrored.root.parent / "elsewhere")
    assert found(mirrored) == {"c": Damage.NO_FILE, "d": Damage.NO_FILE}


def test_another_whole_picture_is_named_and_not_adopted(mirrored: Store) -> None:
    """Size and form are right; the record says otherwise."""
    one, other = mirrored.root / "r1/a.png", mirrored.root / "r1/b.png"
    assert one.stat().st_size == other.stat().st_size
    one.write_bytes(other.read_bytes())
    before = list(LedgerReader.open(mirrored.root).mirrored())
    assert found(mirrored) == {"a": Damage.WRONG_CONTENT}
    assert list(LedgerReader.open(mirrored.root).mirrored()) == before
    assert found(mirrored, by_size) == {}


def test_a_disk_that_cant_read_a_file_says_unreadable(
    mirrored: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mirror.store.verification.file_digest", failing(errno.EIO))
    assert set(found(mirrored).values()) == {Damage.UNREADABLE}
    assert Damage.UNREADABLE.repairable


def test_what_may_not_be_read_is_for_somebody_to_mend(
    mirrored: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mirror.store.verification.file_digest", failing(errno.EACCES))
    assert set(found(mirrored).values()) == {Damage.NOT_PERMITTED}
    assert not Damage.NOT_PERMITTED.repairable


def test_without_descriptors_nothing_is_called_damaged(
    mirrored: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mirror.store.verification.file_digest", failing(errno.EMFILE))
    with pytest.raises(DestinationError, match="ulimit -n"):
        found(mirrored)


def test_many_pieces_come_in_the_order_of_the_ledger(tmp_path: Path) -> None:
    names = [f"f{number:04}" for number in range(1000)]
    with store(tmp_path) as one:
        one.committer.commit(one.write(one.ask(group(*names))), [])
        gone = names[::3]
        for name in gone:
            (one.root / f"r1/{name}.png").unlink()
        with LedgerReader.open(one.root) as reader:
            pieces = verify(reader.mirrored(), one.root, one.destination.layout, by_size)
            damaged = [each.frame.ref.frame_id for piece in pieces for each in piece.damaged]
    assert damaged == gone


def test_a_verification_that_is_left_early_reads_no_further(
    mirrored: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mirror.store.verification.PIECE", 1)
    monkeypatch.setattr("mirror.store.verification.THREADS", 1)
    looked = []

    def check(*given: object) -> Damaged | None:
        looked.append(given)
        return None

    with LedgerReader.open(mirrored.root) as reader:
        pieces = verify(reader.mirrored(), mirrored.root, mirrored.destination.layout, check)
        next(pieces)
        pieces.close()  # type: ignore[attr-defined]
    assert len(looked) <= 3


def test_put_aside_keeps_every_byte(mirrored: Store) -> None:
    path = mirrored.root / "r1/a.png"
    path.write_bytes(b"rotten")
    with LedgerReader.open(mirrored.root) as reader:
        pieces = verify(reader.mirrored(), mirrored.root, mirrored.destination.layout, by_content)
        (damaged,) = [each for piece in pieces for each in piece.damaged]
    kept_at = put_aside(mirrored.destination, damaged)
    assert kept_at is not None
    assert (mirrored.root / kept_at).read_bytes() == b"rotten"
    assert not path.exists()
    assert put_aside(mirrored.destination, damaged) is None  # nothing stands there now


def test_sha256sum_accepts_the_checksums(mirrored: Store) -> None:
    assert not has_checksums(mirrored.destination)
    write_checksums(mirrored.destination, mirrored.ledger.mirrored())
    assert has_checksums(mirrored.destination)
    check = ["sha256sum", "--check", "--strict", "--quiet", ".mirror/SHA256SUMS"]
    assert subprocess.run(check, cwd=mirrored.root, check=False).returncode == 0
    (mirrored.root / "r2/d.png").write_bytes(b"rotten")
    wrong = subprocess.run(check, cwd=mirrored.root, check=False, capture_output=True, text=True)
    assert wrong.returncode == 1
    assert "r2/d.png: FAILED" in wrong.stdout
    assert mirrored.temporaries() == []
