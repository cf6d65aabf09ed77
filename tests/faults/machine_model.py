"""What must come of each step, from what was seen before it. Nothing here does anything.

The rules are those of the documents, written again: what a run asks for, which of that it keeps,
adopts, sets aside and fetches, what each then ends as; what a purge leaves; what a verification
names. Where a step was cut short, every state on the way is allowed, and no other.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from hashlib import sha256

from mirror.frames import FrameRef
from tests.faults.machine_kit import (
    PENDING,
    Ingested,
    Platform,
    Row,
    Seen,
    failed,
    labelled,
    mirrored,
)

STATE_NAMES = {
    "ledger.sqlite3",
    "ledger.sha256",
    "lock",
    "report.json",
    "SHA256SUMS",
    "audit.jsonl",
}
"""Files of `.mirror` that may be there at any time; more is there while a run goes on."""
Target = tuple[frozenset[tuple[str, str]], frozenset[FrameRef]]
"""Sequences and frames that a purge is to erase."""
NOBODY: Target = (frozenset(), frozenset())


def within(ref: FrameRef, target: Target) -> bool:
    """Whether a purge of `target` erases this frame."""
    sequences, frames = target
    return ref[:2] in sequences or ref in frames


@dataclass(frozen=True)
class Request:
    """What a run is asked for. `exports`: path and named frames, in the order of the export."""

    exports: tuple[tuple[str, tuple[FrameRef, ...]], ...]
    roots: frozenset[str] = frozenset()
    labelled_only: bool = False
    limit: int | None = None
    retry_failed: str | None = None

    @property
    def everything(self) -> bool:
        return not (self.roots or self.labelled_only)

    def named(self) -> list[FrameRef]:
        """Every frame of the exports once, sequence by sequence."""
        return grouped(ref for _, refs in self.exports for ref in refs)

    def selected(self) -> list[FrameRef]:
        """Those that are asked for; limits, and what only the ledger knows, left aside."""
        return [
            ref
            for ref in self.named()
            if (not self.roots or ref.root_id in self.roots)
            and (not self.labelled_only or labelled(ref.frame_id))
        ]


def grouped(refs: Iterable[FrameRef]) -> list[FrameRef]:
    """Distinct frames, those of one sequence together, in the order of first appearance."""
    groups: dict[tuple[str, str], dict[FrameRef, None]] = {}
    for ref in refs:
        groups.setdefault(ref[:2], {})[ref] = None
    return [ref for group in groups.values() for ref in group]


@dataclass
class Plan:
    """What a run does. `asked` is `kept`, `adopted` and `fetched` together. `aside`: what is moved
    out of a frame's place; `dropped`: no longer recorded and not fetched either, because a purge
    that was cut short is to erase them."""

    asked: list[FrameRef] = field(default_factory=list)
    kept: set[FrameRef] = field(default_factory=set)
    adopted: set[FrameRef] = field(default_factory=set)
    fetched: set[FrameRef] = field(default_factory=set)
    aside: dict[FrameRef, bytes] = field(default_factory=dict)
    dropped: set[FrameRef] = field(default_factory=set)


class Model:
    """What is known of one destination beside what can be seen there.

    `purged`: what a purge was asked to erase; `unfinished`: by one that was cut short. `planted`:
    what the machine itself put at final names, by path; `whole`: which of that are whole PNGs;
    `touched`: paths where that makes a record wrong.
    """

    def __init__(self, template: str, platform: Platform) -> None:
        self.template = template
        self.platform = platform
        self.purged: Target = NOBODY
        self.unfinished: Target = NOBODY
        self.planted: dict[str, set[bytes]] = {}
        self.whole: set[bytes] = set()
        self.precious: dict[bytes, FrameRef] = {}
        self.touched: set[str] = set()

    def path(self, ref: FrameRef) -> str:
        """Where a frame belongs, below the destination."""
        return self.template.format(**ref._asdict())

    def is_whole(self, ref: FrameRef, body: bytes) -> bool:
        return body in self.whole or body in self.platform.ever(ref)

    def purge(self, target: Target) -> None:
        """These are not to come back."""
        self.purged = (self.purged[0] | target[0], self.purged[1] | target[1])

    def gone(self, ref: FrameRef) -> bool:
        return within(ref, self.purged)

    # --- what a run is to do ----------------------------------------------------------------------

    def ingested(self, seen: Seen, request: Request, sha256s: Sequence[str]) -> Seen:
        """The destination once the exports were taken in."""
        rows, exports = dict(seen.rows), list(seen.exports)
        for (path, refs), sha in zip(request.exports, sha256s, strict=True):
            if sha not in {each.sha256 for each in exports}:
                kept = [ref for ref in grouped(refs) if not self.gone(ref)]
                rows.update({ref: PENDING for ref in kept if ref not in rows})
                exports.append(Ingested(path, sha, frozenset(kept)))
        return Seen(seen.files, seen.state, "good", rows, tuple(exports))

    def plan(self, seen: Seen, request: Request) -> Plan:
        """What the run does; `seen` is what is there once the exports were taken in."""
        found = [ref for ref in request.selected() if ref in seen.rows]
        if request.retry_failed is not None:
            reason = None if request.retry_failed == "*" else request.retry_failed
            rank = {ref: number for number, ref in enumerate(seen.rows)}
            rows = [(ref, seen.rows[ref]) for ref in sorted(found, key=rank.__getitem__)]
            found = [
                ref for ref, row in rows if row.state == "failed" and reason in {None, row.reason}
            ]
        return self._decide(seen, found[: request.limit])

    def _decide(self, seen: Seen, found: list[FrameRef]) -> Plan:
        plan = Plan()
        for ref in found:
            row, body = seen.rows[ref], seen.files.get(self.path(ref))
            missing = row.state == "mirrored" and (body is None or len(body) != row.size)
            if within(ref, self.unfinished):
                if missing:
                    plan.dropped.add(ref)
                    self._move(plan, ref, body)
                continue
            plan.asked.append(ref)
            if row.state == "mirrored" and not missing:
                plan.kept.add(ref)
            elif body is not None and not missing and self.is_whole(ref, body):
                plan.adopted.add(ref)
            else:
                plan.fetched.add(ref)
                self._move(plan, ref, body)
        return plan

    def plan_repair(self, seen: Seen, damaged: Collection[FrameRef]) -> Plan:
        """What a repair does that finds these damaged; what was lost before is its work, too."""
        lost = [ref for ref, row in seen.rows.items() if row.lost]
        plan = self._decide(seen, lost)
        for ref in damaged:
            self._move(plan, ref, seen.files.get(self.path(ref)))
            if within(ref, self.unfinished):
                plan.dropped.add(ref)
            else:
                plan.asked.append(ref)
                plan.fetched.add(ref)
        return plan

    @staticmethod
    def _move(plan: Plan, ref: FrameRef, body: bytes | None) -> None:
        if body is not None:
            plan.aside[ref] = body

    def damaged(self, seen: Seen, *, quick: bool) -> list[FrameRef]:
        """What a verification must name, in the order of the ledger."""
        return [
            ref
            for ref, row in seen.rows.items()
            if row.state == "mirrored" and not self._fits(seen, ref, row, quick=quick)
        ]

    def _fits(self, seen: Seen, ref: FrameRef, row: Row, *, quick: bool) -> bool:
        body = seen.files.get(self.path(ref))
        if body is None or len(body) != row.size:
            return False
        return quick or sha256(body).digest() == row.digest

    # --- what is there after a run ----------------------------------------------------------------

    def ran(
        self, before: Seen, after: Seen, plan: Plan, *, ended: bool, outage: bool = False
    ) -> None:
        """Hold what a run left against what it was to do; `ended`: it came to its end by itself,
        else it was cut short somewhere on the way, by an `outage` maybe: then a frame that had
        failed before may fail for it. `before` has the exports taken in."""
        concerned = {*plan.asked, *plan.dropped}
        paths = {self.path(ref) for ref in concerned}
        same(_without(after.files, paths), _without(before.files, paths), "files not asked for")
        rest = {ref: row for ref, row in before.rows.items() if ref not in concerned}
        found = {ref: row for ref, row in after.rows.items() if ref not in concerned}
        same(found, rest, "rows not asked for")
        assert list(after.rows) == list(before.rows), "another order of rows"
        assert after.exports == before.exports
        assert after.audit == before.audit
        for ref in concerned:
            body, row = after.files.get(self.path(ref)), after.rows[ref]
            allowed = self._ways(before, ref, plan, ended=ended)
            if outage and ref in plan.fetched and before.rows[ref].state == "failed":
                allowed.append((None, failed("connection")))
            assert (body, row) in allowed, f"{ref}: {_short(body)} {row} not in {_ways(allowed)}"
        self._kept(before, after, plan, ended=ended)

    def _ways(
        self, before: Seen, ref: FrameRef, plan: Plan, *, ended: bool
    ) -> list[tuple[bytes | None, Row]]:
        body, row = before.files.get(self.path(ref)), before.rows[ref]
        if ref in plan.kept:
            return [(body, row)]
        if ref in plan.adopted:
            last: tuple[bytes | None, Row] = (body, mirrored(body or b""))
            return [last] if ended else [last, (body, row)]
        truth, reason = self.platform.truth(ref), self.platform.reason(ref)
        if ref in plan.dropped:
            last = (None, PENDING)
        elif reason is None:
            last = (truth, mirrored(truth))
        else:
            last = (None, failed(reason))
        if ended:
            return [last]
        forgotten = PENDING if row.state == "mirrored" else row
        ways = [last, (body, row), (None, row), (None, forgotten)]
        if reason is None and ref not in plan.dropped:
            ways.append((truth, forgotten))
        return ways

    def _kept(self, before: Seen, after: Seen, plan: Plan, *, ended: bool) -> None:
        """What was set aside, and that what was set aside earlier is still there."""
        new = {path: body for path, body in after.aside.items() if path not in before.aside}
        same(_without(after.aside, new), before.aside, "what was set aside earlier")
        moved = sorted((path.rpartition(".")[0], body) for path, body in new.items())
        expected = sorted((self.path(ref), body) for ref, body in plan.aside.items())
        if ended:
            assert moved == expected, "what is set aside"
        assert all(each in expected for each in moved), "what is set aside"
        for ref, body in plan.aside.items():
            path = self.path(ref)
            assert after.files.get(path) == body or (path, body) in moved, f"{path} is lost"

    def reported(self, plan: Plan, after: Seen, report: dict) -> None:
        """Hold the counts of a report against what was seen."""
        states = [after.rows[ref].state for ref in plan.asked]
        frames = report["frames"]
        assert frames["total"] == len(plan.asked), report
        assert frames["mirrored"] + frames["already_mirrored"] == states.count("mirrored"), report
        assert frames["failed"] == report["failures_total"] == states.count("failed"), report
        assert frames["pending"] == states.count("pending"), report
        found = [
            (FrameRef(*(each[name] for name in FrameRef._fields)), each["reason"])
            for each in report["failures"]
        ]
        expected = [
            (ref, row.reason)
            for ref, row in after.rows.items()
            if ref in plan.asked and row.state == "failed"
        ]
        assert found == expected, report

    # --- what is there after a purge --------------------------------------------------------------

    def erased(self, before: Seen, after: Seen, target: Target, *, ended: bool) -> None:
        """Hold what a purge left against what it was to erase. Only for one that had begun."""
        doomed = {self.path(ref) for ref in self.platform.refs() if within(ref, target)}
        same(_without(after.files, doomed), _without(before.files, doomed), "files of others")
        rows = {ref: row for ref, row in before.rows.items() if not within(ref, target)}
        same({r: w for r, w in after.rows.items() if not within(r, target)}, rows, "rows of others")
        aside = {p: c for p, c in before.aside.items() if p.rpartition(".")[0] not in doomed}
        left = {p: c for p, c in after.aside.items() if p.rpartition(".")[0] not in doomed}
        same(left, aside, "what was set aside of others")
        if ended:
            assert not doomed & after.files.keys(), "files of what was purged"
            assert left == after.aside, "what was set aside of what was purged"
            assert list(after.rows) == list(rows), "rows of what was purged"
            assert not after.old_ledgers
            return
        for ref, row in before.rows.items():
            if within(ref, target):
                path, now = self.path(ref), after.rows.get(ref)
                body = after.files.get(path)
                assert body in {None, before.files.get(path)}
                assert now in {None, PENDING, row}
                if now == row and row.state == "mirrored":
                    assert body == before.files.get(path), f"{path} is gone and still recorded"

    # --- what is true at any time -----------------------------------------------------------------

    def always(self, seen: Seen, *, settled: bool) -> None:
        """`settled`: the last that happened came to its end by itself."""
        refs = {self.path(ref): ref for ref in self.platform.refs()}
        for path, body in seen.files.items():
            assert path in refs, f"nobody knows {path}"
            known = body in self.platform.ever(refs[path]) or body in self.planted.get(path, ())
            assert known, f"{path} holds what was never given for it: {_short(body)}"
        self._records(seen)
        everything = {*seen.files.values(), *seen.aside.values()}
        for body, ref in self.precious.items():
            assert body in everything or self.gone(ref), f"what was at {ref} is lost"
        self._state(seen, settled=settled)
        if self.unfinished == NOBODY:
            self._nothing_of_the_purged(seen, settled=settled)

    def _records(self, seen: Seen) -> None:
        for ref, row in seen.rows.items():
            if row.state != "mirrored":
                assert row.size is row.digest is None
            elif self._fits(seen, ref, row, quick=False):
                self.touched.discard(self.path(ref))
            else:
                assert self.path(ref) in self.touched, f"{ref} is recorded, and its file is not it"

    def _state(self, seen: Seen, *, settled: bool) -> None:
        names = set(seen.state) - {f"set-aside/{path}" for path in seen.aside}
        names -= {name for name in names if name.startswith("ledger.damaged-")}
        if not settled:
            passing = ("tmp/", "ledger.sqlite3-")
            names -= {name for name in names if name.startswith(passing)}
        assert names <= STATE_NAMES, names

    def _nothing_of_the_purged(self, seen: Seen, *, settled: bool) -> None:
        words = self._words()
        if not words:
            return
        for name, body in {**seen.files, **seen.state}.items():
            # a kill may leave the audit trail among the temporaries
            if name != "audit.jsonl" and (settled or not name.startswith("tmp/")):
                for word in words:
                    assert word not in name.encode(), f"{name} names what was purged"
                    assert word not in body, f"{name} has {word!r}, which was purged, in it"

    def _words(self) -> set[bytes]:
        """What names purged frames, and nothing else."""
        refs = self.platform.refs()
        left = [ref for ref in refs if not self.gone(ref)]
        kept = {ref.root_id for ref in left} | {ref.frame_id for ref in left}
        ids = {name for ref in refs if self.gone(ref) for name in ref[1:]} - kept
        paths = {" ".join(ref) for ref in refs if self.gone(ref)}
        paths |= {self.path(ref) for ref in refs if self.gone(ref)}
        return {word.encode() for word in ids | paths if word != "common"}


def same(found: dict, expected: dict, what: str) -> None:
    """Two pictures of one thing are equal; says where they are not."""
    wrong = [
        f"{key}: {_short(expected.get(key))} became {_short(found.get(key))}"
        for key in sorted({*found, *expected}, key=str)
        if found.get(key) != expected.get(key)
    ]
    assert not wrong, f"{what}: {'; '.join(wrong)}"


def _without(mapping: dict, keys: Collection) -> dict:
    return {key: value for key, value in mapping.items() if key not in keys}


def _short(value: object) -> str:
    if isinstance(value, bytes):
        text = value[55:100].rstrip(b".") if value[:4] == b"\x89PNG" else value[:40]
        return f"<{len(value)} bytes {text!r}>"
    return repr(value)


def _ways(allowed: list[tuple[bytes | None, Row]]) -> str:
    return " | ".join(f"{_short(body)} {row}" for body, row in allowed)
