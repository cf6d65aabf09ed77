"""What `mirror doctor` prints, and the code it leaves with."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from mirror.cli import doctor as module
from mirror.cli.doctor import doctor
from mirror.cli.shell import register

APP = typer.Typer()
register(APP, doctor)


@pytest.fixture(autouse=True)
def _settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAVANT_DOMAIN", "https://savant.invalid")
    monkeypatch.setenv("SAVANT_USERNAME", "me")
    monkeypatch.setenv("SAVANT_PASSWORD", "canary")


def run(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(APP, list(arguments))
    assert "canary" not in result.output
    return result.exit_code, result.output


def test_a_line_for_each_step_and_the_code_of_the_first_failure(tmp_path: Path) -> None:
    code, output = run("--dest", str(tmp_path), "--export", str(tmp_path / "none.json"))
    assert code == 69
    lines = output.splitlines()
    assert lines[0].startswith("\u2713 configuration")
    assert lines[1].startswith("\u2717 dns")
    assert lines[2].startswith("  "), "the advice stands under its failure"
    assert lines[3].startswith("\u2013 connection")
    assert "\u2717 export" in output


def test_one_json_object(tmp_path: Path) -> None:
    code, output = run("--json", "--dest", str(tmp_path))
    found = json.loads(output)
    assert (code, found["exit_code"], found["outcome"]) == (69, 69, "failed")
    assert [check["name"] for check in found["checks"]] == list(module.examine.__globals__["STEPS"])
    assert set(found["checks"][0]) == {"name", "result", "what", "advice", "exit_code"}


def test_a_wrong_setting_is_the_first_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MIRROR_CONCURRENCY", "none")
    code, output = run()
    assert code == 78
    assert "MIRROR_CONCURRENCY" in output.splitlines()[0]
    assert output.count("\u2013 ") == 6


def test_zero_when_all_is_well(monkeypatch: pytest.MonkeyPatch) -> None:
    async def well(*_: object, **__: object):
        yield module.Check("login", "ok", "fine")
        yield module.Check("disk", "warn", "slow", "buy a faster one")

    monkeypatch.setattr(module, "examine", well)
    assert run() == (
        0,
        "\u2713 login          fine\n! disk           slow\n" + " " * 17 + "buy a faster one\n",
    )
    code, output = run("--json")
    assert code == 0
    assert json.loads(output)["outcome"] == "ok"
