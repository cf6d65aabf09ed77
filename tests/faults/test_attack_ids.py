"""Ids that attack: the file system, the request, the log (attacks 1 to 5, 8 and 24)."""

from __future__ import annotations

import json
import re
import sqlite3
import unicodedata
from hashlib import sha256
from pathlib import Path

import pytest

from mirror.simulator import Dataset, Fault
from mirror.simulator.answers import Answer
from mirror.simulator.request import Received
from tests.e2e.command import environment, mirror
from tests.faults.attack_kit import ended, reasons, refusal, tree, twist, write_export
from tests.faults.kit import SMALL, frames_at, site

GOOD = Dataset(SMALL)
WORKSPACE, ROOT = GOOD.workspace_id, GOOD.root_ids[0]
FINE = next(iter(GOOD.frame_ids()))

OUTSIDE = [
    *("../evil", "../../evil", "/etc/evil", "//evil", "a/b", "a/../../evil", "./evil", "~/evil"),
    *("..\\evil", "C:\\evil", "C:evil", "\\\\host\\share", "a\\..\\..\\evil", "evil:stream"),
    # overlong and doubled escapes, which something on the way may undo
    *("..%2fevil", "%2e%2e%2fevil", "%2e%2e", "..%252fevil", "..%c0%afevil", "%c0%ae%c0%ae"),
    # characters that some file systems fold to dots and slashes
    *(
        "\uff0e\uff0e\uff0fevil",
        "\u2024\u2024/evil",
        "..\u2215evil",
        "..\u2044evil",
        "..\uff3cevil",
    ),
]
CONTROL = [
    *(
        "evil\0.txt",
        "\0",
        "evil\x1b[2J",
        "evil\x7f",
        "evil\x9b31m",
        "evil\r\nX: y",
        "evil\t",
        "\x85",
    ),
    *("evil\u202egnp", "\u2066evil", "evil\u200b", "\ufeffevil", "evil\u2028", "\U000e0001evil"),
    *("é", "e\u0301", "ﬁ", "Ⅷ", "\uff45vil", "evil\u00a0", "\U0001f480"),
]
NAMES = [
    *(".", "..", "...", ".evil", ".mirror", "-evil", "--dest", "evil.", "evil..", " ", " evil"),
    *("evil ", "CON", "con", "Nul", "aux.png", "COM1", "lpt9.tar.gz", "PRN", "CON.", "nul "),
    *("COM¹", "", "*", "evil?", "evil|x", "<evil>", '"', "'", "`id`", "$(id)", "$HOME", ";id"),
]
LONG = ["x" * 201, "x" * 255, "x" * 256, "x" * 100_000, "é" * 128, "\U0001f480" * 64]
ALTERING = [
    *("a?presigned_url=False", "a#b", "a%2fb", "a%2e", "a&workspace_id=other", "a;b", "a=b"),
    *(
        "a b",
        "a+b",
        "a@evil.example",
        "a:80",
        "a//evil.example",
        "a\nHost: evil",
        "a,b",
        "a!",
        "(a)",
    ),
]


def _three(bad: object) -> list[tuple[object, object, list[object]]]:
    """The hostile id as a frame's, a root's and a workspace's."""
    return [(WORKSPACE, ROOT, [FINE, bad]), (WORKSPACE, bad, [FINE]), (bad, ROOT, [FINE])]


async def _refused_everywhere(folder: Path, hostile: list[str]) -> None:
    """Exit 65 with the place and nothing that moves a cursor; nothing written, nothing sent."""
    async with site(folder) as here:
        for bad in hostile:
            for number, sequence in enumerate(_three(bad)):
                if not bad and number:
                    continue  # an absent root or workspace is refused for another reason
                write_export(here.export, sequence)
                before = tree(folder)
                error = await refusal(here)
                told = str(error)
                assert error.exit_code == 65, (bad, told)
                where = f"(rootId {ROOT!r}), frame 1: id" if number == 0 else "sequence 0"
                assert where in told, (bad, told)
                assert told.replace("…", "").isascii(), (bad, told)
                assert told.isprintable(), (bad, told)
                assert len(told) < 1200
                assert tree(folder) == before, bad
        assert here.simulator.requests == []


