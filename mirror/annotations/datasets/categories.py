"""Which number each label code has in an image dataset; numbers stay when the exports grow."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Self

import msgspec

from mirror.errors import DestinationError, UsageError


class Category(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`id`: from 0. `name`: for people, as the export had it when the code was first met."""

    id: int
    code: str
    name: str


class _Map(msgspec.Struct, forbid_unknown_fields=True):
    categories: list[Category]


class Categories:
    """Label codes in the order of their ids, which are 0, 1, 2, … without a gap."""

    def __init__(self, known: tuple[Category, ...] = ()) -> None:
        self._known = list(known)
        self._ids = {each.code: each.id for each in known}

    @classmethod
    def load(cls, path: Path | None) -> Self:
        """What `save` wrote; none where `path` is None. Raises `UsageError` where the file is no
        such map, `DestinationError` where it can't be read."""
        if path is None:
            return cls()
        try:
            found = msgspec.json.decode(path.read_bytes(), type=_Map).categories
        except OSError as error:
            raise DestinationError(f"{str(path)!a} can't be read: {error.strerror}.") from None
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise _damaged(path, str(error)) from None
        if [each.id for each in found] != list(range(len(found))):
            raise _damaged(path, "the ids are not 0, 1, 2, … in order")
        if len({each.code for each in found}) < len(found):
            raise _damaged(path, "a code is there twice")
        return cls(tuple(found))

    def save(self, path: Path) -> None:
        """As JSON, a category a line, for `load` and for people."""
        lines = (json.dumps(msgspec.to_builtins(each), ensure_ascii=False) for each in self._known)
        path.write_text('{"categories": [\n' + ",\n".join(lines) + "\n]}\n", encoding="utf-8")

    def take_in(self, names: Mapping[str, str]) -> None:
        """Number the codes that are new, sorted, after those that are known; name by code."""
        for code in sorted(names.keys() - self._ids.keys()):
            self._ids[code] = len(self._known)
            self._known.append(Category(len(self._known), code, names[code]))

    def id_of(self, code: str) -> int:
        """Of a code that was taken in."""
        return self._ids[code]

    @property
    def codes(self) -> list[str]:
        """In the order of their ids."""
        return [each.code for each in self._known]

    def __iter__(self) -> Iterator[Category]:
        return iter(self._known)

    def __len__(self) -> int:
        return len(self._known)

    def __repr__(self) -> str:
        return f"<Categories {self.codes}>"


def _damaged(path: Path, why: str) -> UsageError:
    return UsageError(
        f"{str(path)!a} does not hold the numbers of labels: {why}. Bring back the file that"
        " `mirror annotations` wrote, or write to another folder, with new numbers."
    )
