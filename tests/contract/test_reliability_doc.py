"""`docs/reliability.md` has every row of the fault table, and names tests that there are."""

import re
from pathlib import Path

import pytest

from tests.faults.conftest import ATTACKS, FAULTS, rows_of

ROOT = Path(__file__).parents[2]
DOCUMENT = (ROOT / "docs/reliability.md").read_text()
_ROW = re.compile(r"^\| (A?\d+) \| (.+) \| (.+) \| `(\w+)::(\w+)` \|$", re.MULTILINE)
ROWS = {found[1]: found for found in _ROW.finditer(DOCUMENT)}


def test_every_row_is_there() -> None:
    wanted = {str(number) for number in FAULTS} | {f"A{number}" for number in ATTACKS}
    assert ROWS.keys() == wanted


@pytest.mark.parametrize("row", ROWS)
def test_its_test_is_there_and_names_the_row(row: str) -> None:
    file, test = ROWS[row][4], ROWS[row][5]
    source = (ROOT / f"tests/faults/{file}.py").read_text()
    assert f"def {test}(" in source
    assert row in rows_of(test)
