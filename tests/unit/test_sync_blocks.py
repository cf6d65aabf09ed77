"""Memory for large bodies: what fits, what is used again, and how much of it there is."""

from __future__ import annotations

import asyncio
import ctypes
from mmap import PAGESIZE, mmap

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from mirror.sync import budget
from mirror.sync.budget import Blocks, ByteBudget

KIB = 1024
MIB = 1024 * KIB


def test_a_block_begins_at_a_page_and_has_room() -> None:
    blocks = Blocks(64 * MIB)
    for size in (1, 512 * KIB, 512 * KIB + 1, 3_300_000):
        block = blocks.take(size)
        assert len(block) >= size
        view = ctypes.c_char.from_buffer(block)
        assert ctypes.addressof(view) % PAGESIZE == 0
        del view
        block[size - 1] = 1


def test_a_block_is_used_again_where_it_fits() -> None:
    blocks = Blocks(64 * MIB)
    block = blocks.take(3 * MIB)
    blocks.give(block)
    assert blocks.take(3 * MIB - 1000) is block
    blocks.give(block)
    assert blocks.take(MIB) is not block, "most of it would lie idle"
    assert blocks.take(4 * MIB) is not block, "it is too small"
    assert blocks.take(3 * MIB) is block
    assert "free" in repr(blocks)


def test_of_those_that_fit_the_smallest_is_taken() -> None:
    blocks = Blocks(64 * MIB)
    large, small = blocks.take(15 * 64 * KIB), blocks.take(13 * 64 * KIB)
    blocks.give(large)
    blocks.give(small)
    assert blocks.take(12 * 64 * KIB) is small


def test_a_block_in_use_is_nobody_elses() -> None:
    blocks = Blocks(64 * MIB)
    first = blocks.take(MIB)
    assert blocks.take(MIB) is not first


def test_what_is_free_makes_room_for_what_fits() -> None:
    blocks = Blocks(4 * MIB)
    small = [blocks.take(MIB) for _ in range(4)]
    for block in small:
        blocks.give(block)
    blocks.take(3 * MIB)
    assert sum(block.closed for block in small) == 3
    assert "4194304 bytes, 1 free" in repr(blocks)


def test_what_is_too_much_goes_when_it_is_given_back() -> None:
    """Sizes are rounded up, so that blocks can be more than the bytes that are reserved."""
    blocks = Blocks(MIB)
    taken = [blocks.take(512 * KIB + 1) for _ in range(2)]
    for block in taken:
        blocks.give(block)
    assert [block.closed for block in taken] == [True, False]


def test_a_block_that_somebody_still_looks_at_goes_without_an_error() -> None:
    """As a traceback does, that of the very error for which it is given back."""
    blocks = Blocks(MIB)
    block = blocks.take(2 * MIB)
    with memoryview(block):
        blocks.give(block)
    assert repr(blocks) == "<Blocks 0 bytes, 0 free>"


def test_memory_that_is_refused_is_not_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    blocks = Blocks(4 * MIB)

    def refuse(*_: object, **__: object) -> mmap:
        raise OSError(12, "Cannot allocate memory")

    with monkeypatch.context() as patch:
        patch.setattr(budget, "mmap", refuse)
        with pytest.raises(OSError, match="memory"):
            blocks.take(MIB)
    assert repr(blocks).startswith("<Blocks 0 bytes")


def test_a_budget_has_blocks_of_its_capacity() -> None:
    free = ByteBudget(2 * MIB).blocks
    taken = [free.take(MIB) for _ in range(3)]
    for block in taken:
        free.give(block)
    assert "2097152 bytes, 2 free" in repr(free)


class Taking(RuleBasedStateMachine):
    """Takes and gives in any order; reserved are the sizes that were asked for."""

    capacity = 8 * MIB

    def __init__(self) -> None:
        super().__init__()
        self.blocks = Blocks(self.capacity)
        self.taken: list[tuple[mmap, int, int]] = []
        self.mark = 0

    @property
    def reserved(self) -> int:
        return sum(size for _, size, _ in self.taken)

    @rule(size=st.integers(512 * KIB, 4 * MIB))
    def take(self, size: int) -> None:
        if self.reserved + size > self.capacity:
            return
        block = self.blocks.take(size)
        assert size <= len(block) <= size + size // 2
        self.mark += 1
        block[0:8] = self.mark.to_bytes(8, "big")
        self.taken.append((block, size, self.mark))

    @precondition(lambda self: self.taken)
    @rule(which=st.integers(0, 100))
    def give(self, which: int) -> None:
        block, _, mark = self.taken.pop(which % len(self.taken))
        assert block[0:8] == mark.to_bytes(8, "big"), "somebody else wrote into it"
        self.blocks.give(block)

    @invariant()
    def counted(self) -> None:
        used = sum(len(block) for block, _, _ in self.taken)
        held, free = self.blocks._held, sum(map(len, self.blocks._free))
        assert held == used + free
        assert not {id(block) for block, _, _ in self.taken} & set(map(id, self.blocks._free))
        assert free <= self.capacity
        assert held <= max(self.capacity, used), "nothing is kept beyond the capacity"

    def teardown(self) -> None:
        for block, _, _ in self.taken:
            self.blocks.give(block)
        assert self.blocks._held <= self.capacity
        assert self.blocks._held == sum(map(len, self.blocks._free))


TestTaking = Taking.TestCase


async def test_free_blocks_make_room_for_other_bodies() -> None:
    """Small bodies have no blocks: what is kept for large ones is not kept beside them."""
    memory = ByteBudget(8 * MIB)
    for block in [memory.blocks.take(MIB) for _ in range(8)]:
        memory.blocks.give(block)
    reserved = 0
    for _ in range(32):
        reserved += await memory.reserve(256 * KIB)
        assert memory.blocks._held + reserved <= 8 * MIB + 256 * KIB
    memory.release(reserved)


async def test_free_blocks_make_room_for_bodies_that_waited() -> None:
    memory = ByteBudget(2 * MIB)
    blocks = [memory.blocks.take(MIB) for _ in range(2)]
    reserved = await memory.reserve(2 * MIB)
    waiting = [asyncio.create_task(memory.reserve(512 * KIB)) for _ in range(4)]
    await asyncio.sleep(0)
    for block in blocks:
        memory.blocks.give(block)
    memory.release(reserved)
    await asyncio.gather(*waiting)
    assert memory.blocks._held <= MIB


async def test_a_body_that_reserves_the_last_bytes_still_finds_its_block() -> None:
    memory = ByteBudget(2 * MIB)
    blocks = [memory.blocks.take(MIB) for _ in range(2)]
    for block in blocks:
        memory.blocks.give(block)
    for _ in range(2):
        await memory.reserve(MIB)
        assert memory.blocks.take(MIB) in blocks
