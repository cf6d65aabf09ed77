"""Bad input: its exit code, a sentence, nothing written, no traceback."""

import json
from pathlib import Path

import pytest

from tests.e2e.command import environment, mirror

GOOD = '{"sequences":[{"rootId":"r","workspaceId":"w","featureSet":[{"id":"f"}]}]}'
ACCOUNT = {
    "SAVANT_DOMAIN": "http://127.0.0.1:9",
    "SAVANT_USERNAME": "u",
    "SAVANT_PASSWORD": "p",
}


def check(code: int, ended_code: int, err: str) -> None:
    assert ended_code == code, err
    assert "Traceback" not in err
    assert err.strip()


@pytest.mark.parametrize(
    "words",
    [
        ("sync",),
        ("sync", "batch.json"),
        ("sync", "batch.json", "--dest", "d", "--no-such-option"),
        ("sync", "batch.json", "--dest", "d", "--limit", "0"),
        ("no-such-command",),
        ("status",),
        ("inspect",),
    ],
)
async def test_a_wrong_command_line_is_2(words: tuple[str, ...]) -> None:
    ended = await mirror(*words)
    check(2, ended.code, ended.err)


@pytest.mark.parametrize(
    ("content", "place"),
    [
        (None, "batch.json"),
        ("", "empty"),
        (GOOD[:50], "byte"),
        ("not JSON", "byte"),
        ("[]", "batch.json"),
        ('{"sequences": null}', "sequences"),
        (GOOD.replace('"id":"f"', '"id":"../f"'), "frame"),
        (GOOD.replace('"r"', '"a/b"'), "sequence"),
        (GOOD.replace('"id":"f"', '"id":7'), "frame"),
    ],
)
async def test_an_export_that_cant_be_read_is_65(
    content: str | None, place: str, tmp_path: Path
) -> None:
    export, dest = tmp_path / "batch.json", tmp_path / "frames"
    if content is not None:
        export.write_text(content)
    words = ("sync", export, "--dest", dest, "--json")
    ended = await mirror(*words, env=environment() | ACCOUNT)
    check(65, ended.code, ended.err)
    assert place in ended.err
    report = json.loads(ended.out)
    assert (report["outcome"], report["exit_code"]) == ("failed", 65)
    assert not dest.exists()


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"SAVANT_USERNAME": ""}, "SAVANT_USERNAME"),
        ({"SAVANT_PASSWORD": ""}, "SAVANT_PASSWORD"),
        ({"SAVANT_DOMAIN": "http://example.com"}, "SAVANT_DOMAIN"),
        ({"MIRROR_CONCURRENCY": "many"}, "MIRROR_CONCURRENCY"),
        ({"SAVANT_PASSWORD_FILE": "/run/x"}, "password_file"),
    ],
)
async def test_a_wrong_setting_is_78_and_named(
    change: dict[str, str], named: str, tmp_path: Path
) -> None:
    export, dest = tmp_path / "batch.json", tmp_path / "frames"
    export.write_text(GOOD)
    ended = await mirror("sync", export, "--dest", dest, env=environment() | ACCOUNT | change)
    check(78, ended.code, ended.err)
    assert named in ended.err
    assert not dest.exists()


async def test_a_destination_that_is_a_file_is_74(tmp_path: Path) -> None:
    export, dest = tmp_path / "batch.json", tmp_path / "frames"
    export.write_text(GOOD)
    dest.write_text("mine")
    ended = await mirror("sync", export, "--dest", dest, env=environment() | ACCOUNT)
    check(74, ended.code, ended.err)
    assert dest.read_text() == "mine"


async def test_debug_shows_the_traceback(tmp_path: Path) -> None:
    words = ("sync", tmp_path / "none.json", "--dest", tmp_path / "d", "--debug")
    ended = await mirror(*words, env=environment() | ACCOUNT)
    assert ended.code == 65
    assert "Traceback" in ended.err


@pytest.mark.parametrize("words", [["status"], ["verify"], ["purge", "--sequence", "x"]])
async def test_a_path_that_no_file_can_have_is_told_in_a_sentence(words: list[str]) -> None:
    ended = await mirror(*words, "a" * 5000, env=environment())
    assert ended.code == 74, ended.err
    assert "Internal error" not in ended.err
    assert "name too long" in ended.err
