"""What the report of the last run says, and what is no report."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from store_kit import descriptors

from mirror.store.summary import LastRun, last_run


@pytest.fixture
def report(tmp_path: Path) -> Path:
    (tmp_path / ".mirror").mkdir()
    return tmp_path / ".mirror/report.json"


def test_the_last_run_is_what_its_report_says_and_its_end_the_reports_time(
    tmp_path: Path, report: Path
) -> None:
    report.write_text(json.dumps({"outcome": "partial", "exit_code": 3, "more": "\u00e9"}))
    os.utime(report, (0, 1_700_000_000))
    assert last_run(tmp_path) == LastRun("partial", 3, "2023-11-14T22:13:20+00:00")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"\xff\xfe\xfd",
        b"[]",
        b"{}",
        b'{"outcome": "ok"}',
        b'{"outcome": "ok", "exit_code": null}',
        b'{"outcome": "ok", "exit_code": "x"}',
        b"[" * 200_000,
    ],
)
def test_a_report_that_says_nothing_is_none(tmp_path: Path, report: Path, content: bytes) -> None:
    report.write_bytes(content)
    before = descriptors()
    assert last_run(tmp_path) is None
    assert descriptors() == before


def test_what_is_no_file_is_no_report(tmp_path: Path, report: Path) -> None:
    assert last_run(tmp_path) is None
    os.mkfifo(report)
    assert last_run(tmp_path) is None
