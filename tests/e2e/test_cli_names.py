"""Names that are not UTF-8: refused in a sentence, never an internal error."""

from pathlib import Path

import pytest

from tests.e2e.command import environment, mirror
from tests.e2e.test_cli_bad_input import ACCOUNT, GOOD, check

ODD = "x\udcff"
"""The byte 0xff as Python holds it in a path."""


@pytest.mark.parametrize("words", [("sync",), ("sync", "--dry-run"), ("sync", "--json")])
async def test_an_export_s_name_that_is_not_utf8_is_65(
    words: tuple[str, ...], tmp_path: Path
) -> None:
    export = tmp_path / f"{ODD}.json"
    export.write_text(GOOD)
    dest = tmp_path / "d"
    ended = await mirror(*words, export, "--dest", dest, env=environment() | ACCOUNT)
    check(65, ended.code, ended.err)
    assert "its name is not UTF-8; rename it" in ended.err
    assert "x\\udcff.json" in ended.err
    assert not dest.exists()


async def test_inspect_refuses_it_too(tmp_path: Path) -> None:
    export = tmp_path / f"{ODD}.json"
    export.write_text(GOOD)
    ended = await mirror("inspect", export, "--log-format", "json")
    check(65, ended.code, ended.err)


@pytest.mark.parametrize(
    "words",
    [
        ("sync", "batch.json", "--dest", ODD),
        ("sync", "batch.json", "--dest", ODD, "--dry-run"),
        ("watch", "inbox", "--dest", ODD),
        ("status", ODD),
        ("doctor", "--dest", ODD),
        ("demo", "--dest", ODD),
        ("simulate", "--export", ODD),
    ],
)
async def test_a_destination_s_name_that_is_not_utf8_is_a_wrong_command_line(
    words: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    ended = await mirror(*words, env=environment() | ACCOUNT)
    check(2, ended.code, ended.err)
    assert "UTF-8" in ended.err


@pytest.mark.parametrize(
    "words", [("watch", "inbox", "--dest", ""), ("status", ""), ("demo", "--dest", " ")]
)
async def test_an_empty_destination_is_a_wrong_command_line(
    words: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    ended = await mirror(*words, env=environment() | ACCOUNT)
    check(2, ended.code, ended.err)
    assert "empty" in ended.err
