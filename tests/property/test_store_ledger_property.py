"""The ledger against a model of it in dictionaries, for any history."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from mirror.export import SequenceFrames
from mirror.frames import FrameRef
from mirror.store import (
    Destination,
    ExportRecord,
    Failure,
    FrameCounts,
    Layout,
    Ledger,
    LedgerReader,
    PendingFrame,
    Written,
)

IDS = ("a", "b", "c", "d")
ROOTS = ("r1", "r2")
exports = st.dictionaries(
    st.sampled_from(ROOTS), st.lists(st.sampled_from(IDS), min_size=1, unique=True), min_size=1
)
REASONS = st.sampled_from(("timeout", "not_found"))


class LedgerMachine(RuleBasedStateMachine):
    """States: None for pending, True for mirrored, a reason for failed."""

    @initialize()
    def begin(self) -> None:
        self.folder = TemporaryDirectory()
        self.known: dict[str, list[FrameRef]] = {}
        self.states: dict[FrameRef, bool | str | None] = {}
        self.asked: set[FrameRef] = set()
        self.open()

    def open(self) -> None:
        self.destination = Destination.open(Path(self.folder.name), Layout())
        self.ledger = Ledger.open(self.destination)
        self.asked = set()

    def teardown(self) -> None:
        self.ledger.close()
        self.destination.close()
        self.folder.cleanup()

    def frames(self) -> list[PendingFrame]:
        """All that is asked for and not mirrored, page by page."""
        found: list[PendingFrame] = []
        while page := self.ledger.pending(found[-1].row if found else 0, 2):
            found += page
        return found

    @rule(content=exports)
    def ingest(self, content: dict[str, list[str]]) -> None:
        digest = sha256(repr(content).encode()).hexdigest()
        groups = [SequenceFrames("w", root, tuple(ids), 0) for root, ids in content.items()]
        refs = [FrameRef("w", root, frame) for root, ids in content.items() for frame in ids]
        result = self.ledger.ingest(ExportRecord("e.json", digest, 1, len(groups)), groups)
        assert result.frames == len(refs)
        if digest in self.known:
            assert result.added == 0
            return
        previous = list(self.known.values())[-1] if self.known else []
        assert result.added == len([ref for ref in refs if ref not in self.states])
        assert result.left == len(set(previous) - set(refs))
        self.known[digest] = refs
        for ref in refs:
            self.states.setdefault(ref, None)

    @rule(data=st.data(), limit=st.none() | st.integers(1, 6))
    def ask_exports(self, data: st.DataObject, limit: int | None) -> None:
        if self.known:
            chosen = data.draw(st.lists(st.sampled_from(list(self.known)), min_size=1))
            self.ledger.ask_exports(chosen, limit)
            wanted = {ref for digest in chosen for ref in self.known[digest]}
            asked = self.ledger.counts().total
            assert asked == (len(wanted) if limit is None else min(limit, len(wanted)))
            if limit is None:
                self.asked = wanted
            else:
                self.ledger.ask_exports(chosen, None)
                self.asked = wanted

    @rule(root=st.sampled_from(ROOTS), ids=st.lists(st.sampled_from(IDS), unique=True))
    def ask_frames(self, root: str, ids: list[str]) -> None:
        self.ledger.ask_frames([SequenceFrames("w", root, tuple(ids), 0)], None)
        self.asked = {FrameRef("w", root, frame) for frame in ids} & set(self.states)

    @rule(reason=st.none() | REASONS)
    def keep_failed(self, reason: str | None) -> None:
        self.ledger.keep_failed(reason)
        self.asked = {
            ref
            for ref in self.asked
            if isinstance(self.states[ref], str) and reason in {None, self.states[ref]}
        }

    @rule(limit=st.integers(0, 6))
    def keep_first(self, limit: int) -> None:
        self.ledger.keep_first(limit)
        self.asked = set(sorted(self.asked, key=list(self.states).index)[:limit])

    @rule(data=st.data(), reason=REASONS)
    def record(self, data: st.DataObject, reason: str) -> None:
        for frame in self.frames():
            match data.draw(st.sampled_from(("mirror", "fail", "leave"))):
                case "mirror":
                    self.ledger.record([Written(frame, None, 3, bytes(32), 1, 1)], [])
                    self.states[frame.ref] = True
                case "fail":
                    self.ledger.record([], [Failure(frame, reason, "why", 1)])
                    self.states[frame.ref] = reason

    @rule()
    def forget_what_is_gone(self) -> None:
        """No file was ever made, so everything asked for and mirrored is gone."""
        gone = [row for row, _ in self.ledger.missing()]
        mirrored = {ref for ref in self.asked if self.states[ref] is True}
        assert len(gone) == len(mirrored)
        self.ledger.forget(gone)
        self.states.update(dict.fromkeys(mirrored))

    @rule()
    def reopen(self) -> None:
        self.ledger.close()
        self.destination.close()
        self.open()

    @invariant()
    def it_says_what_happened(self) -> None:
        mirrored = sum(self.states[ref] is True for ref in self.asked)
        failed = sum(isinstance(self.states[ref], str) for ref in self.asked)
        total = len(self.asked)
        assert self.ledger.counts() == FrameCounts(
            total, mirrored, failed, total - mirrored - failed
        )
        pending = {ref for ref in self.asked if self.states[ref] is not True}
        assert {frame.ref for frame in self.frames()} == pending
        assert {f.frame.ref: f.reason for f in self.ledger.failures(99)} == {
            ref: state for ref in self.asked if isinstance(state := self.states[ref], str)
        }
        with LedgerReader.open(Path(self.folder.name)) as reader:
            summary = reader.summary()
            assert summary.frames.total == len(self.states)
            assert summary.frames.mirrored == sum(s is True for s in self.states.values())
            assert reader.known_exports() == set(self.known)


TestLedger = LedgerMachine.TestCase
TestLedger.settings = settings(max_examples=25, stateful_step_count=15, deadline=None)
