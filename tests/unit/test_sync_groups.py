"""What is made durable together, and when; what waits to be tried again."""

from __future__ import annotations

from mirror.frames import FrameRef
from mirror.sources import load_settings
from mirror.store import Failure, PendingFrame, Written
from mirror.sync.delays import DelayQueue
from mirror.sync.groups import CommitGroup, GroupBounds
from mirror.sync.retry import Work

BOUNDS = GroupBounds(frames=3, size=100, seconds=5.0)


def frame(row: int = 1) -> PendingFrame:
    return PendingFrame(row, FrameRef("w", "r", f"f{row}"), 0)


def written(size: int) -> Written:
    return Written(frame(), "name", size, b"", 1, 1)


FAILURE = Failure(frame(), "not_found", "404", 1)


def test_the_bounds_are_half_of_what_may_be_uncommitted() -> None:
    settings = load_settings(commit_frames=9, commit_bytes=1001, commit_seconds=7)
    assert GroupBounds.of(settings) == GroupBounds(frames=4, size=500, seconds=7)
    least = load_settings(commit_frames=1, commit_bytes=1)
    assert GroupBounds.of(least).frames == GroupBounds.of(least).size == 1


def test_an_empty_group_is_never_due() -> None:
    group = CommitGroup()
    group.add([], now=1.0)
    assert group.due_in(BOUNDS, 1000.0) is None
    assert len(group) == 0


def test_a_group_is_due_so_many_seconds_after_its_first_member() -> None:
    group = CommitGroup()
    group.add([written(1)], now=10.0)
    group.add_failure(FAILURE, now=12.0)
    assert group.due_in(BOUNDS, 12.0) == 3.0
    assert group.due_in(BOUNDS, 16.0) == -1.0
    assert len(group) == 2


def test_failures_alone_are_due_too() -> None:
    group = CommitGroup()
    group.add_failure(FAILURE, now=10.0)
    assert group.due_in(BOUNDS, 10.0) == 5.0


def test_a_group_is_due_at_once_when_it_has_its_frames() -> None:
    group = CommitGroup()
    group.add([written(1), written(1)], now=0.0)
    assert group.due_in(BOUNDS, 0.0) == 5.0
    group.add_failure(FAILURE, now=0.0)
    assert group.due_in(BOUNDS, 0.0) == 0.0


def test_a_group_is_due_at_once_when_all_its_bytes_reach_the_bound() -> None:
    bounds = GroupBounds(frames=50, size=100, seconds=5.0)
    group = CommitGroup()
    members = [written(60), written(39), written(1)]
    group.add(members[:1], now=0.0)
    group.add(members[1:2], now=0.0)
    assert (group.size, group.due_in(bounds, 0.0)) == (99, 5.0)
    group.add(members[2:], now=0.0)
    assert (group.size, group.due_in(bounds, 0.0)) == (100, 0.0)
    assert group.written == members


def test_failures_are_kept_as_they_come() -> None:
    group = CommitGroup()
    other = Failure(frame(2), "forbidden", "403", 1)
    group.add_failure(FAILURE, now=0.0)
    group.add_failure(other, now=0.0)
    assert group.failures == [FAILURE, other]


def test_what_waits_comes_out_by_its_time_and_then_by_its_turn() -> None:
    queue = DelayQueue()
    assert queue.next_due() is None
    later, first, second = (Work(frame(row)) for row in range(3))
    queue.put(later, 2.0)
    queue.put(first, 1.0)
    queue.put(second, 1.0)
    assert (len(queue), queue.next_due(), queue.first()) == (3, 1.0, first)
    assert [queue.pop(), queue.pop()] == [first, second]
    assert (len(queue), queue.next_due()) == (1, 2.0)
