"""Which frames are a shard's."""

from collections import Counter

import pytest

from mirror.frames import FrameRef
from mirror.shards import Shard, checked, shard_of


def test_the_hash_is_the_same_for_ever() -> None:
    found = [shard_of("w", "r", f"f{number}", 1000) for number in range(6)]
    assert found == [326, 722, 548, 126, 528, 336]


def test_every_frame_is_of_exactly_one_shard_and_shares_are_even() -> None:
    frames = [FrameRef("w", f"r{number % 7}", f"f{number}") for number in range(8_000)]
    shards = [Shard(index, 8) for index in range(8)]
    shares = Counter(shard for frame in frames for shard in shards if shard.holds(frame))
    assert shares.total() == 8_000
    assert all(850 < shares[shard] < 1_150 for shard in shards)


def test_every_part_of_the_name_counts() -> None:
    names = [("w", "r", "f"), ("v", "r", "f"), ("w", "q", "f"), ("w", "r", "g")]
    assert len({shard_of(*name, 2**32) for name in names}) == 4


def test_a_shard_is_read_as_it_is_shown() -> None:
    assert Shard.parse("3/16") == Shard(3, 16)
    assert str(Shard(3, 16)) == "3/16"
    assert Shard.named(Shard(3, 16).name) == Shard(3, 16)
    assert Shard.named("lost+found") is None


@pytest.mark.parametrize("text", ["3/2", "2/2", "0/0", "1/99999", "a/b", "1", "-1/2", "1/2/3", ""])
def test_what_is_no_shard_is_told_with_what_is_allowed(text: str) -> None:
    with pytest.raises(ValueError, match=r"allowed|counted from 0"):
        Shard.parse(text)


def test_a_negative_index_is_none() -> None:
    with pytest.raises(ValueError, match="0/3 to 2/3"):
        checked(-1, 3)
