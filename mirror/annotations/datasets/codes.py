"""Which label codes a format can take: they come from an export, and may become parts of files."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable

from mirror.errors import UsageError

_FILE_NAME = re.compile(r"\w[\w .()+-]*")


def refuse_codes(name: str, codes: Iterable[str], *, file_names: bool) -> None:
    """Raise `UsageError` where a label code would break the format; `file_names`: where it becomes
    part of one."""
    for code in codes:
        if not code.isprintable() or (file_names and not _FILE_NAME.fullmatch(code)):
            raise UsageError(
                f"The label code {code!a} can't be written as {name}: choose other labels with"
                " --label, or another format."
            )


def refuse_shared_files(name: str, codes: Iterable[str], splits: Iterable[str]) -> None:
    """Raise `UsageError` where the list of a split and of a label in one (`CODE_SPLIT`), or those
    of two labels, would be one file."""
    known = list(splits)
    files = [*known, *(f"{code}_{split}" for code in codes for split in known)]
    counts = Counter(file.casefold() for file in files)
    shared = sorted(file for file, count in counts.items() if count > 1)
    if shared:
        raise UsageError(
            f"--to {name} would have two lists in one file, {shared[0]!a}: name the splits"
            " otherwise."
        )
