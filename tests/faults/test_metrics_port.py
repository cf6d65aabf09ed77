"""A metrics port that somebody else has."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest

from tests.e2e.command import environment, finish
from tests.faults.disk_kit import running
from tests.faults.kit import promises, site


@pytest.mark.parametrize("form", ["text", "json"])
async def test_fault_61_a_taken_metrics_port_is_one_warning_and_the_work_is_done(
    tmp_path: Path, form: str
) -> None:
    async with site(tmp_path) as one:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = str(taken.getsockname()[1])
            words = ("sync", one.export, "--dest", one.dest, "--json", "--log-format", form)
            env = environment(one.simulator)
            async with running(*words, "--metrics-port", port, env=env) as process:
                ended = await finish(process)
        assert ended.code == 0, ended.err
        assert json.loads(ended.out)["outcome"] == "complete"
        (warning,) = [line for line in ended.err.splitlines() if port in line]
        assert "goes on without" in warning
        assert "warning" in warning
        promises(one.dest, one.dataset)
