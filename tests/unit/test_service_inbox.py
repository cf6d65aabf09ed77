"""The inbox decides what is to be synced: once it holds still, once for each change."""

from __future__ import annotations

import random

from mirror.service.inbox import Entry, Inbox


def entry(name: str, mtime: int = 1, size: int = 10, inode: int = 1) -> Entry:
    return Entry(name, size, mtime, inode)


def test_a_file_is_taken_when_two_scans_found_it_the_same() -> None:
    inbox = Inbox()
    assert inbox.look([entry("a.json", size=1)]) == []
    assert inbox.look([entry("a.json", size=2)]) == [], "it still grows"
    assert inbox.look([entry("a.json", size=2)]) == [entry("a.json", size=2)]


def test_a_settled_file_is_left_alone_until_it_changes() -> None:
    inbox = Inbox()
    inbox.look([entry("a.json")])
    (ready,) = inbox.look([entry("a.json")])
    inbox.settle(ready)
    assert inbox.look([entry("a.json")]) == []
    for changed in (entry("a.json", mtime=2), entry("a.json", size=11), entry("a.json", inode=2)):
        inbox.look([changed])
        assert inbox.look([changed]) == [changed]
        inbox.settle(changed)


def test_a_file_that_went_and_came_back_is_taken_again() -> None:
    """Settled files are forgotten with the file, so memory is that of the folder."""
    inbox = Inbox()
    inbox.look([entry("a.json")])
    inbox.settle(*inbox.look([entry("a.json")]))
    inbox.look([])
    assert "0 settled" in repr(inbox)
    inbox.look([entry("a.json")])
    assert inbox.look([entry("a.json")]) == [entry("a.json")]


def test_the_oldest_comes_first_whatever_the_folder_s_order() -> None:
    entries = [entry(f"{n}.json", mtime=n) for n in range(20)]
    shuffled = random.Random(7).sample(entries, len(entries))
    inbox = Inbox()
    inbox.look(shuffled)
    assert inbox.look(shuffled) == entries


def test_an_export_with_setbacks_does_not_hold_up_the_others() -> None:
    inbox = Inbox()
    entries = [entry("a.json", mtime=1), entry("b.json", mtime=2)]
    inbox.look(entries)
    inbox.set_back(entries[0])
    assert [e.name for e in inbox.look(entries)] == ["b.json", "a.json"]
    inbox.settle(entries[0])
    changed = [entry("a.json", mtime=0), entries[1]]
    inbox.look(changed)
    assert [e.name for e in inbox.look(changed)] == ["a.json", "b.json"], "forgiven once settled"


def test_a_file_that_changed_while_it_was_synced_is_taken_again() -> None:
    inbox = Inbox()
    before, after = entry("a.json", size=1), entry("a.json", size=2)
    inbox.look([before])
    inbox.settle(*inbox.look([before]))
    inbox.look([after])
    assert inbox.look([after]) == [after]
