"""`mirror status`: what it prints, how it exits, and that it only reads."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from store_kit import Store, group, png, store
from typer.testing import CliRunner, Result

from mirror.cli.commands import build_app
from mirror.store import Failure


def status(*arguments: str | Path) -> Result:
    return CliRunner().invoke(build_app(), ["status", *map(str, arguments)])


def as_object(dest: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(status(dest, "--json").stdout)
    return found


@pytest.fixture
def half(tmp_path: Path) -> Iterator[Store]:
    """A run that goes on: one frame mirrored, one failed, one pending."""
    with store(tmp_path / "frames") as one:
        a, b, _ = one.ask(group("a", "b"), group("c", root="r2"))
        one.committer.commit(one.write([a]), [Failure(b, "not_found", "404", 1)])
        one.destination.write_state("report.json", [b'{"outcome": "partial", "exit_code": 1}'])
        yield one


def test_a_run_that_goes_on_is_shown_to_people(half: Store) -> None:
    result = status(half.root)
    assert result.exit_code == 1
    lines = [" ".join(line.split()) for line in result.stdout.splitlines()]
    size = len(png(1))
    assert f"{half.root}: 1 of 3 frames mirrored ({size} B), 1 failed, 1 pending" in lines
    assert any(line.startswith(f"A run is going on: process {os.getpid()} on ") for line in lines)
    assert any(line.startswith("Last run: partial (exit code 1), ended 20") for line in lines)
    assert "r1 1 1 0 2" in lines
    assert "r2 0 0 1 1" in lines
    assert "not_found 1" in lines
    assert any(line.startswith("batch.json 3 1 20") for line in lines)


def test_the_same_for_machines(half: Store) -> None:
    found = as_object(half.root)
    assert found["destination"] == str(half.root)
    assert found["frames"] == {"total": 3, "mirrored": 1, "failed": 1, "pending": 1}
    assert found["bytes"] == len(png(1))
    counted = {"total": 2, "mirrored": 1, "failed": 1, "pending": 0}
    assert found["sequences"][0] == {"workspace_id": "w1", "root_id": "r1", **counted}
    assert [each["root_id"] for each in found["sequences"]] == ["r1", "r2"]
    assert found["failures"] == {"not_found": 1}
    assert found["exports"][0]["frames"] == 3
    assert found["running"] is True
    assert found["run"]["pid"] == os.getpid()
    assert (found["last_run"]["outcome"], found["last_run"]["exit_code"]) == ("partial", 1)


def test_a_run_that_was_killed_is_told_from_one_that_ended(tmp_path: Path) -> None:
    with store(tmp_path) as one:
        one.ask(group("a"))
    assert "by itself" not in status(tmp_path).stdout
    holder = {"pid": 4711, "host": "pod-3", "since": "2026-01-02T03:04:05+00:00"}
    (tmp_path / ".mirror/lock").write_text(json.dumps(holder))
    assert "did not end by itself: process 4711 on pod-3, since 2026-01-02T03:04:05" in (
        status(tmp_path).stdout
    )
    found = as_object(tmp_path)
    assert (found["running"], found["died"]) == (False, holder)


def test_nothing_failed_and_nobody_there(tmp_path: Path) -> None:
    with store(tmp_path) as one:
        one.committer.commit(one.write(one.ask(group("a"))), [])
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    result = status(tmp_path)
    assert result.exit_code == 0
    assert "going on" not in result.stdout
    assert "Last run" not in result.stdout
    found = as_object(tmp_path)
    assert (found["running"], found["run"], found["last_run"]) == (False, None, None)
    assert before == {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}


def test_a_long_list_of_sequences_is_cut_for_people_only(tmp_path: Path) -> None:
    with store(tmp_path) as one:
        one.ask(*(group("a", root=f"r{n}") for n in range(23)))
    result = status(tmp_path)
    assert "r19" in result.stdout
    assert "r20" not in result.stdout
    assert "and 3 more; --json lists all" in result.stdout
    assert len(as_object(tmp_path)["sequences"]) == 23


@pytest.mark.parametrize("where", ["nowhere", "file"])
def test_no_ledger_is_said_in_one_sentence(tmp_path: Path, where: str) -> None:
    (tmp_path / "file").write_text("mine")
    result = status(tmp_path / where)
    assert result.exit_code == 74
    assert "holds no ledger" in result.stderr
    assert result.stdout == ""
    assert not (tmp_path / "nowhere").exists()


def test_an_unreadable_report_is_no_last_run(half: Store) -> None:
    half.destination.write_state("report.json", [b'{"outcome": '])
    assert as_object(half.root)["last_run"] is None


def test_on_a_terminal_the_tables_say_the_same(
    half: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "100")
    text = status(half.root).stdout
    assert "\x1b[" in text
    assert all(word in text for word in ("r1", "r2", "not_found", "batch.json", "pending"))
