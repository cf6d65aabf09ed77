"""Any history of a destination: runs, faults, kills, stops, edits, damage, repairs, purges, losses.

Hypothesis makes the histories up, from fixed seeds; `machine_model.py` says what must come of each
step, and what must be true after all of them. A failure names its seed, which is replayed and made
shorter (that takes minutes) by

    MIRROR_MACHINE_SEED=7 python -m pytest tests/faults/test_machine.py

with MIRROR_MACHINE_HISTORIES and MIRROR_MACHINE_STEPS for more or longer ones, of any seed. What a
step leaves that was cut short depends on the scheduler, so a failure may need several replays.
"""

from __future__ import annotations

import asyncio
import json
import os
import tempfile
from collections import Counter
from contextlib import ExitStack
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any, ClassVar
from unittest.mock import patch
from urllib.parse import parse_qs, unquote, urlsplit

import msgspec
import pytest
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    rule,
    run_state_machine_as_test,
)

from mirror.errors import DestinationError, InterruptedRunError, LedgerError, UsageError
from mirror.events import Event, Events, RunFinished
from mirror.export import Selection
from mirror.frames import FrameRef
from mirror.settings import Settings
from mirror.sources import load_settings
from mirror.store import (
    Destination,
    Layout,
    LedgerReader,
    Purge,
    PurgeTarget,
    Step,
    audit_of,
    by_content,
    by_size,
    find_target,
    unfinished,
)
from mirror.sync.rehearsal import rehearse
from mirror.sync.repair import repair_destination, verify_destination
from mirror.sync.report import RunReport
from mirror.sync.request import SyncRequest
from mirror.sync.run import run_sync
from mirror.sync.stop import Stop
from tests.e2e.command import environment
from tests.faults import machine_child
from tests.faults.crash_kit import KILLED, _fork
from tests.faults.kit import QUICK
from tests.faults.machine_kit import (
    HARM,
    PERMANENT,
    TRANSIENT,
    Platform,
    Seen,
    about,
    harm_ledger,
    look,
    write_export,
)
from tests.faults.machine_model import NOBODY, Model, Plan, Request, Target, same, within
from tests.integration.sync_kit import png

HISTORIES, STEPS = 12, 60
SEEDS, EACH = range(1, 17), 630
"""What `make faults` takes: more than 10,000 steps, so many in each test."""
MANNERS: dict[str, Any] = QUICK | {"concurrency": 4, "commit_seconds": 0.02, "backoff_base": 0.002}
TEMPLATES = ("{root_id}/{frame_id}.png", "{workspace_id}/x-{root_id}/{frame_id}.png")
SPOILED = ("gone", "cut", "flipped", "other", "larger", "note", "empty", "old")
NUMBER = st.integers(0, 30)
STEP = st.one_of(st.none(), st.none(), st.sampled_from(list(Step)))
"""At which a process is killed; None: at any."""
LIMIT = st.one_of(st.none(), st.none(), st.integers(1, 6))
SHM = Path("/dev/shm")

_fork.set_forkserver_preload([machine_child.__name__, "pytest"])


