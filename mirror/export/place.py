"""How an export's errors are told: one sentence that names the file, the place, what was expected.

Everything from an export is hostile text, so it is shown escaped and shortened. Places are counted
from 0, as in the platform's guide (`annotation_data["sequences"][n]`); bytes are counted from the
start of the file. msgspec's sentences are read for their place and their words only.
"""

from __future__ import annotations

import codecs
import re
from pathlib import Path

from mirror.errors import ExportError

_LONGEST = 80
_BLOCK = 1024**2
_BYTE = re.compile(r"^(?:JSON is malformed: )?(.*?) \(byte (\d+)\)$", re.DOTALL)
_WHERE = re.compile(r"^(.*?) - at (?:`key` in )?`\$\.?([^`]*)`$", re.DOTALL)
_JSON_TYPES = {"str": "string", "int": "number", "float": "number", "bool": "boolean"}
_TYPE = re.compile(r"`((?:object|array|str|int|float|bool|null)\b(?: \| [a-z]+)*)`")
_AGAIN = "download the export again"


def shown(text: str) -> str:
    """`text` in quotes, safe to print: only ASCII, control characters escaped, shortened."""
    quoted = ascii(text[:_LONGEST])
    return f"{quoted[:-1]}…{quoted[-1]}" if len(text) > _LONGEST else quoted


def named(path: Path) -> str:
    """How messages call the export at `path`."""
    return f"Export {str(path)!a}"


def of_sequence(path: Path, index: int, root_id: str) -> str:
    """The place of one entry of `sequences`."""
    known = f" (rootId {shown(root_id)})" if root_id else ""
    return f"{named(path)}, sequence {index}{known}"


def wrong_shape(place: str, error: Exception, within: str = "") -> ExportError:
    """Valid JSON of another shape than an export's; `error` is msgspec's, about what `within` is.

    What follows the place names the field as the platform's guide would: `labels[0].code`.
    """
    found = _WHERE.match(str(error))
    what, where = found.groups() if found else (str(error), "")
    what = _TYPE.sub(_in_json_words, what).replace("`", "'")
    field = f", {within}{where}" if within or where else ""
    return ExportError(f"{place}{field}: {what[0].lower()}{what[1:]}; {_AGAIN} or mend it.")


def _in_json_words(found: re.Match[str]) -> str:
    names = (_JSON_TYPES.get(name, name) for name in found[1].split(" | "))
    return " or ".join(dict.fromkeys(names))


def broken_json(path: Path, view: memoryview, start: int, error: Exception) -> ExportError:
    """Not JSON. `view` is the file from byte `start` on; `error` is msgspec's."""
    found = _BYTE.match(str(error))
    if found:
        # msgspec has stepped over the first trailing character when it reports
        byte = start + int(found[2]) - (found[1] == "trailing characters")
        return ExportError(
            f"{named(path)}, byte {byte}: the JSON is broken ({found[1]}); {_AGAIN}."
        )
    return ExportError(
        f"{named(path)}, byte {start + len(view)}: the file ends in the middle of the JSON;"
        f" {_AGAIN}."
    )


def bad_utf8(place: str, view: memoryview, start: int) -> ExportError:
    """Text that is not UTF-8: the first such byte of the file is named."""
    return ExportError(
        f"{place}: the text is not UTF-8 (first at byte {start + first_bad_utf8(view)} of the"
        f" file); {_AGAIN}."
    )


def too_deep(place: str) -> ExportError:
    """Objects or lists nested beyond what any export needs, and any parser survives."""
    return ExportError(f"{place}: lists or objects are nested too deeply; this is no export.")


def first_bad_utf8(view: memoryview) -> int:
    """The offset of the first byte that is not UTF-8; the length where all is well."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    for offset in range(0, len(view), _BLOCK):
        pending = len(decoder.getstate()[0])
        try:
            block = view[offset : offset + _BLOCK]
            decoder.decode(block, final=offset + _BLOCK >= len(view))
        except UnicodeDecodeError as error:
            return offset - pending + error.start
    return len(view)
