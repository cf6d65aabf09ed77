"""Final names are given without replacing, and files synced by the descriptor that wrote them."""

import errno
import os
from pathlib import Path

import pytest
from store_kit import (
    descriptors,
    failing,
    group,
    ids,
    look_before_renaming,
    png,
    store,
)

from mirror.store import renaming
from mirror.store.descriptors import KeptOpen
from mirror.store.renaming import rename_new


@pytest.fixture(params=["kernel", "look"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "look":
        look_before_renaming(monkeypatch)
    elif renaming._renameat2 is None:
        pytest.skip("the C library has no renameat2")
    return str(request.param)


@pytest.fixture
def folder(tmp_path: Path) -> int:
    return os.open(tmp_path, os.O_RDONLY)


def test_a_free_name_is_given_and_a_taken_one_is_left(
    tmp_path: Path, folder: int, way: str
) -> None:
    (tmp_path / "a").write_text("a")
    (tmp_path / "b").write_text("b")
    assert not rename_new("a", folder, "b", folder)
    assert (tmp_path / "b").read_text() == "b"
    assert rename_new("a", folder, "ü", folder)
    assert (tmp_path / "ü").read_text() == "a"


def test_a_link_to_nowhere_has_its_name_too(tmp_path: Path, folder: int, way: str) -> None:
    (tmp_path / "a").write_text("a")
    (tmp_path / "b").symlink_to("nowhere")
    assert not rename_new("a", folder, "b", folder)


def test_what_the_disk_says_is_told(tmp_path: Path, folder: int, way: str) -> None:
    with pytest.raises(FileNotFoundError):
        rename_new("a", folder, "b", folder)


@pytest.mark.parametrize("number", [errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP])
def test_a_file_system_that_cant_is_asked_in_two_steps(
    tmp_path: Path, folder: int, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    monkeypatch.setattr(renaming, "_renameat2", lambda *_: -1)
    monkeypatch.setattr(renaming.ctypes, "get_errno", lambda: number)
    (tmp_path / "a").write_text("a")
    (tmp_path / "b").write_text("b")
    assert not rename_new("a", folder, "b", folder)
    assert rename_new("a", folder, "c", folder)
    assert (tmp_path / "c").read_text() == "a"


def test_fault_46_what_appears_at_the_last_instant_is_set_aside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the look and the rename, where the kernel does both in one."""
    if renaming._renameat2 is None:
        pytest.skip("the C library has no renameat2")
    real = renaming._renameat2
    with store(tmp_path) as one:
        written = one.write(one.ask(group("f1")))
        place = one.path(written[0].frame.ref)

        def appear(*words: object) -> int:
            if not place.exists() and not (tmp_path / ".mirror/set-aside").exists():
                place.write_bytes(b"somebody's")
            return int(real(*words))

        monkeypatch.setattr(renaming, "_renameat2", appear)
        result = one.committer.commit(written, [])
        assert ids(item.frame for item in result.committed) == ["f1"]
        ((_, kept),) = result.set_aside
        assert (tmp_path / kept).read_bytes() == b"somebody's"
        assert place.read_bytes() == png(written[0].frame.row)


def test_the_same_bytes_at_the_name_are_no_one_elses(tmp_path: Path, way: str) -> None:
    with store(tmp_path) as one:
        written = one.write(one.ask(group("f1")))
        place = one.path(written[0].frame.ref)
        place.parent.mkdir()
        place.write_bytes(png(written[0].frame.row))
        result = one.committer.commit(written, [])
        assert (len(result.committed), result.set_aside) == (1, [])
        assert one.temporaries() == []


def test_a_file_is_synced_by_the_descriptor_that_wrote_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error of the disk that came before is told to that descriptor alone."""
    with store(tmp_path) as one:
        before = descriptors()
        written = one.write(one.ask(group("f1", "f2")))
        assert descriptors() == before + 2
        opened: list[str] = []
        real = os.open
        monkeypatch.setattr(
            os, "open", lambda path, *rest, **at: opened.append(path) or real(path, *rest, **at)
        )
        assert len(one.committer.commit(written, []).committed) == 2
        assert not any(item.name in opened for item in written)
        assert descriptors() == before


def test_what_is_not_committed_leaves_no_descriptor(tmp_path: Path) -> None:
    before = descriptors()
    with store(tmp_path) as one:
        held = descriptors()
        written = one.write(one.ask(group("f1", "f2", "f3")))
        one.writer.discard(written[:1])
        assert descriptors() == held + 2
    assert descriptors() == before


def test_fault_55_kept_descriptors_are_given_up_for_a_new_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with store(tmp_path) as one:
        frames = one.ask(group("f1", "f2"))
        one.write(frames[:1])
        real, asked = os.open, []

        def once(path: str, *rest: int, **at: int) -> int:
            asked.append(path)
            if len(asked) == 1:
                failing(errno.EMFILE)()
            return real(path, *rest, **at)

        monkeypatch.setattr(os, "open", once)
        before = descriptors()
        assert len(one.write(frames[1:])) == 1
        assert descriptors() == before  # one given up, one kept


def test_only_so_many_are_kept(tmp_path: Path) -> None:
    kept = KeptOpen(1)
    one, two = (os.open(tmp_path, os.O_RDONLY) for _ in range(2))
    assert kept.keep("one", one)
    assert not kept.keep("two", two)
    os.close(two)
    assert kept.take("two") is None
    assert kept.close() == 1
    assert kept.take("one") is None
