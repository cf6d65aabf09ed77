"""Frames of a sequence by the names of files alone, for what the ledger does not know any more: it
was lost, and no export that was given since names them.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from string import Formatter

from mirror.frames import check_id
from mirror.store.audit import SequenceName
from mirror.store.destination import SET_ASIDE
from mirror.store.directories import Directories
from mirror.store.layout import STATE, Layout


def stray_frames(layout: Layout, sequence: SequenceName, directories: Directories) -> set[str]:
    """Ids of frames with a file at their name, or a copy of one set aside, that can only be
    `sequence`'s, or that of the same root in another workspace. None where the template lets ids
    run together. Raises `OSError`.
    """
    if layout.sharing == "any":
        return set()
    known = {"workspace_id": sequence.workspace_id, "root_id": sequence.root_id}
    parts = layout.template.split("/")
    found = set(_walk(directories, "", parts, known, ""))
    return found.union(_walk(directories, f"{STATE}/{SET_ASIDE}", parts, known, r"\.[0-9]+"))


def _walk(
    directories: Directories, place: str, parts: Sequence[str], known: dict[str, str], suffix: str
) -> Iterator[str]:
    part, *rest = parts
    pattern = re.compile(_pattern(part, known) + ("" if rest else suffix))
    for name in _names(directories, place, folders=bool(rest)):
        match = pattern.fullmatch(name)
        if match is None:
            continue
        now = known | match.groupdict()
        if rest:
            yield from _walk(directories, f"{place}/{name}".lstrip("/"), rest, now, suffix)
        elif "frame_id" in now and check_id(now["frame_id"]) is None:
            yield now["frame_id"]


def _pattern(part: str, known: dict[str, str]) -> str:
    """What a name looks like that this part of a template makes; the frame's id is a group."""
    made, grouped = "", False
    for literal, name, _, _ in Formatter().parse(part):
        made += re.escape(literal)
        if name is None:
            continue
        if name in known:
            made += re.escape(known[name])
        else:
            made += "(?P=frame_id)" if grouped else "(?P<frame_id>.+)"
            grouped = True
    return made


def _names(directories: Directories, place: str, *, folders: bool) -> list[str]:
    """The folders in a folder, or all else."""
    try:
        with os.scandir(directories.find(place)) as entries:
            return [
                entry.name for entry in entries if entry.is_dir(follow_symlinks=False) is folders
            ]
    except FileNotFoundError:
        return []
