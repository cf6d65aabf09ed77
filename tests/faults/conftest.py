"""Says at the end, row by row of the fault table, what ran, passed and was skipped.

A test names its rows: `test_fault_18_reset_mid_body`, `test_attack_04_names_too_long`.
"""

from __future__ import annotations

import re
from collections import defaultdict

import pytest

FAULTS, ATTACKS = range(1, 62), range(1, 29)
ENDS = ("kills", "cuts")
"""Properties of tests: how often a run was seen killed, and its power cut."""
_ROWS = re.compile(r"test_(fault|attack)((?:_\d+)+)_")


def rows_of(name: str) -> set[str]:
    """The rows that a test's name names: '18', 'A4'."""
    found = _ROWS.search(name)
    if found is None:
        return set()
    prefix = "A" if found[1] == "attack" else ""
    return {f"{prefix}{int(number)}" for number in found[2].strip("_").split("_")}


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    outcomes: dict[str, set[str]] = defaultdict(set)
    skips: dict[str, str] = {}
    tests: dict[str, int] = defaultdict(int)
    ends: dict[str, int] = {}
    for outcome in ("passed", "failed", "error", "skipped"):
        for report in terminalreporter.stats.get(outcome, []):
            if not report.nodeid.startswith("tests/faults/"):
                continue
            tests[outcome] += 1
            _add(ends, report.user_properties)
            for row in rows_of(report.nodeid):
                outcomes[row].add(outcome)
                if outcome == "skipped":
                    skips[row] = str(report.longrepr[2] if report.longrepr else "")
    if not tests:
        return
    terminalreporter.section("faults and attacks")
    for word, wanted in (
        ("faults", [str(number) for number in FAULTS]),
        ("attacks", [f"A{number}" for number in ATTACKS]),
    ):
        terminalreporter.line(_line(word, wanted, outcomes))
    for row, why in sorted(skips.items()):
        terminalreporter.line(f"  row {row} skipped: {why}")
    terminalreporter.line(
        "tests: "
        + ", ".join(f"{number} {what}" for what, number in (*sorted(tests.items()), *ends.items()))
    )


def _add(ends: dict[str, int], properties: list[tuple[str, object]]) -> None:
    for name, number in properties:
        if name in ENDS and isinstance(number, int):
            ends[name] = ends.get(name, 0) + number


def _line(word: str, wanted: list[str], outcomes: dict[str, set[str]]) -> str:
    ran = [row for row in wanted if outcomes[row] & {"passed", "failed", "error"}]
    failed = [row for row in wanted if outcomes[row] & {"failed", "error"}]
    skipped = [row for row in wanted if outcomes[row] == {"skipped"}]
    absent = [row for row in wanted if not outcomes[row]]
    line = (
        f"{word}: {len(wanted)} rows, {len(ran)} ran, {len(ran) - len(failed)} passed,"
        f" {len(failed)} failed, {len(skipped)} skipped"
    )
    for what, which in (("failed", failed), ("without a test", absent)):
        if which:
            line += f"; {what}: {', '.join(which)}"
    return line
