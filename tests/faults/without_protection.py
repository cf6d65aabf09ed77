"""Takes protections out of a copy of the checkout, one at a time, and sees the tests go red.

`protections/*.toml` lists them: the row, the file, what is replaced by what, and the tests that
must then fail. Run as `python -m tests.faults.without_protection [ROW…]`; exit 1 when a test stayed
green.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
CHECKOUT = HERE.parent.parent


@dataclass(frozen=True)
class Experiment:
    """One protection. `find` occurs once in `file`; `replace` takes its place."""

    row: str
    what: str
    file: str
    find: str
    replace: str
    tests: list[str]


def experiments() -> list[Experiment]:
    """All that are listed, in the order of their rows."""
    found = [
        Experiment(**entry)
        for path in sorted(HERE.glob("protections/*.toml"))
        for entry in tomllib.loads(path.read_text())["protection"]
    ]
    return sorted(found, key=lambda one: (one.row.startswith("A"), int(one.row.lstrip("A"))))


def red(experiment: Experiment, copy: Path) -> bool:
    """Whether every named test fails without the protection."""
    path = copy / experiment.file
    whole = path.read_text()
    if whole.count(experiment.find) != 1:
        sys.exit(f"row {experiment.row}: not once in {experiment.file}: {experiment.find!r}")
    path.write_text(whole.replace(experiment.find, experiment.replace))
    try:
        return all(_fails(test, copy) for test in experiment.tests)
    finally:
        path.write_text(whole)


def _fails(test: str, copy: Path) -> bool:
    options = ["-x", "-p", "no:cacheprovider", "-m", "long or not long"]
    ended = subprocess.run(
        [sys.executable, "-m", "pytest", *options, test],
        cwd=copy,
        env={**os.environ, "PYTHONPATH": str(copy), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    if ended.returncode not in {0, 1}:
        sys.exit(f"{test} did not run:\n{ended.stdout}{ended.stderr}")
    return ended.returncode == 1


def main(rows: list[str]) -> int:
    """Run the experiments; how many stayed green."""
    green = 0
    chosen = [one for one in experiments() if not rows or one.row in rows]
    with tempfile.TemporaryDirectory(prefix="without-protection-") as folder:
        copy = Path(folder)
        for name in ("mirror", "tests"):
            shutil.copytree(CHECKOUT / name, copy / name)
        for name in ("pyproject.toml", "docs", "config", "deploy", "requirements"):
            (copy / name).symlink_to(CHECKOUT / name)
        for one in chosen:
            went_red = red(one, copy)
            green += not went_red
            print(
                f"row {one.row:>4}  {'red' if went_red else 'GREEN'}  without {one.what}",
                flush=True,
            )
    print(
        f"{len(chosen)} protections of {len({one.row for one in chosen})} rows taken out:"
        f" {len(chosen) - green} seen red, {green} green"
    )
    return 1 if green else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
