"""Plans that are files."""

from __future__ import annotations

from pathlib import Path

import pytest

from mirror.simulator import Fault, FaultPlan, PlanError


def test_a_plan_is_loaded_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "plan.toml"
    path.write_text('[[fault]]\naction = "hang"\nframes = ["é*"]\n', encoding="utf-8")
    assert FaultPlan.load(path) == FaultPlan([Fault("hang", frames=["é*"])])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "can't be read: No such file"),
        (b"\xff", "is not UTF-8 text"),
        (b"[[fault]]\naction = 'x'", "rule 1 .x.: 'x' is no action"),
    ],
)
def test_a_file_that_is_no_plan_is_named(
    tmp_path: Path, content: bytes | None, message: str
) -> None:
    path = tmp_path / "plan.toml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(PlanError, match=f"plan.toml: {message}"):
        FaultPlan.load(path)
