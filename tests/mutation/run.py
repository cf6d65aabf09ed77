"""Changes the code in small ways in a copy of the checkout, and sees the tests go red.

Run by `make mutation` in the environment of requirements/mutation.txt. Arguments name mutants
(`mirror.sync.*`); without any, those that have no verdict yet are tried, so that a run that was
stopped goes on. `--figures` only prints what was found. What is changed and which tests are run is
in pyproject.toml. Exit 1 where fewer than 80 % were killed.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

CHECKOUT = Path(__file__).parent.parent.parent
COPY = CHECKOUT / "build" / "mutation"
COPIED = ("mirror", "tests", "docs", "README.md", "pyproject.toml")
GOAL = 0.8
# mutmut's exit codes of a mutant's tests
_SURVIVED = {0, 33, 34, 5}
"""The tests passed, or there was none."""


def main(mutants: list[str]) -> int:
    """Run, and print the figures."""
    if "--figures" not in mutants:
        COPY.mkdir(parents=True, exist_ok=True)
        for name in COPIED:
            _copy(CHECKOUT / name, COPY / name)
        subprocess.run(
            [sys.executable, "-m", "mutmut", "run", "--max-children", "1", *mutants],
            cwd=COPY,
            check=True,
        )
    return _tell()


def _copy(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.copytree(
            source, target, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__")
        )
    else:
        shutil.copy2(source, target)


def _tell() -> int:
    tried = killed = 0
    print(f"{'module':28} mutants  killed  survived")
    for path in sorted((COPY / "mutants").rglob("*.py.meta")):
        codes = json.loads(path.read_text())["exit_code_by_key"].values()
        verdicts = Counter(code in _SURVIVED for code in codes if code is not None)
        if verdicts:
            module = str(path.relative_to(COPY / "mutants" / "mirror")).removesuffix(".py.meta")
            print(f"{module:28} {verdicts.total():7} {verdicts[False]:7} {verdicts[True]:9}")
            tried += verdicts.total()
            killed += verdicts[False]
    if not tried:
        print("nothing was tried yet")
        return 1
    print(f"{'all':28} {tried:7} {killed:7} {tried - killed:9}  ({killed / tried:.1%} killed)")
    return int(killed < GOAL * tried)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
