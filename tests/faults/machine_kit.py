"""What the state machine plays with: a platform that changes, exports that are edited, and a look
at a destination that uses nothing of what it looks at but the schema of the ledger.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

from mirror.frames import FrameRef
from mirror.simulator import Dataset, DatasetSpec, Fault, FaultPlan, Simulator
from tests.integration.sync_kit import png

LABEL = "lab"
PERMANENT: tuple[tuple[str, Fault], ...] = (
    ("forbidden", Fault("status", hop="resolve", code=403)),
    ("not_found", Fault("status", hop="resolve", code=404)),
    ("rejected", Fault("validation_error", hop="resolve")),
    ("no_frame_path", Fault("frame_path", kind="null")),
    ("bad_answer", Fault("truncated_json", hop="resolve")),
    ("redirected", Fault("redirect", hop="download")),
    ("object_missing", Fault("no_such_key")),
    ("url_refused", Fault("access_denied")),
    ("not_png", Fault("html_200", hop="download")),
    ("not_png", Fault("bit_flip")),
    ("not_png", Fault("extra_bytes", hop="download")),
    ("truncated", Fault("early_fin", hop="download")),
)
"""What never goes well, and the reason a frame fails with; none says that a host is away."""
TRANSIENT: tuple[Fault, ...] = (
    Fault("status", hop="resolve", code=503, attempts="1-2"),
    Fault("status", hop="resolve", code=500, attempts="1-2"),
    Fault("slow_down", attempts="1-2"),
    Fault("internal_error", attempts=1),
    Fault("close", hop="resolve", attempts=1),
    Fault("reset_mid_body", attempts="1-3"),
    Fault("early_fin", hop="download", attempts="1-3"),
    Fault("short_chunked", hop="download", attempts="1-2"),
    Fault("bit_flip", attempts="1-2"),
    Fault("html_200", hop="download", attempts="1-2"),
    Fault("expired_url", attempts="1-3"),
    Fault("signature_error", attempts=1),
    Fault("stale_close", hop="download"),
    Fault("revoke_tokens", limit=1),
)
"""What goes well in the end, within the attempts of one run."""


@dataclass(frozen=True)
class Row:
    """A frame of the ledger. `size`, `digest`: of a mirrored one; `reason`: of a failed one;
    `lost`: it was mirrored once."""

    state: str
    reason: str | None = None
    size: int | None = None
    digest: bytes | None = None
    lost: bool = field(default=False, compare=False)


PENDING = Row("pending")


def mirrored(body: bytes) -> Row:
    return Row("mirrored", None, len(body), sha256(body).digest())


def failed(reason: str) -> Row:
    return Row("failed", reason)


@dataclass(frozen=True)
class Ingested:
    """An export of the ledger, in the order of ingestion."""

    path: str
    sha256: str
    refs: frozenset[FrameRef]


@dataclass(frozen=True)
class Seen:
    """A destination, looked at. `files`: by path below the root, without the state; `state`: the
    same of `.mirror`. `ledger`: 'none', 'broken' or 'good'; `rows` in the order of the ledger."""

    files: dict[str, bytes]
    state: dict[str, bytes]
    ledger: str = "none"
    rows: dict[FrameRef, Row] = field(default_factory=dict)
    exports: tuple[Ingested, ...] = ()

    @property
    def audit(self) -> list[dict]:
        """The lines of the audit trail."""
        return [json.loads(line) for line in self.state.get("audit.jsonl", b"").splitlines()]

    @property
    def aside(self) -> dict[str, bytes]:
        """What was set aside, by path below the folder for it."""
        place = "set-aside/"
        return {p.removeprefix(place): c for p, c in self.state.items() if p.startswith(place)}

    @property
    def old_ledgers(self) -> set[str]:
        """Databases that were moved away for being damaged."""
        return {
            name
            for name in self.state
            if name.startswith("ledger.damaged-") and not name.endswith(("-wal", "-shm"))
        }

    def unchanging(self) -> dict[str, bytes]:
        """All that a reader must leave as it is: all but SQLite's shared memory."""
        kept = {p: c for p, c in self.state.items() if not p.endswith("-shm")}
        return self.files | {f".mirror/{path}": content for path, content in kept.items()}


def look(root: Path, scratch: Path) -> Seen:
    """Look at a destination; the ledger is read in a copy of it, in `scratch`."""
    files: dict[str, bytes] = {}
    state: dict[str, bytes] = {}
    for path in root.rglob("*"):
        if path.is_file():
            name = path.relative_to(root).as_posix()
            inside = name.startswith(".mirror/")
            (state if inside else files)[name.removeprefix(".mirror/")] = path.read_bytes()
    if "ledger.sqlite3" not in state:
        return Seen(files, state)
    copy = scratch / "ledger.sqlite3"
    for suffix in ("", "-wal", "-shm"):
        Path(f"{copy}{suffix}").unlink(missing_ok=True)
        if suffix != "-shm" and f"ledger.sqlite3{suffix}" in state:
            Path(f"{copy}{suffix}").write_bytes(state[f"ledger.sqlite3{suffix}"])
    try:
        with closing(sqlite3.connect(copy)) as db:
            return Seen(files, state, *_read(db))
    except (sqlite3.Error, UnicodeDecodeError):
        return Seen(files, state, "broken")


