"""The kept corpus, and some mutations of it, against every target."""

from __future__ import annotations

import time
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest
import wires
from mutator import mutations
from targets import TARGETS

CORPUS = Path(__file__).parent / "corpus"
MUTATIONS = {"export": 5000, "png": 6000, "api": 8000, "store": 12000, "wire": 200, "ledger": 80}
LONGEST = 10.0
"""Seconds for one input: what takes milliseconds by itself may wait for a busy machine."""
MEMORY = 8 * 1024**2


@pytest.fixture(autouse=True, scope="module")
def _site() -> Iterator[None]:
    yield
    wires.close()


def corpus(name: str) -> list[bytes]:
    return [path.read_bytes() for path in sorted((CORPUS / name).iterdir())]


def run(name: str, data: bytes) -> None:
    since = time.monotonic()
    try:
        TARGETS[name](data)
    except Exception as error:
        raise AssertionError(f"{name}: {data!r}") from error
    assert time.monotonic() - since < LONGEST


@pytest.mark.parametrize("name", TARGETS)
def test_every_kept_input_keeps_the_promises_in_bounded_memory(name: str) -> None:
    inputs = corpus(name)
    assert inputs
    run(name, inputs[0])  # opens what is opened once
    tracemalloc.start()
    try:
        for data in inputs:
            tracemalloc.reset_peak()
            before, _ = tracemalloc.get_traced_memory()
            run(name, data)
            _, peak = tracemalloc.get_traced_memory()
            assert peak - before < MEMORY + 100 * len(data), data
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("name", TARGETS)
def test_mutations_of_the_corpus_keep_the_promises(name: str) -> None:
    for data in mutations(corpus(name), seed=0, count=MUTATIONS[name]):
        run(name, data)


def test_the_corpus_stays_small() -> None:
    sizes = [path.stat().st_size for path in CORPUS.rglob("*") if path.is_file()]
    assert len(sizes) < 300
    assert sum(sizes) < 1024**2