async def test_attack_01_ids_that_lead_elsewhere_are_refused_and_nothing_is_touched(
    tmp_path: Path,
) -> None:
    await _refused_everywhere(tmp_path, OUTSIDE)


async def test_attack_02_control_bidi_and_foreign_characters_are_refused(tmp_path: Path) -> None:
    await _refused_everywhere(tmp_path, CONTROL)


@pytest.mark.parametrize(
    "raw", [rb"\ud800", rb"\udc80abcdef", rb"a\udfff", b"\xed\xa0\x80", b"\xc0\xae", b"\xff"]
)
async def test_attack_02_surrogates_and_broken_utf8_are_refused(tmp_path: Path, raw: bytes) -> None:
    async with site(tmp_path) as here:
        head = f'{{"sequences":[{{"rootId":"{ROOT}","workspaceId":"w","featureSet":[{{"id":"'
        here.export.write_bytes(head.encode() + raw + b'"}]}]}')
        error = await refusal(here)
        assert error.exit_code == 65
        assert "byte " in str(error) or "frame 0" in str(error)
        assert not here.dest.exists()
        assert here.simulator.requests == []


async def test_attack_03_special_and_reserved_names_are_refused(tmp_path: Path) -> None:
    await _refused_everywhere(tmp_path, NAMES)


async def test_attack_04_names_that_are_too_long_in_characters_or_bytes_are_refused(
    tmp_path: Path,
) -> None:
    await _refused_everywhere(tmp_path, LONG)


async def test_attack_04_a_template_that_makes_names_too_long_stops_before_a_request(
    tmp_path: Path,
) -> None:
    """Three ids of 200 characters are each allowed; one name of all three is none."""
    async with site(tmp_path) as here:
        ids = ("w" * 200, "r" * 200, "f" * 200)
        write_export(here.export, (ids[0], ids[1], [ids[2]]))
        report = await here.run(path_template="{workspace_id}-{root_id}-{frame_id}.png")
        assert report.exit_code == 65, report
        assert "255 bytes" in str(report.error)
        assert here.simulator.requests == []
        assert frames_at(here.dest) == {}


async def test_attack_04_the_longest_ids_there_may_be_are_mirrored(tmp_path: Path) -> None:
    async with site(tmp_path) as here:
        ids = ("w" * 200, "R" * 200, "f" * 200)
        here.simulator.add_frame(*ids, GOOD.png(FINE))
        write_export(here.export, (ids[0], ids[1], [ids[2]]))
        report = await here.run()
        assert report.exit_code == 0, report
        assert frames_at(here.dest) == {ids[2]: GOOD.png(FINE)}


TWINS: list[tuple[list[tuple[object, object, list[object]]], str]] = [
    ([("w", "r", ["Frame", "frame"])], "differ only by case"),
    ([("w", "r", ["frame", "x", "fraME"])], "differ only by case"),
    ([("w", "Root", ["a"]), ("w", "root", ["b"])], "differ only by case"),
    ([("w", "Root", ["a"]), ("v", "root", ["a"])], "differ only by case"),
    ([("w", "r", ["a"]), ("w", "r", ["A"])], "differ only by case"),
    ([("w", "r", ["a"]), ("W", "r", ["a"])], "differ only by case"),
    ([("w", "r", ["a"]), ("v", "r", ["a"])], "would be the same file"),
    ([("w", "r", ["a"]), ("v", "r", ["A"])], "would be the same file"),
    # two forms of one letter: only plain letters are allowed, so neither form is
    ([("w", "r", [unicodedata.normalize("NFC", "é"), unicodedata.normalize("NFD", "é")])], "only"),
    ([("w", "r", ["\u212a", "k"])], "only letters"),  # the Kelvin sign, which lowers to k
    ([("w", "r", ["\u0131d", "id"])], "only letters"),  # a dotless i, which raises to I
    ([("w", "r", ["stra\u00dfe", "strasse"])], "only letters"),
]


