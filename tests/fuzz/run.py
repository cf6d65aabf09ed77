"""Fuzzes one target with atheris, guided by coverage. `make fuzz` runs every target in turn.

Run as `python tests/fuzz/run.py TARGET [SECONDS] [libFuzzer option…]` in the environment of
requirements/fuzz.txt, from the checkout. New inputs are gathered in build/fuzz/TARGET; a finding
is left in build/fuzz as TARGET-crash-… (or timeout, oom), to be kept in the corpus once mended.
"""

from __future__ import annotations

import sys
from pathlib import Path

import atheris

HERE = Path(__file__).parent
CHECKOUT = HERE.parent.parent
sys.path[:0] = [str(CHECKOUT)]

with atheris.instrument_imports(include=["mirror"]):
    from targets import TARGETS


def main() -> None:
    """Fuzz until the time is over, or something is found."""
    name, seconds, *options = [*sys.argv[1:], "600"][: max(2, len(sys.argv) - 1)]
    gathered = CHECKOUT / "build" / "fuzz" / name
    gathered.mkdir(parents=True, exist_ok=True)
    atheris.Setup(
        [
            sys.argv[0],
            f"-max_total_time={seconds}",
            "-max_len=4096",
            "-timeout=10",
            "-rss_limit_mb=1024",
            "-print_final_stats=1",
            f"-artifact_prefix={gathered.parent}/{name}-",
            *options,
            str(gathered),
            str(HERE / "corpus" / name),
        ],
        TARGETS[name],
    )
    atheris.Fuzz()


main()
