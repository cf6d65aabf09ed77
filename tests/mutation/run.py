"""Changes the code in small ways in a copy of the checkout, and sees the tests go red.

Run by `make mutation` in the environment of requirements/mutation.txt. Arguments name mutants
(`mirror.sync.*`); without any, those that have no verdict yet are tried, so that a run that was
stopped goes on. Every mutant meets the quick tests first; only what survives them meets the
integration tests. `--figures` only prints what was found, `--survivors` shows each survivor.
What is changed and which tests are run is in pyproject.toml. Exit 1 where fewer than 80 % were
killed.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections import Counter
from fnmatch import fnmatch
from pathlib import Path

CHECKOUT = Path(__file__).parent.parent.parent
PLACE = CHECKOUT / "build" / "mutation"
COPIED = ("mirror", "tests", "docs", "README.md", "pyproject.toml")
STAGES = ("quick", "whole")
QUICKLY = (
    (', "tests/integration"', ""),
    ('"--timeout=10",', '"--timeout=10", "--ignore-glob=*/test_store_ledger_property*",'),
)
"""What the quick stage changes in pyproject.toml."""
GOAL = 0.8
SURVIVED = {0, 33, 34, 5}
"""mutmut's exit codes of a mutant whose tests passed, or that has none."""


def main(arguments: list[str]) -> int:
    """Run, and print the figures."""
    mutants = [one for one in arguments if not one.startswith("--")]
    if len(mutants) == len(arguments):
        _run("quick", mutants)
        left = [one for one, code in _verdicts("quick").items() if code in SURVIVED]
        done = _verdicts("whole")
        asked = [
            one
            for one in left
            if (any(fnmatch(one, name) for name in mutants) if mutants else done.get(one) is None)
        ]
        for at in range(0, len(asked), 100):
            _run("whole", asked[at : at + 100])
    if "--survivors" in arguments:
        for one in survivors():
            show = [sys.executable, "-m", "mutmut", "show", one]
            subprocess.run(show, cwd=PLACE / "whole", check=True)
    return _tell()


def _run(stage: str, mutants: list[str]) -> None:
    copy = PLACE / stage
    copy.mkdir(parents=True, exist_ok=True)
    for name in COPIED:
        _copy(CHECKOUT / name, copy / name)
    if stage == "quick":
        config = copy / "pyproject.toml"
        text = config.read_text()
        for find, replace in QUICKLY:
            text = text.replace(find, replace)
        config.write_text(text)
    subprocess.run(
        [sys.executable, "-m", "mutmut", "run", "--max-children", "1", *mutants],
        cwd=copy,
        check=True,
    )


def _copy(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.copytree(
            source, target, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__")
        )
    else:
        shutil.copy2(source, target)


def _verdicts(stage: str) -> dict[str, int | None]:
    """The exit code of each mutant's tests; None: not tried."""
    found: dict[str, int | None] = {}
    for path in sorted((PLACE / stage / "mutants").rglob("*.py.meta")):
        found |= json.loads(path.read_text())["exit_code_by_key"]
    return found


def survivors() -> list[str]:
    """Mutants that both stages left alive."""
    whole = _verdicts("whole")
    return [
        one
        for one, code in _verdicts("quick").items()
        if code in SURVIVED and whole.get(one, 0) in SURVIVED
    ]


def _tell() -> int:
    tried = Counter(_module(one) for one, code in _verdicts("quick").items() if code is not None)
    alive = Counter(_module(one) for one in survivors())
    print(f"{'module':28} mutants  killed  survived")
    for module in sorted(tried):
        left = alive[module]
        print(f"{module:28} {tried[module]:7} {tried[module] - left:7} {left:9}")
    total, left = tried.total(), alive.total()
    if not total:
        print("nothing was tried yet")
        return 1
    print(f"{'all':28} {total:7} {total - left:7} {left:9}  ({1 - left / total:.1%} killed)")
    return int(total - left < GOAL * total)


def _module(mutant: str) -> str:
    return mutant.rpartition(".")[0].removeprefix("mirror.").replace(".", "/")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
