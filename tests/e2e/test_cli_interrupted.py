"""A signal where no event loop listens for it: one sentence, exit code 75, no traceback."""

import signal
from pathlib import Path

import pytest

from tests.e2e.command import Ended, environment, mirror
from tests.e2e.test_cli_bad_input import ACCOUNT, GOOD

SIGNALS = (signal.SIGINT, signal.SIGTERM)
_HOOK = """
import os, sys

def interrupt(event, details):
    if event == os.environ["AT"] and str(details[0]).endswith(os.environ["OF"]):
        os.kill(os.getpid(), int(os.environ["SIGNAL"]))

sys.addaudithook(interrupt)
"""
"""Sends the signal at one certain instant of the process's life."""


async def interrupted(
    place: tuple[str, str], number: signal.Signals, folder: Path, *words: str | Path
) -> Ended:
    """Run `mirror`, and send it a signal as it comes to `place`: an audit event and a name."""
    (folder / "hook").mkdir()
    (folder / "hook" / "sitecustomize.py").write_text(_HOOK)
    hook = {
        "PYTHONPATH": str(folder / "hook"),
        "AT": place[0],
        "OF": place[1],
        "SIGNAL": str(int(number)),
    }
    return await mirror(*words, env=environment() | ACCOUNT | hook)


def check(ended: Ended) -> None:
    assert ended.code == 75, (ended.code, ended.err)
    assert ended.err == "mirror: Interrupted before it was done; run the same command again.\n"
    assert ended.out == ""


@pytest.mark.parametrize("number", SIGNALS)
@pytest.mark.parametrize("words", [("sync", "--dry-run"), ("inspect",)])
async def test_while_an_export_is_read(
    words: tuple[str, ...], number: signal.Signals, tmp_path: Path
) -> None:
    export = tmp_path / "batch.json"
    export.write_text(GOOD)
    rest = ("--dest", tmp_path / "d") if "sync" in words else ()
    check(await interrupted(("open", "batch.json"), number, tmp_path, *words, export, *rest))


@pytest.mark.parametrize("number", SIGNALS)
@pytest.mark.parametrize("module", ["typer", "pydantic", "msgspec", "mirror.sync.run"])
async def test_while_modules_are_imported(
    module: str, number: signal.Signals, tmp_path: Path
) -> None:
    words = ("sync", tmp_path / "none.json", "--dest", tmp_path / "d")
    check(await interrupted(("import", module), number, tmp_path, *words))


@pytest.mark.parametrize("number", SIGNALS)
@pytest.mark.parametrize(
    "words",
    [("watch", "inbox", "--dest", "d"), ("status", "d"), ("doctor",), ("simulate",), ("--help",)],
)
async def test_every_command_at_its_start(
    words: tuple[str, ...], number: signal.Signals, tmp_path: Path
) -> None:
    check(await interrupted(("import", "mirror.cli.shell"), number, tmp_path, *words))


@pytest.mark.parametrize("number", SIGNALS)
async def test_while_doctor_looks(number: signal.Signals, tmp_path: Path) -> None:
    """Its loop has no handlers of its own; what it began at the destination goes away."""
    dest = tmp_path / "d"
    ended = await interrupted(
        ("socket.connect", ">"), number, tmp_path, "doctor", "--dest", dest, "--json"
    )
    check(ended)
    assert not dest.exists() or not any(dest.iterdir())
