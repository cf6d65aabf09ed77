"""Splits: by sequence, stable, and as large as was asked for."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mirror.annotations import parse_splits
from mirror.annotations.splits import UNSPLIT
from mirror.errors import UsageError

THREE = "train=0.8,val=0.1,test=0.1"


@given(roots=st.sets(st.text("abcdef0123456789-", min_size=1, max_size=36), max_size=50))
def test_a_sequences_split_depends_on_its_name_alone(roots: set[str]) -> None:
    splits = parse_splits(THREE, 3)
    alone = {root: splits.of("w", root) for root in roots}
    grown = {root: parse_splits(THREE, 3).of("w", root) for root in sorted(roots | {"another"})}
    assert alone == {root: grown[root] for root in roots}


def test_the_shares_are_those_asked_for() -> None:
    counts = Counter(parse_splits(THREE, 0).of("w", f"root-{number}") for number in range(20_000))
    assert counts["train"] / 20_000 == pytest.approx(0.8, abs=0.01)
    assert counts["val"] / 20_000 == pytest.approx(0.1, abs=0.01)


def test_another_seed_is_another_draw() -> None:
    drawn = [[parse_splits(THREE, seed).of("w", str(n)) for n in range(100)] for seed in (0, 1)]
    assert drawn[0] != drawn[1]


def test_where_nothing_is_asked_for_there_is_one() -> None:
    assert UNSPLIT.of("w", "r") == "all"
    assert not UNSPLIT.split
    assert parse_splits("train=1", 0).split


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("train", "NAME=SHARE"),
        ("train=0.5", "add up to 1"),
        ("train=0.8,val=0.3", "add up to 1"),
        ("train=0.5,train=0.5", "twice"),
        ("train=much,val=0.5", "'much'"),
        ("train=0,val=1", "'0'"),
        ("train=-1,val=2", "'-1'"),
        ("train=nan,val=0.5", "'nan'"),
        ("../x=1", "'../x=1'"),
        ("", "NAME=SHARE"),
    ],
)
def test_what_is_no_split_is_refused(text: str, said: str) -> None:
    with pytest.raises(UsageError, match=said.replace("../", r"\.\./")):
        parse_splits(text, 0)