@pytest.mark.parametrize("together", [True, False])
@pytest.mark.parametrize(("sequences", "told"), TWINS)
async def test_attack_05_twins_are_found_before_the_run_starts(
    tmp_path: Path,
    sequences: list[tuple[object, object, list[object]]],
    told: str,
    together: bool,
) -> None:
    """In one export, and spread over two that are given together."""
    async with site(tmp_path) as here:
        parts = [sequences] if together else [[one] for one in sequences]
        paths = [write_export(tmp_path / f"{n}.json", *part) for n, part in enumerate(parts)]
        here.export = paths[0]
        code, message = await ended(here, request={"exports": tuple(paths)})
        assert (code, told in message) == (65, True), message
        assert here.simulator.requests == []
        assert frames_at(here.dest) == {}


@pytest.mark.parametrize(
    ("later", "told"),
    [
        ((WORKSPACE, ROOT, [FINE.upper()]), "differ only by case"),
        ((WORKSPACE, ROOT.upper(), [FINE]), "differ only by case"),
        ((WORKSPACE.upper(), ROOT, [FINE]), "differ only by case"),
        (("another-workspace", ROOT, [FINE]), "would be the same file"),
    ],
)
async def test_attack_05_a_later_export_that_clashes_with_what_is_there_is_refused(
    tmp_path: Path, later: tuple[object, object, list[object]], told: str
) -> None:
    """Nothing of it stays in the ledger: the first export is complete as before."""
    async with site(tmp_path) as here:
        here.complete(await here.run())
        there, first = frames_at(here.dest), here.export
        asked = len(here.simulator.requests)
        here.export = write_export(tmp_path / "later.json", later)
        report = await here.run()
        assert (report.exit_code, report.frames.total) == (65, 0)
        assert told in str(report.error)
        assert frames_at(here.dest) == there
        here.export = first
        here.complete(await here.run())
        assert len(here.simulator.requests) == asked


async def test_attack_05_ids_that_run_together_in_a_template_are_found(tmp_path: Path) -> None:
    """`{root_id}-{frame_id}` is `a-b-c` for two different frames."""
    async with site(tmp_path) as here:
        write_export(here.export, ("w", "a", ["b-c"]), ("w", "a-b", ["c"]))
        report = await here.run(path_template="{root_id}-{frame_id}.png")
        assert (report.exit_code, "would be the same file" in str(report.error)) == (65, True)
        assert here.simulator.requests == []


@pytest.mark.parametrize(
    "template",
    [
        "../{root_id}/{frame_id}.png",
        "/tmp/{root_id}/{frame_id}.png",
        "a/../../{root_id}/{frame_id}.png",
        ".mirror/{root_id}/{frame_id}.png",
        ".{root_id}/{frame_id}.png",
        "{root_id}/{frame_id}\\..\\x",
        "{root_id}/{frame_id!r}",
        "{root_id}/{frame_id:>300}",
        "{root_id.__class__}/{frame_id}",
        "{root_id}/{frame_id}\n",
    ],
)
async def test_attack_01_a_template_that_leads_elsewhere_is_no_setting(
    tmp_path: Path, template: str
) -> None:
    async with site(tmp_path) as here:
        before = tree(tmp_path)
        error = await refusal(here, path_template=template)
        assert error.exit_code == 78
        assert tree(tmp_path) == before


async def test_attack_05_frames_do_not_move_when_the_template_changes(tmp_path: Path) -> None:
    async with site(tmp_path) as here:
        here.complete(await here.run())
        there = frames_at(here.dest)
        code, told = await ended(here, path_template="{frame_id}/{root_id}.png")
        assert (code, "laid out as" in told) == (78, True)
        assert frames_at(here.dest) == there


