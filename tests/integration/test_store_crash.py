"""SIGKILL between any two steps: what is found afterwards, and that the next run completes it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from store_kit import files, names, png, record, store

from mirror.store import LedgerReader, Step, check_png

RUN = """
import os, sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from store_kit import body, group, store
from mirror.store import Step

step, left = Step(sys.argv[3]), int(sys.argv[4])

def reached(what):
    global left
    if what is step:
        left -= 1
        if not left:
            os.kill(os.getpid(), 9)

with store(Path(sys.argv[1])) as one:
    frames = one.ask(group("a", "b", "c"), group("d", "e", "f", root="r2"))
    one.destination.reached = reached
    writer, committer = one.writer, one.committer
    absent = writer.adopt(frames).absent
    for part in (absent[:2], absent[2:]):
        written = writer.write([body(frame) for frame in part])
        (one.root / "r2").mkdir(exist_ok=True)
        if part[-1] is absent[-1]:
            (one.root / "r2/e.png").write_bytes(b"appeared meanwhile")
        committer.commit(written, [])
print("survived")
"""

OFTEN = {
    Step.MOVED_ASIDE: 2,  # one at adoption, one at the commit
    Step.SET_ASIDE: 2,
    Step.TEMPORARY_CREATED: 4,
    Step.TEMPORARY_WRITTEN: 4,
    Step.FILE_SYNCED: 4,
    Step.FILES_SYNCED: 2,
    Step.CHECKED: 4,
    Step.RENAMED: 4,
    Step.DIRECTORY_SYNCED: 4,
    Step.DIRECTORIES_SYNCED: 2,
    Step.RECORDING: 2,
    Step.RECORDED: 2,
}
"""The steps of the store alone, and how often each is reached at least."""
POINTS = [(step, count) for step, most in OFTEN.items() for count in (1, 2, 4) if count <= most]


@pytest.mark.parametrize(("step", "count"), POINTS)
def test_fault_39_a_kill_at_any_step_keeps_the_promises(
    tmp_path: Path, step: Step, count: int
) -> None:
    root = tmp_path / "dest"
    (root / "r1").mkdir(parents=True)
    (root / "r1/a.png").write_bytes(b"mine")
    kit = str(Path(__file__).parent)
    run = subprocess.run(
        [sys.executable, "-c", RUN, str(root), kit, step, str(count)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == -9, run.stdout + run.stderr

    # what was there is still somewhere, byte for byte
    kept = [path for path in root.rglob("a.png*") if path.read_bytes() == b"mine"]
    assert len(kept) == 1
    # every final name holds a whole frame, but for what was not mirror's
    foreign = {b"mine", b"appeared meanwhile"}
    there = set()
    for name in files(root):
        content = (root / name).read_bytes()
        if content not in foreign:
            check_png([content], 1000)
            there.add(name)
    # every recorded frame is there
    with LedgerReader.open(root) as reader:
        recorded = {
            f"{root_id}/{frame_id}.png"
            for root_id in ("r1", "r2")
            for frame_id, (state, _) in reader.states("w1", root_id).items()
            if state == 1
        }
    assert recorded <= there
    if step is Step.RECORDED:
        assert len(recorded) == (2 if count == 1 else 6)

    with store(root) as one:
        assert one.ledger.recovered is None
        assert one.temporaries() == []
        one.ledger.ask_exports([record().sha256], None)
        assert one.ledger.counts().mirrored == len(recorded)
        assert list(one.ledger.missing()) == []
        adopted = one.writer.adopt(one.ledger.pending(0, 10))
        # at most the group and what was in flight is fetched again
        assert len(adopted.written) == len(there) - len(recorded)
        one.committer.commit(adopted.written, [])
        one.committer.commit(one.write(adopted.absent), [])
        counts = one.ledger.counts()
        assert (counts.total, counts.mirrored) == (6, 6)
    assert {(root / name).read_bytes() for name in files(root)} == {png(n) for n in range(1, 7)}
    assert names(root / ".mirror/tmp") == []
    aside = root / ".mirror/set-aside"
    assert (aside / "r1/a.png.1").read_bytes() == b"mine"


def test_without_a_kill_the_same_run_survives(tmp_path: Path) -> None:
    """So that the test above kills for the reason it names."""
    kit = str(Path(__file__).parent)
    run = subprocess.run(
        [sys.executable, "-c", RUN, str(tmp_path), kit, Step.RECORDED, "99"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.stdout == "survived\n", run.stderr