def _read(db: sqlite3.Connection) -> tuple[str, dict[FrameRef, Row], tuple[Ingested, ...]]:
    if not db.execute("SELECT 1 FROM sqlite_master").fetchall():
        return "none", {}, ()  # an empty file is as good as none
    if db.execute("PRAGMA integrity_check(1)").fetchone()[0] != "ok":
        return "broken", {}, ()
    states = ("pending", "mirrored", "failed")
    refs: dict[int, FrameRef] = {}
    rows: dict[FrameRef, Row] = {}
    for row, *ids, state, reason, size, digest in db.execute(
        "SELECT f.id, workspace_id, root_id, frame_id, state, reason, size, sha256"
        " FROM frames f JOIN sequences s ON s.id = f.sequence ORDER BY f.id"
    ):
        refs[row] = FrameRef(*ids)
        if states[state] == "mirrored":
            rows[refs[row]] = Row("mirrored", reason, size, digest)
        else:  # what it was, when it was mirrored once
            rows[refs[row]] = Row(states[state], reason, lost=digest is not None)
    exports = db.execute("SELECT id, path, sha256 FROM exports ORDER BY id").fetchall()
    named: dict[int, set[FrameRef]] = {export: set() for export, _, _ in exports}
    for export, row in db.execute("SELECT export, frame FROM export_frames"):
        named[export].add(refs[row])
    known = tuple(Ingested(path, sha, frozenset(named[each])) for each, path, sha in exports)
    return "good", rows, known


class Platform:
    """Frames and their pictures, which may be replaced; which of them goes wrong, and how.

    Each picture has its ids in its bytes, so that a copy of it that was forgotten is found by them.
    """

    def __init__(self) -> None:
        self.sequences: list[tuple[str, str, list[str]]] = []
        self.versions: dict[FrameRef, int] = {}
        self.permanent: dict[str, tuple[str, Fault]] = {}
        self.transient: list[Fault] = []
        self._made = 0
        self.simulator = self._simulator()

    def add_sequence(self, frames: int, workspace: str = "east", root: str | None = None) -> None:
        """A sequence of so many frames; the first of each has the same id everywhere."""
        self._made += 1
        root = root or f"root{self._made:03}"
        ids = ["common", *(f"frame{self._made:03}{n}" for n in range(1, frames))]
        self.sequences.append((workspace, root, ids))
        self.versions.update(dict.fromkeys((FrameRef(workspace, root, each) for each in ids), 0))

    def refs(self) -> list[FrameRef]:
        """Every frame there is or was."""
        return list(self.versions)

    def picture(self, ref: FrameRef, version: int) -> bytes:
        """One picture of a frame; the first two are of one size."""
        return png(f"{' '.join(ref)} v{version}", 200 + 40 * (version // 2 % 2))

    def truth(self, ref: FrameRef) -> bytes:
        """What the platform gives for a frame now."""
        return self.picture(ref, self.versions[ref])

    def ever(self, ref: FrameRef) -> set[bytes]:
        """Everything it gave for this frame at any time."""
        return {self.picture(ref, version) for version in range(self.versions[ref] + 1)}

    def reason(self, ref: FrameRef) -> str | None:
        """Why a frame fails, if it does."""
        found = self.permanent.get(ref.frame_id)
        return found[0] if found else None

    async def restart(self) -> None:
        """Forget every request, token, URL and attempt; the plan is the present one."""
        await self.close()
        self.simulator = self._simulator()
        await self.open()

    async def open(self) -> None:
        await self.simulator.__aenter__()
        self.put(self.versions)

    async def close(self) -> None:
        await self.simulator.__aexit__(None, None, None)

    def put(self, refs: Iterable[FrameRef]) -> None:
        """Have the simulator give what is true of these frames."""
        for ref in refs:
            self.simulator.add_frame(*ref, self.truth(ref))

    def _simulator(self) -> Simulator:
        faults = [about(fault, [frame]) for frame, (_, fault) in self.permanent.items()]
        return Simulator(
            Dataset(DatasetSpec(1, 0, 300)), plan=FaultPlan([*faults, *self.transient])
        )


def about(fault: Fault, frames: list[str]) -> Fault:
    """The same fault, for these frame ids alone."""
    (hop,) = fault.hops
    return Fault(fault.action, hop, frames, fault.attempts[0], limit=fault.limit, **fault.params)


def write_export(path: Path, refs: Iterable[FrameRef]) -> None:
    """An export that names these frames, some of them twice; every third frame has a label."""
    groups: dict[tuple[str, str], list[str]] = {}
    for ref in refs:
        groups.setdefault(ref[:2], []).append(ref.frame_id)
    document = [
        {
            "workspaceId": workspace,
            "rootId": root,
            "featureSet": [
                {"id": frame, "labels": [{"code": LABEL}] if labelled(frame) else []}
                for frame in [*frames, frames[0]]
            ],
        }
        for (workspace, root), frames in groups.items()
    ]
    path.write_text(json.dumps({"sequences": document}))


def labelled(frame_id: str) -> bool:
    return int(frame_id[-1], 36) % 3 == 1


def harm_ledger(state: Path, how: str, where: int) -> None:
    """Lose the ledger, or some of its bytes."""
    path = state / "ledger.sqlite3"
    parts = [path.with_name(path.name + suffix) for suffix in ("", "-wal", "-shm")]
    if how == "gone":
        for part in parts:
            part.unlink(missing_ok=True)
    elif how == "database gone":
        path.unlink(missing_ok=True)
    elif how == "log gone":
        for part in parts[1:]:
            part.unlink(missing_ok=True)
    elif path.exists():
        body = bytearray(path.read_bytes())
        page = 4096 * (where % max(1, len(body) // 4096))
        if how == "page":
            body[page : page + 4096] = b"\xff" * 4096
        elif how == "header":
            body[:16] = b"no database here"
        else:
            del body[page + 1000 :]
        path.write_bytes(body)


HARM = ("gone", "database gone", "log gone", "page", "header", "cut")