# --- a ledger that somebody planted ---------------------------------------------------------------


async def _with_planted_ids(folder: Path, dest: Path, statement: str, *values: object) -> None:
    with sqlite3.connect(dest / ".mirror" / "ledger.sqlite3") as db:
        db.execute(statement, values)
    db.close()


@pytest.mark.parametrize(
    ("table", "column", "bad"),
    [
        ("frames", "frame_id", "../../outside/victim"),
        ("frames", "frame_id", "../../victim"),
        ("sequences", "root_id", ".."),
        ("sequences", "root_id", "../outside"),
        ("sequences", "root_id", ".mirror"),
    ],
)
@pytest.mark.parametrize("state", [0, 1])
async def test_attack_01_a_planted_ledger_leads_nowhere_outside(
    tmp_path: Path, table: str, column: str, bad: str, state: int
) -> None:
    """The export is known, so the run takes its frames from the ledger: nothing outside is read
    as a frame, moved or removed, by a run, `status` or `verify`."""
    outside = tmp_path / "outside"
    outside.mkdir()
    victims = [outside / "victim.png", tmp_path / "victim.png", outside / f"{FINE}.png"]
    async with site(tmp_path) as here:
        await here.run(request={"limit": 1})
        for victim in victims:
            victim.write_bytes(b"not mirror's")
        await _with_planted_ids(
            tmp_path,
            here.dest,
            f"UPDATE {table} SET {column} = ? WHERE id = (SELECT MAX(id) FROM {table})",
            bad,
        )
        if state:
            await _with_planted_ids(
                tmp_path,
                here.dest,
                "UPDATE frames SET state = 1, size = 12, sha256 = zeroblob(32), width = 1,"
                " height = 1",
            )
        before = {path: seen for path, seen in tree(tmp_path).items() if "frames/" not in path}
        report = await here.run()
        assert (report.exit_code, report.outcome) == (74, "failed")
        assert "Move the ledger away" in str(report.error)
        env = environment(here.simulator)
        for command in ("status", "verify") if "outside/victim" in bad else ():
            told = await mirror(command, here.dest, env=env)
            assert told.code in {0, 1, 2, 74}, told
        after = {path: seen for path, seen in tree(tmp_path).items() if "frames/" not in path}
        assert after == before
        if not state:
            assert not (here.dest / ".mirror" / "set-aside").exists()


async def test_attack_01_a_planted_template_is_not_believed(tmp_path: Path) -> None:
    template = "a/../../outside/{root_id}/{frame_id}.png"
    async with site(tmp_path) as here:
        here.complete(await here.run())
        for name, value in (
            ("template", template),
            ("template_sha256", sha256(template.encode()).hexdigest()),
        ):
            await _with_planted_ids(
                tmp_path, here.dest, "UPDATE about SET value = ? WHERE name = ?", value, name
            )
        before = frames_at(here.dest)
        code, told = await ended(here)
        assert (code, "laid out as" in told) == (78, True)
        verified = await mirror("verify", here.dest, env=environment(here.simulator))
        assert verified.code in {2, 74, 78}, verified
        assert frames_at(here.dest) == before
        assert not (tmp_path / "outside").exists()


# --- the request ----------------------------------------------------------------------------------


async def test_attack_08_ids_that_alter_the_request_are_refused(tmp_path: Path) -> None:
    await _refused_everywhere(tmp_path, ALTERING)


