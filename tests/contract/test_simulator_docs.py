"""docs/simulator.md says what the simulator does."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal, get_args, get_origin

from mirror.simulator import FaultPlan
from mirror.simulator.catalogue import ACTIONS, Param

DOCUMENT = Path(__file__).parents[2] / "docs" / "simulator.md"


def documented(key: Param) -> str:
    """How a key of an action stands in the table."""
    if get_origin(key.kind) is Literal:
        return f"`{key.name}` = {' '.join(get_args(key.kind))}"
    if key.default is None:
        return f"`{key.name}`"
    default = f"{key.default:g}" if isinstance(key.default, float) else str(key.default)
    return f"`{key.name}` = {default}"


def test_the_table_of_actions_is_the_catalogue() -> None:
    rows = re.findall(
        r"^\| `(\w+)` \| ([a-z ]+) \| (.*) \| (.*) \|$", DOCUMENT.read_text(), re.MULTILINE
    )
    expected = [
        (
            name,
            " ".join(action.hops),
            ", ".join(documented(key) for key in action.params.values()),
            action.summary,
        )
        for name, action in ACTIONS.items()
    ]
    assert rows == expected


def test_the_example_plan_is_a_plan() -> None:
    (text,) = re.findall(r"```toml\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)
    plan = FaultPlan.parse(text)
    assert [fault.action for fault in plan.faults] == ["reset_mid_body", "slow_down", "status"]
