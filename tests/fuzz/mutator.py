"""Inputs made from others by chance: a small stand-in for the fuzzer, for the tests."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from random import Random

_TOKENS = (b'"', b"{", b"]", b"null", b"\xff", b"\\u0000", b"1e999", b"\r\n\r\n", b"://", b"\0\0")
_LONGEST = 4096


def mutations(corpus: Sequence[bytes], seed: int, count: int) -> Iterator[bytes]:
    """`count` inputs; the same `seed` gives the same ones."""
    dice = Random(seed)
    for _ in range(count):
        data = bytearray(dice.choice(corpus))
        for _ in range(dice.randint(1, 4)):
            dice.choice((_flip, _cut, _repeat, _insert, _splice))(data, dice, corpus)
        yield bytes(data[:_LONGEST])


def _flip(data: bytearray, dice: Random, _: Sequence[bytes]) -> None:
    if data:
        data[dice.randrange(len(data))] ^= 1 << dice.randrange(8)


def _cut(data: bytearray, dice: Random, _: Sequence[bytes]) -> None:
    at = dice.randrange(len(data) + 1)
    del data[at : at + dice.randint(1, 16)]


def _repeat(data: bytearray, dice: Random, _: Sequence[bytes]) -> None:
    at, to = (dice.randrange(len(data) + 1) for _ in range(2))
    data[to:to] = data[at : at + dice.randint(1, 64)]


def _insert(data: bytearray, dice: Random, _: Sequence[bytes]) -> None:
    at = dice.randrange(len(data) + 1)
    data[at:at] = dice.choice((*_TOKENS, dice.randbytes(4)))


def _splice(data: bytearray, dice: Random, corpus: Sequence[bytes]) -> None:
    other = dice.choice(corpus)
    data[dice.randrange(len(data) + 1) :] = other[dice.randrange(len(other) + 1) :]
