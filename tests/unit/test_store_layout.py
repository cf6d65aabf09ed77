"""Where frames go, and which of them could meet."""

import pytest

from mirror.errors import ConfigurationError, LedgerError
from mirror.frames import FrameRef
from mirror.store import Layout

REF = FrameRef("w1", "r1", "f1")


@pytest.mark.parametrize(
    ("template", "path", "sharing"),
    [
        ("{root_id}/{frame_id}.png", "r1/f1.png", "roots"),
        ("{workspace_id}/{root_id}/{frame_id}.png", "w1/r1/f1.png", "never"),
        ("all/{root_id}-{frame_id}.png", "all/r1-f1.png", "any"),
        ("{workspace_id}/{root_id}{frame_id}", "w1/r1f1", "any"),
    ],
)
def test_a_template_places_frames_and_says_which_may_meet(
    template: str, path: str, sharing: str
) -> None:
    layout = Layout(template)
    assert layout.relative(REF) == path
    assert layout.sharing == sharing


@pytest.mark.parametrize("template", [".mirror/{root_id}{frame_id}", ".{root_id}/{frame_id}.png"])
def test_frames_are_kept_out_of_the_folder_for_state(template: str) -> None:
    """`.{root_id}` would be `.mirror` for a root called 'mirror'."""
    with pytest.raises(ConfigurationError, match="starts with a dot"):
        Layout(template)


@pytest.mark.parametrize(
    "template",
    [
        "a/../../{root_id}/{frame_id}.png",
        "a/./{root_id}/{frame_id}.png",
        "/{root_id}/{frame_id}.png",
        "{root_id}//{frame_id}.png",
        "{root_id.__class__}/{frame_id}.png",
        "{root_id}/{frame_id:>999999999}.png",
        "{root_id}/{frame_id!r}.png",
        "{other}/{frame_id}.png",
        "{root_id/{frame_id}.png",
    ],
)
def test_attack_01_a_template_that_a_planted_ledger_names_is_not_believed(template: str) -> None:
    with pytest.raises(ConfigurationError, match="path template"):
        Layout(template)


@pytest.mark.parametrize("bad", ["..", ".mirror", "../../x", "a/b", "/etc/x", "a\0b", "a/.."])
def test_attack_01_an_id_that_a_planted_ledger_names_leads_nowhere_else(bad: str) -> None:
    with pytest.raises(LedgerError, match=r"outside the destination"):
        Layout().relative(FrameRef("w1", bad, "f1"))


def test_attack_01_nor_does_the_last_part_of_a_path() -> None:
    with pytest.raises(LedgerError, match=r"outside the destination"):
        Layout("{root_id}/{frame_id}").relative(FrameRef("w1", "r1", ".."))
