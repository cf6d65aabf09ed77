"""Codes as words that a tab-separated file can hold. No I/O."""

from __future__ import annotations

from collections.abc import Iterable

UNLABELLED = "unlabelled"
"""What a frame is called that no phase covers."""
LONGEST = 100
"""Characters of a word, which stands in a line for each frame."""
_TAKEN = (UNLABELLED, "Frame")


def words_of(codes: Iterable[str]) -> dict[str, str]:
    """A word for each distinct code, no two alike: the code itself, where it is one word; else
    with `_` in place of blanks, double quotes and what can't be seen, cut after 100 characters, and
    a number where that is taken."""
    distinct = sorted(set(codes))
    words = {code: code for code in distinct if _word(code) == code and code not in _TAKEN}
    taken = {*_TAKEN, *words}
    for code in distinct:
        if code not in words:
            words[code] = _free(_word(code), taken)
            taken.add(words[code])
    return words


def _word(code: str) -> str:
    seen = ("_" if each in ' "' or not each.isprintable() else each for each in code[:LONGEST])
    return "".join(seen)


def _free(word: str, taken: set[str]) -> str:
    free, number = word, 1
    while free in taken:
        number += 1
        free = f"{word}_{number}"
    return free