class MirrorMachine(RuleBasedStateMachine):
    """One platform, two exports, one destination."""

    counts: ClassVar[Counter[str]]

    def __init__(self) -> None:
        super().__init__()
        self._stack = ExitStack()
        self._loop = self._stack.enter_context(asyncio.Runner())
        # an outage would cost a second
        self._stack.enter_context(patch("mirror.sync.outage.FIRST_PROBE", 0.02))
        place = tempfile.TemporaryDirectory(dir=SHM if os.access(SHM, os.W_OK) else None)
        self.folder = Path(self._stack.enter_context(place))
        (self.folder / "scratch").mkdir()
        self.dest = self.folder / "frames"
        self.exports = [self.folder / "batch.json", self.folder / "more.json"]
        self.named: list[list[FrameRef]] = [[], []]
        self.platform = Platform()
        self.made = 0
        self.steps: Counter[str] = Counter()
        self.events: list[Event] = []
        self.seen = Seen({}, {})
        self.settled = True

    @initialize(template=st.sampled_from(TEMPLATES), frames=st.integers(2, 4), whole=st.booleans())
    def begin(self, template: str, frames: int, whole: bool) -> None:
        self.model = Model(template, self.platform)
        self.platform.add_sequence(frames)
        self.platform.add_sequence(3)
        if template == TEMPLATES[1]:
            self.platform.add_sequence(2, "west", self.platform.sequences[0][1])
        self._wait(self.platform.open())
        refs = self.platform.refs()
        self.write(0, refs[:-1])
        self.write(1, refs[-3:])
        if whole:
            self.run_whole(self.request(both=True))

    def teardown(self) -> None:
        if len(self.steps) > 1:  # hypothesis begins with the same step again and again
            self.counts.update(self.steps)
        try:
            self._wait(self.platform.close())
        finally:
            self._stack.close()

    # --- the parts of a step ----------------------------------------------------------------------

    def _wait(self, doing: Any) -> Any:
        return self._loop.run(doing)

    def write(self, number: int, refs: list[FrameRef]) -> None:
        """Another content for one of the exports."""
        self.named[number] = refs
        write_export(self.exports[number], refs)

    def look(self) -> Seen:
        return look(self.dest, self.folder / "scratch")

    def done(self, kind: str, *, settled: bool | None = None) -> None:
        """A step is over: what is there now, and whether it may be. `settled`: what wrote came to
        its end by itself; None: nothing wrote."""
        self.steps[kind] += 1
        self.settled = self.settled if settled is None else settled
        self.seen = self.look()
        self.model.always(self.seen, settled=self.settled)

    def alive(self) -> list[FrameRef]:
        """Frames that were not purged."""
        return [ref for ref in self.platform.refs() if not self.model.gone(ref)]

    def some_alive(self) -> list[FrameRef]:
        """The same, and new ones where few are left."""
        if len(self.alive()) < 4:
            self.another_sequence()
        return self.alive()

    def settings(self, **more: Any) -> Settings:
        account = self.platform.simulator.account
        given = {
            "domain": self.platform.simulator.domain,
            "username": account.username,
            "password": account.password,
            "path_template": self.model.template,
        }
        return load_settings(**(given | MANNERS | more))

    def request(self, both: bool = False, **more: Any) -> Request:
        numbers = (0, 1) if both else (0,)
        exports = tuple((str(self.exports[n]), tuple(self.named[n])) for n in numbers)
        return Request(exports, **more)

    def asked(self, request: Request) -> SyncRequest:
        return SyncRequest(
            exports=tuple(Path(path) for path, _ in request.exports),
            destination=self.dest,
            selection=Selection(request.roots, labelled_only=request.labelled_only),
            limit=request.limit,
            retry_failed=request.retry_failed,
        )

    def refused(self, request: Request) -> bool:
        """Whether the selection is one that no run takes."""
        if request.roots - {ref.root_id for ref in request.named()}:
            return True
        return not request.everything and not request.selected()

    def sha256s(self, request: Request) -> list[str]:
        return [sha256(Path(path).read_bytes()).hexdigest() for path, _ in request.exports]

    def sync(self, request: Request, stop: Stop | None = None, **more: Any) -> RunReport:
        events = Events(self.events.append)
        self.events.clear()
        return self._wait(
            run_sync(self.asked(request), self.settings(**more), events, stop or Stop())
        )

    def downloads(self, hop: str) -> Counter[FrameRef]:
        """Which frames the simulator was asked for."""
        found: Counter[FrameRef] = Counter()
        for each in self.platform.simulator.requests:
            if each.hop == hop:
                parts = urlsplit(each.target.decode())
                words = [unquote(word) for word in parts.path.split("/")]
                if hop == "resolve":
                    (workspace,) = parse_qs(parts.query)["workspace_id"]
                    found[FrameRef(workspace, words[2], words[4])] += 1
                else:
                    found[FrameRef(words[-3], words[-2], words[-1].removesuffix(".png"))] += 1
        return found

    def fetched(self, plan: Plan, before: tuple[Counter, Counter], *, ended: bool) -> None:
        """Hold what the simulator was asked for against the plan."""
        resolved = self.downloads("resolve") - before[0]
        downloaded = self.downloads("download") - before[1]
        assert resolved.keys() <= plan.fetched, f"asked for without need: {resolved}"
        assert downloaded.keys() <= resolved.keys()
        if ended:
            assert resolved.keys() == plan.fetched

    def journal(self) -> tuple[Counter, Counter]:
        return self.downloads("resolve"), self.downloads("download")

    def before_run(self, after: Seen) -> Seen:
        """What a run found, once a broken ledger was out of its way. None of `after` but that."""
        before = self.seen
        if before.ledger == "good":
            assert after.old_ledgers == before.old_ledgers
            return before
        if before.ledger == "broken":
            assert len(after.old_ledgers - before.old_ledgers) == 1, "a broken ledger was used"
        return Seen(before.files, before.state)

    # --- runs -------------------------------------------------------------------------------------

    def hold_run(
        self, request: Request, report: dict[str, Any], journal: tuple[Counter, Counter]
    ) -> None:
        """A run came to its end by itself: everything is as the model has it."""
        after = self.look()
        found = self.before_run(after)
        before = self.model.ingested(found, request, self.sha256s(request))
        plan = self.model.plan(before, request)
        assert report["error"] is None, report
        self.model.ran(before, after, plan, ended=True)
        self.model.reported(plan, after, report)
        expected = {self.platform.reason(ref) for ref in plan.fetched} - {None}
        assert report["exit_code"] == bool(expected), report
        assert report["outcome"] == ("partial" if expected else "complete")
        good = [ref for ref in plan.fetched if self.platform.reason(ref) is None]
        assert report["frames"]["mirrored"] == len(good), report
        assert report["bytes"] == sum(len(self.platform.truth(ref)) for ref in good), report
        assert sorted(report["set_aside"]) == sorted(
            f".mirror/set-aside/{path}" for path in after.aside if path not in found.aside
        )
        self.hold_entries(request, found, report)
        self.fetched(plan, journal, ended=True)
        self.hold_state(after, report)

    def hold_entries(self, request: Request, found: Seen, report: dict[str, Any]) -> None:
        for entry, (path, refs), sha in zip(
            report["exports"], request.exports, self.sha256s(request), strict=True
        ):
            assert (entry["path"], entry["sha256"]) == (path, sha)
            assert entry["frames"] == len(set(refs))
            if self.model.unfinished != NOBODY:
                continue  # what it is to erase counts as neither here nor gone
            assert entry["purged"] == sum(self.model.gone(ref) for ref in set(refs))
            former = [each for each in found.exports if each.path == path]
            new = sha not in {each.sha256 for each in found.exports}
            left = former[-1].refs - set(refs) if former and new else ()
            assert entry["left"] == len(left), (entry, left)

    def hold_state(self, after: Seen, report: dict[str, Any]) -> None:
        """The report is kept, and the checksums are true."""
        assert json.loads(after.state["report.json"]) == report
        if "SHA256SUMS" in after.state:
            expected = "".join(
                f"{row.digest.hex()}  {self.model.path(ref)}\n"
                for ref, row in after.rows.items()
                if row.digest is not None
            )
            assert after.state["SHA256SUMS"].decode() == expected

    def hold_cut_run(
        self,
        request: Request,
        journal: tuple[Counter, Counter] | None,
        *,
        outage: bool = False,
    ) -> Plan:
        """A run was cut short: what is there is on the way to what the model has."""
        after = self.look()
        if after.ledger in {"broken", "none"} and after.old_ledgers == self.seen.old_ledgers:
            # it did not come to the ledger
            assert self.seen.ledger in {after.ledger, "none"}
            same(after.files, self.seen.files, "files")
            same(after.aside, self.seen.aside, "what was set aside")
            return Plan()
        found = self.before_run(after)
        shas = self.sha256s(request)
        ways = [
            self.model.ingested(found, Request(request.exports[:number]), shas[:number])
            for number in range(len(shas) + 1)
        ]
        before = next((way for way in ways[::-1] if way.exports == after.exports), ways[-1])
        plan = self.model.plan(before, request) if before is ways[-1] else Plan()
        self.model.ran(before, after, plan, ended=False, outage=outage)
        if journal is not None:
            self.fetched(plan, journal, ended=False)
        return plan

    @rule(
        both=st.booleans(),
        limit=LIMIT,
        root=st.one_of(st.none(), NUMBER),
        labelled=st.sampled_from((False, False, False, True)),
        streamed=st.booleans(),
        checksums=st.sampled_from((False, False, True)),
    )
    def run(
        self,
        both: bool,
        limit: int | None,
        root: int | None,
        labelled: bool,
        streamed: bool,
        checksums: bool,
    ) -> None:
        roots = frozenset() if root is None else frozenset({self.root(root)})
        request = self.request(both, limit=limit, roots=roots, labelled_only=labelled)
        self.run_whole(request, streamed=streamed, checksums=checksums)

    @rule(both=st.booleans())
    def run_all(self, both: bool) -> None:
        self.run_whole(self.request(both))

    @rule(number=st.integers(0, len(PERMANENT)), limit=LIMIT)
    def retry_failed(self, number: int, limit: int | None) -> None:
        reason = "*" if number == len(PERMANENT) else PERMANENT[number][0]
        self.run_whole(self.request(retry_failed=reason, limit=limit))

    def run_whole(
        self, request: Request, *, streamed: bool = False, checksums: bool = False
    ) -> None:
        journal = self.journal()
        more = {"stream_threshold": 100 if streamed else 10_000, "write_checksums": checksums}
        if self.refused(request):
            with pytest.raises(UsageError):
                self.sync(request, **more)
            same(self.look().unchanging(), self.seen.unchanging(), "a refused run")
            self.done("runs that were refused")
            return
        report = self.sync(request, **more)
        self.hold_run(request, msgspec.to_builtins(report), journal)
        self.done("runs", settled=True)

    def root(self, number: int) -> str:
        return self.platform.sequences[number % len(self.platform.sequences)][1]

    @rule(both=st.booleans(), limit=LIMIT, failed=st.booleans())
    def rehearse(self, both: bool, limit: int | None, failed: bool) -> None:
        request = self.request(both, limit=limit, retry_failed="*" if failed else None)
        before = self.model.ingested(
            self.seen if self.seen.ledger == "good" else Seen(self.seen.files, self.seen.state),
            request,
            self.sha256s(request),
        )
        try:
            report = rehearse(self.asked(request), self.settings())
        except LedgerError:
            assert self.seen.ledger == "broken"
        else:
            if self.seen.ledger != "broken" and self.model.unfinished == NOBODY:
                plan = self.model.plan(before, request)
                totals = report.frames
                assert (totals.total, totals.already_mirrored) == (len(plan.asked), len(plan.kept))
                assert totals.pending == totals.total - totals.already_mirrored
        same(self.look().unchanging(), self.seen.unchanging(), "a dry run")
        self.done("dry runs")

    @rule(first=st.integers(1, 40), second=st.integers(0, 12), limit=LIMIT)
    def run_stopped(self, first: int, second: int, limit: int | None) -> None:
        """Stopped after so many events, and once more after some more (0: not again)."""
        request, stop, journal = self.request(limit=limit), Stop(), self.journal()
        told, late = 0, False

        def tell(event: Event) -> None:
            nonlocal told, late
            told += 1
            if told == first or (second and told == first + second):
                late = not stop.requested and isinstance(event, RunFinished)
                stop.request("a test")

        try:
            report = self._wait(run_sync(self.asked(request), self.settings(), Events(tell), stop))
        except InterruptedRunError:
            assert stop.requested
            same(self.look().unchanging(), self.seen.unchanging(), "a run that did not begin")
            self.done("runs that were stopped")
            return
        if late or not stop.requested:
            self.hold_run(request, msgspec.to_builtins(report), journal)
            self.done("runs", settled=True)
            return
        plan = self.hold_cut_run(request, journal)
        after, found = self.look(), msgspec.to_builtins(report)
        self.model.reported(plan, after, found)
        left = found["frames"]["failed"] + found["frames"]["pending"]
        assert report.exit_code == (75 if left else 0), report
        self.hold_state(after, found)
        self._wait(self.platform.restart())
        self.done("runs that were stopped", settled=True)

    @rule(both=st.booleans(), host=st.sampled_from(("api", "store")))
    def run_in_an_outage(self, both: bool, host: Any) -> None:
        request = self.request(both)
        self._wait(self.platform.simulator.refuse(host))
        report = self.sync(request, outage_patience=0.05)
        found = msgspec.to_builtins(report)
        self._wait(self.platform.simulator.accept(host))
        plan = self.hold_cut_run(request, None, outage=True)
        after = self.look()
        self.model.reported(plan, after, found)
        if report.exit_code != 69:
            self.all_settled(plan, found)
        self._wait(self.platform.restart())
        self.done("outages", settled=True)

    def all_settled(self, plan: Plan, report: dict[str, Any]) -> None:
        """Without the host, only what needs nothing of it comes to its end."""
        good = [ref for ref in plan.fetched if self.platform.reason(ref) is None]
        assert all(self.seen.rows[ref].state == "failed" for ref in good), report
        assert report["frames"]["pending"] == 0
        assert report["exit_code"] == bool(plan.fetched)

    # --- kills ------------------------------------------------------------------------------------

    def child(self, step: Step | None, count: int, *words: str | Path) -> tuple[int, str, str]:
        """The real command in another process, which is killed at a step: its code and words."""
        killer = (step, count if step is None else 1 + count % 4)
        return self._wait(self._child(killer, [str(word) for word in words]))

    async def _child(
        self, killer: tuple[Step | None, int], words: list[str]
    ) -> tuple[int, str, str]:
        self.made += 1
        said = self.folder / f"said{self.made}"
        env = environment(self.platform.simulator) | {
            f"MIRROR_{name.upper()}": str(value)
            for name, value in (MANNERS | {"path_template": self.model.template}).items()
        }
        process = _fork.Process(target=machine_child.main, args=(killer, words, env, said))
        await asyncio.to_thread(process.start)
        try:
            await asyncio.to_thread(partial(process.join, 30))
            code = process.exitcode
        finally:
            process.kill()
            process.join()
            process.close()
        assert code is not None, "it did not end"
        await self.platform.restart()
        return code, said.read_text(), said.with_suffix(".err").read_text()

    @rule(
        step=STEP,
        count=st.one_of(st.integers(1, 16), st.integers(1, 60)),
        both=st.booleans(),
        limit=LIMIT,
    )
    def run_killed(self, step: Step | None, count: int, both: bool, limit: int | None) -> None:
        request = self.request(both, limit=limit)
        options = [] if limit is None else ["--limit", str(limit)]
        paths = [path for path, _ in request.exports]
        words = ("sync", *paths, "--dest", self.dest, "--quiet", "--json", *options)
        code, said, err = self.child(step, count, *words)
        if code == KILLED:
            self.hold_cut_run(request, None)
            self.done("runs that were killed", settled=False)
            return
        report = json.loads(said)
        assert code == report["exit_code"], err
        after = self.look()
        before = self.model.ingested(self.before_run(after), request, self.sha256s(request))
        plan = self.model.plan(before, request)
        self.model.ran(before, after, plan, ended=True)
        self.model.reported(plan, after, report)
        self.done("runs", settled=True)

    @rule(step=STEP, count=st.integers(1, 20), quick=st.booleans())
    def repair_killed(self, step: Step | None, count: int, quick: bool) -> None:
        words = ("verify", self.dest, "--repair", "--json", *(["--quick"] if quick else []))
        code, _, err = self.child(step, count, *words)
        if self.seen.ledger != "good":
            self.without_a_ledger(code)
            return
        before, after = self.seen, self.look()
        plan = self.model.plan_repair(before, self.model.damaged(before, quick=quick))
        self.model.ran(before, after, plan, ended=code != KILLED)
        assert code in {KILLED, self.repair_code(plan)}, err
        self.done("repairs", settled=code != KILLED)

    def without_a_ledger(self, code: int) -> None:
        """Nothing can be repaired; a broken ledger may have been moved away."""
        after = self.look()
        assert code in {2, 74, KILLED}
        same(after.files, self.seen.files, "files")
        same(after.aside, self.seen.aside, "what was set aside")
        assert not after.rows
        idle = after.unchanging() == self.seen.unchanging()
        self.done("without a ledger", settled=None if idle else code != KILLED)

    # --- verify and repair ------------------------------------------------------------------------

    @rule(quick=st.booleans())
    def verify(self, quick: bool) -> None:
        found: list[FrameRef] = []
        try:
            verified = verify_destination(
                self.dest,
                by_size if quick else by_content,
                Events(),
                lambda each: found.append(each.frame.ref),
            )
        except DestinationError:
            assert self.seen.ledger in {"none", "broken"}
        else:
            if self.seen.ledger == "good":
                expected = self.model.damaged(self.seen, quick=quick)
                assert found == expected
                assert verified.damaged == len(expected)
                rows = [row.state for row in self.seen.rows.values()]
                assert verified.frames == verified.recorded == rows.count("mirrored")
                assert verified.unrecorded == len(rows) - verified.recorded
        same(self.look().unchanging(), self.seen.unchanging(), "a verification")
        self.done("verifications")

    @rule(quick=st.booleans())
    def repair(self, quick: bool) -> None:
        found: list[FrameRef] = []
        journal, check = self.journal(), by_size if quick else by_content
        watching = (Events(), lambda each: found.append(each.frame.ref))
        try:
            _, report = self._wait(
                repair_destination(self.dest, check, self.settings(), watching, Stop())
            )
        except DestinationError:
            assert self.seen.ledger in {"none", "broken"}
            self.without_a_ledger(74)
            return
        if self.seen.ledger != "good":
            self.without_a_ledger(report.exit_code)
            return
        before, after = self.seen, self.look()
        damaged = self.model.damaged(before, quick=quick)
        assert found == damaged
        plan = self.model.plan_repair(before, damaged)
        self.model.ran(before, after, plan, ended=True)
        self.model.reported(plan, after, msgspec.to_builtins(report))
        assert report.exit_code == self.repair_code(plan), report
        self.fetched(plan, journal, ended=True)
        self.hold_state(after, msgspec.to_builtins(report))
        assert self.model.damaged(after, quick=quick) == []
        self.done("repairs", settled=True)

    def repair_code(self, plan: Plan) -> int:
        return int(any(self.platform.reason(ref) for ref in plan.fetched))

    # --- purges -----------------------------------------------------------------------------------

    def target(self, number: int, whole: bool) -> tuple[Target, list[str]]:
        """A frame or a sequence that was not purged, and how it is named."""
        alive = self.some_alive()
        ref = alive[number % len(alive)]
        if whole:
            return (frozenset({ref[:2]}), frozenset()), ["--sequence", "/".join(ref[:2])]
        return (frozenset(), frozenset({ref})), ["--frame", "/".join(ref)]

    def known(self, target: Target) -> bool:
        """Whether the ledger knows what is to be purged."""
        return any(within(ref, target) for ref in self.seen.rows)

    def purge_now(self, sequences: list[str], frames: list[str]) -> None:
        """As the command does; the words are its own."""
        with LedgerReader.open(self.dest) as reader:
            lines = audit_of(self.dest)
            if sequences or frames:
                target = find_target(reader, lines, sequences, frames)
            else:
                target = unfinished(lines) or PurgeTarget()
        layout = Layout(self.model.template)
        with Destination.open(self.dest, layout) as held, Purge.open(held) as purging:
            purging.erase(target, lambda _: None)

    @rule(number=NUMBER, whole=st.sampled_from((False, False, True)))
    def purge(self, number: int, whole: bool) -> None:
        if self.model.unfinished != NOBODY and self.seen.ledger == "good" and number % 2:
            target, self.model.unfinished = self.model.unfinished, NOBODY
            self.purge_now([], [])
            self.purged(target, ended=True)
            return
        target, words = self.target(number, whole)
        names = ([words[1]], []) if whole else ([], [words[1]])
        if self.seen.ledger != "good":
            with pytest.raises((DestinationError, UsageError)):
                self.purge_now(*names)
            self.without_a_ledger(74)
            return
        if not self.known(target):
            with pytest.raises(UsageError, match="Nothing was erased"):
                self.purge_now(*names)
            same(self.look().unchanging(), self.seen.unchanging(), "a purge that was refused")
            self.done("purges that were refused")
            return
        self.purge_now(*names)
        self.purged(target, ended=True)

    def purged(self, target: Target, *, ended: bool, killed: bool = False) -> None:
        """A purge had begun; what it left. One that was killed at last may have `ended`, too."""
        after = self.look()
        self.model.erased(self.seen, after, target, ended=ended)
        lines = after.audit[len(self.seen.audit) :]
        assert [line["action"] for line in lines] == ["purge_begun", "purged"][: 2 if ended else 1]
        self.model.purge(target)
        if not ended:
            old = self.model.unfinished
            self.model.unfinished = (old[0] | target[0], old[1] | target[1])
        self.done("purges", settled=not killed)

    @rule(step=STEP, count=st.integers(1, 16), number=NUMBER, whole=st.booleans())
    def purge_killed(self, step: Step | None, count: int, number: int, whole: bool) -> None:
        target, words = self.target(number, whole)
        code, _, err = self.child(step, count, "purge", self.dest, *words, "--yes")
        after = self.look()
        if self.seen.ledger != "good":
            self.without_a_ledger(code)
            return
        if len(after.audit) == len(self.seen.audit):
            assert code == KILLED if self.known(target) else code == 2, err
            same(after.files, self.seen.files, "files")
            same(after.rows, self.seen.rows, "rows")
            self.done("purges that were killed", settled=False if code == KILLED else None)
            return
        ended = len(after.audit) == len(self.seen.audit) + 2
        assert ended or code == KILLED, err
        self.purged(target, ended=ended, killed=code == KILLED)

    # --- what others do ---------------------------------------------------------------------------

    @rule(files=st.lists(st.tuples(NUMBER, st.sampled_from(SPOILED)), min_size=1, max_size=4))
    def spoil(self, files: list[tuple[int, str]]) -> None:
        """Somebody deletes, changes or replaces files, or puts some there."""
        alive = self.some_alive()
        for number, how in files:
            self.spoil_one(alive[number % len(alive)], how)
            self.seen = self.look()
        self.done("spoiled files")

    def spoil_one(self, ref: FrameRef, how: str) -> None:
        path = self.model.path(ref)
        old = self.seen.files.get(path)
        self.made += 1
        body = self.spoiled(ref, how, old)
        where = self.dest / path
        if body is None:
            where.unlink(missing_ok=True)
        else:
            where.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            where.write_bytes(body)
            self.model.planted.setdefault(path, set()).add(body)
        self.model.touched.add(path)
        if old is not None and old not in self.seen.aside.values():
            self.model.precious.pop(old, None)
        if body and body not in self.platform.ever(ref):
            self.model.precious[body] = ref

    def spoiled(self, ref: FrameRef, how: str, old: bytes | None) -> bytes | None:
        note = f"note {self.made} at {ref}".encode()
        if how == "gone":
            return None
        if how in {"cut", "flipped"}:
            if old is None or len(old) < 200:
                return note
            at = max(100, len(old) - 60 - self.made % 100)  # where no id is
            if how == "cut":
                return old[:at]
            return old[:at] + bytes([old[at] ^ 1]) + old[at + 1 :]
        if how in {"other", "larger"}:
            whole = png(f"{' '.join(ref)} other {self.made}", 200 if how == "other" else 333)
            self.model.whole.add(whole)
            return whole
        return {"note": note, "empty": b"", "old": self.platform.picture(ref, 0)}[how]

    @rule(how=st.sampled_from(HARM), where=NUMBER)
    def lose_the_ledger(self, how: str, where: int) -> None:
        state = self.dest / ".mirror"
        if state.exists():
            harm_ledger(state, how, where)
            self.model.touched.update(map(self.model.path, self.platform.refs()))
        self.done("harm to the ledger")

    @rule(
        number=NUMBER, what=st.sampled_from(("drop", "add", "sequence", "turn")), more=st.booleans()
    )
    def edit_export(self, number: int, what: str, more: bool) -> None:
        refs = list(self.named[more])
        known = [ref for ref in self.platform.refs() if ref not in refs]
        if what == "sequence" and len(self.alive()) < 14:
            self.another_sequence()
            refs = self.named[0] if not more else refs
        elif what == "drop" and len(refs) > 1:
            del refs[number % len(refs)]
        elif what == "add" and known:
            refs.insert(number % (len(refs) + 1), known[number % len(known)])
        else:
            refs.reverse()
        self.write(int(more), refs)
        self.done("edited exports")

    def another_sequence(self) -> None:
        """A new sequence, named by the first export."""
        known = len(self.platform.refs())
        self.platform.add_sequence(3)
        new = self.platform.refs()[known:]
        self.platform.put(new)
        self.write(0, [*self.named[0], *new])

    @rule(number=NUMBER)
    def replace_on_the_platform(self, number: int) -> None:
        alive = self.some_alive()
        ref = alive[number % len(alive)]
        self.platform.versions[ref] += 1
        self.platform.put([ref])
        self.done("replaced pictures")

    @rule(
        permanent=st.lists(st.tuples(NUMBER, st.integers(0, len(PERMANENT) - 1)), max_size=3),
        transient=st.lists(
            st.tuples(NUMBER, NUMBER, st.integers(0, len(TRANSIENT) - 1)), max_size=2
        ),
    )
    def change_plan(
        self, permanent: list[tuple[int, int]], transient: list[tuple[int, int, int]]
    ) -> None:
        """Other frames go wrong: some for good, some in their first attempts."""
        ids = sorted({ref.frame_id for ref in self.some_alive()})
        self.platform.permanent = {ids[one % len(ids)]: PERMANENT[how] for one, how in permanent}
        rare = [each for each in ids if each != "common"] or ids
        self.platform.transient = [
            about(TRANSIENT[how], sorted({rare[one % len(rare)], rare[other % len(rare)]}))
            for one, other, how in transient
        ]
        self._wait(self.platform.restart())
        self.done("plans")

    @rule(both=st.booleans())
    def run_with_another_template(self, both: bool) -> None:
        if self.seen.ledger != "good":
            self.run_all(both)
            return
        journal = self.journal()
        report = self.sync(self.request(both), path_template="{frame_id}/{root_id}.png")
        assert report.exit_code == 78, report
        assert self.model.template in (report.error or "")
        after = self.look()
        same(after.files, self.seen.files, "files")
        same(after.aside, self.seen.aside, "what was set aside")
        same(after.rows, self.seen.rows, "rows")
        assert after.exports == self.seen.exports
        assert self.journal() == journal
        self.done("refused templates", settled=True)


