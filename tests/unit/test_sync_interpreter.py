"""What a process does with its memory, tried in a process of its own."""

import subprocess
import sys


def run(code: str) -> str:
    return subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True
    ).stdout


def test_cycles_are_looked_for_seldom_and_not_among_what_was_imported() -> None:
    said = run(
        "import gc; from mirror.sync.interpreter import settle; settle();"
        "print(gc.get_threshold()[0] >= 10_000, gc.get_freeze_count() > 1_000, gc.isenabled())"
    )
    assert said.split() == ["True", "True", "True"]


def test_cycles_are_still_found() -> None:
    said = run(
        "import gc, weakref; from mirror.sync.interpreter import settle; settle()\n"
        "class Node: pass\n"
        "node = Node(); node.me = node; ref = weakref.ref(node); del node\n"
        "kept = [[] for _ in range(200_000)]\n"
        "print(ref() is None)"
    )
    assert said.strip() == "True"


def test_another_c_library_is_left_alone() -> None:
    said = run(
        "import ctypes; ctypes.CDLL = lambda _: object()\n"
        "from mirror.sync.interpreter import settle; settle(); print('settled')"
    )
    assert said.strip() == "settled"
