"""Which frames of a collection get a picture."""

from __future__ import annotations

from collections.abc import Iterator

from mirror.annotations.collection import Collection, Item
from mirror.annotations.preview.sampling import Spread, share_out
from mirror.annotations.tally import Tally


def chosen(collection: Collection, tally: Tally, limit: int) -> Iterator[tuple[int, Item]]:
    """The number of its sequence and the item, for `limit` frames spread evenly over the sequences
    and within each; for all where `limit` is 0. Every frame is read, and counted in `tally`."""
    if not limit:
        for number, sequence in enumerate(collection.sequences):
            for item in collection.items(sequence, tally):
                yield number, item
        return
    groups: list[tuple[int, Spread[Item]]] = []
    kept = 0
    for number, sequence in enumerate(collection.sequences):
        spread: Spread[Item] = Spread(limit)
        for item in collection.items(sequence, tally):
            spread.offer(item)
        if spread.count:
            groups.append((number, spread))
            kept += len(spread.thin(limit))
        if kept > 4 * limit + len(groups):
            kept = sum(len(items) for _, items in _thinned(groups, limit, at_least=1))
    for number, items in _thinned(groups, limit, at_least=0):
        for item in items:
            yield number, item


def _thinned(
    groups: list[tuple[int, Spread[Item]]], limit: int, *, at_least: int
) -> list[tuple[int, list[Item]]]:
    shares = share_out([spread.count for _, spread in groups], limit)
    return [
        (number, spread.thin(max(share, at_least)))
        for (number, spread), share in zip(groups, shares, strict=True)
    ]
