"""Which shard a command line and a scheduler name."""

import pytest
from typer import BadParameter

from mirror.cli import sync
from mirror.cli.sync import indexed_shard
from mirror.errors import UsageError
from mirror.shards import Shard

KUBERNETES, SLURM = sync.INDICES


def test_an_empty_shard_is_no_whole_run() -> None:
    """As `--shard "$PART"` is where PART is not set."""
    with pytest.raises(BadParameter, match="'' is no shard"):
        sync._check_shard("")


@pytest.mark.parametrize("text", [" 1", "1_0", "+1", "\uff11", "-1", "12", "9" * 5000])
def test_an_index_is_digits_below_the_count(text: str) -> None:
    with pytest.raises(UsageError, match="must be 0 to 11"):
        indexed_shard(12, {KUBERNETES: text})


def test_two_schedulers_that_disagree_are_refused() -> None:
    """All tasks of an array inside one pod would do the same part, and call it complete."""
    with pytest.raises(UsageError, match=r"is '0' and .* is '1'"):
        indexed_shard(2, {KUBERNETES: "0", SLURM: "1"})
    assert indexed_shard(2, {KUBERNETES: "1", SLURM: "1"}) == Shard(1, 2)
    assert indexed_shard(2, {KUBERNETES: "", SLURM: "1"}) == Shard(1, 2)