async def test_attack_08_the_strangest_ids_there_may_be_go_out_byte_for_byte(
    tmp_path: Path,
) -> None:
    """What hosts see is what the export says: nothing is quoted, joined or normalised."""
    odd = ["a..b", "a.-_b", "_", "0", "a...z", "A-_.z", "__proto__", "null", "true", "1e400"]
    odd += ["a" * 200, "index.html", "x.png", "x.png.png", "CONx", "com10", "_.mirror"]
    async with site(tmp_path) as here:
        for one in odd:
            here.simulator.add_frame("w..x", "r.-s", one, GOOD.png(FINE))
        write_export(here.export, ("w..x", "r.-s", list(odd)))
        report = await here.run()
        assert (report.exit_code, report.frames.mirrored) == (0, len(odd)), report
        targets = {one.target.decode() for one in here.simulator.requests if one.hop == "resolve"}
        assert targets == {
            f"/sequences/r.-s/frames/{one}?workspace_id=w..x&presigned_url=True" for one in odd
        }
        names = sorted(path.name for path in (here.dest / "r.-s").iterdir())
        assert names == sorted(f"{one}.png" for one in odd)


# --- the log --------------------------------------------------------------------------------------

_CURSOR = re.compile(rb"[\x00-\x09\x0b-\x1f\x7f]|\xc2[\x80-\x9f]|\xe2\x80[\x8e\x8f\xa8-\xae]")
FORGED = "2026-01-01T00:00:00Z [error    ] forged"


def _clean(raw: str) -> None:
    """No byte that moves a cursor, and no line that starts as a forged one."""
    found = _CURSOR.search(raw.encode())
    assert found is None, raw
    assert not any(line.startswith(FORGED) for line in raw.splitlines()), raw


@pytest.mark.parametrize("form", ["text", pytest.param("json", marks=pytest.mark.long)])
async def test_attack_24_nothing_from_outside_forges_a_line_or_moves_the_cursor(
    tmp_path: Path, form: str
) -> None:
    """In the export's name, ids and labels, the account's name, the destination's, the answers."""
    nasty = f"x\n{FORGED}\x1b[31m\u202e\x9b1m\r"
    export, dest = tmp_path / f"{nasty}.json", tmp_path / f"frames{nasty}"
    async with site(
        tmp_path, Fault("status", hop="resolve", frames=0.4, code=404, body=nasty)
    ) as here:
        export.write_bytes(here.export.read_bytes())
        env = environment(here.simulator, MIRROR_LOG_FORMAT=form)
        runs = [
            await mirror("sync", export, "--dest", dest, "--debug", env=env),
            await mirror("status", dest, env=env),
            await mirror("status", dest, "--failures", env=env),
            await mirror("sync", export, "--dest", dest, env=env | {"SAVANT_USERNAME": nasty}),
            await mirror("sync", export, "--dest", dest, "--sequence", nasty, env=env),
        ]
        write_export(export, (WORKSPACE, ROOT, [FINE, nasty]))
        runs.append(await mirror("sync", export, "--dest", dest, env=env))
        runs.append(await mirror("inspect", export, env=env))
        export.write_text(json.dumps({"sequences": [], nasty: 1, "a": {}}) + nasty)
        runs.append(await mirror("sync", export, "--dest", dest, env=env))
    for one in runs:
        _clean(one.err)
        _clean(one.out.replace("\t", " "))  # between the columns of a list for `cut`
        if form == "json":
            for line in one.err.splitlines():
                json.loads(line)
    assert [one.code for one in runs] == [1, 1, 1, 77, 2, 65, 65, 65]


async def test_attack_24_a_hosts_words_reach_no_report(tmp_path: Path) -> None:
    """Reason phrases, headers, bodies and PNG chunk names are not repeated as they came."""

    def speak(_: Received, answer: Answer) -> Answer:
        body = b"\x89PNG\r\n\x1a\n\0\0\0\r\x1b[2J" + b"\n" + FORGED.encode()
        return answer.with_body(body).with_headers(Server="x\x9b31m")

    async with site(tmp_path) as here:
        twist(here.simulator, "store", speak)
        env = environment(here.simulator, MIRROR_MAX_ATTEMPTS="1")
        told = await mirror("sync", here.export, "--dest", here.dest, env=env)
        assert told.code == 1
        _clean(told.err)
        _clean(told.out)
        assert set(reasons(await here.run(max_attempts=1)).values()) == {"not_png"}