# --- the histories --------------------------------------------------------------------------------


def histories(number: int, many: int, steps: int, *, shorten: bool = False) -> Counter[str]:
    """Take so many histories of a seed; what was done in them, by kind of step."""

    class Seeded(MirrorMachine):
        counts: ClassVar[Counter[str]] = Counter()

    try:
        run_state_machine_as_test(
            seed(number)(Seeded),
            settings=settings(
                max_examples=many,
                stateful_step_count=steps,
                phases=[Phase.generate, Phase.shrink] if shorten else [Phase.generate],
                derandomize=False,
                database=None,
                deadline=None,
                print_blob=True,
                report_multiple_bugs=False,
                suppress_health_check=list(HealthCheck),
            ),
        )
    except BaseException as error:
        error.add_note(f"To replay it: MIRROR_MACHINE_SEED={number} python -m pytest {__file__}")
        raise
    return Seeded.counts


def _given(name: str, usual: int) -> int:
    return int(os.environ.get(f"MIRROR_MACHINE_{name}", usual))


if "MIRROR_MACHINE_SEED" in os.environ:

    @pytest.mark.timeout(7200)
    def test_the_seed_that_is_asked_for() -> None:
        many, steps = _given("HISTORIES", HISTORIES), _given("STEPS", STEPS)
        histories(_given("SEED", 0), many, steps, shorten=True)

else:

    @pytest.mark.long
    @pytest.mark.timeout(1800)
    @pytest.mark.parametrize("number", SEEDS)
    def test_fault_39_49_50_53_59_60_any_history(number: int, record_property: Any) -> None:
        counts: Counter[str] = Counter()
        while counts.total() < EACH:
            counts += histories(number, HISTORIES, STEPS)
            number += 1000
        record_property("steps", counts.total())
        assert len(SEEDS) * EACH >= 10_000

    def test_fault_39_49_50_60_a_few_histories() -> None:
        assert histories(2, 4, 30).total() >= 60
