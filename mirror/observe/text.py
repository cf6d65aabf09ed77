"""Makes untrusted text fit for a terminal or a log line: nothing that moves a cursor, no secret.

Ids and details come from an export and from hosts. Messages are made without secrets where they
are raised; `redact` is the last line of defence, not the first.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import orjson

REDACTED = "[redacted]"

# Cc: control, Cf: format (bidi, zero width), Cs: lone surrogates, Zl/Zp: line breaks of their own
_UNFIT = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})

_RULES: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"(?i)\b(https?://)[^\s/?#@\"'<>]*@"), rf"\1{REDACTED}@"),
    (re.compile(r"(?i)\b(https?://[^\s?#\"'<>]*)[?#][^\s\"'<>]*"), rf"\1?{REDACTED}"),
    (re.compile(r"(?i)\b(bearer|basic)\s+[\w.~+/=-]{6,}"), rf"\1 {REDACTED}"),
    (re.compile(r"\beyJ[\w-]+\.[\w-]+(\.[\w-]*)?"), REDACTED),
    (re.compile(r"(?i)\b(x-amz-[\w-]+|awsaccesskeyid|signature)=[^&\s\"'<>]+"), rf"\1={REDACTED}"),
    (
        re.compile(r"(?i)\b(password|access_token|http_token)(\\?[\"']?\s*[=:]\s*)[^\s&,}]+"),
        rf"\1\2{REDACTED}",
    ),
)


def redact(text: str) -> str:
    """`text` without the query strings of URLs, tokens, signatures and passwords."""
    for pattern, replacement in _RULES:
        text = pattern.sub(replacement, text)
    return text


def printable(text: str) -> str:
    """`text` on one line, with control, bidi and other invisible characters escaped."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        char if unicodedata.category(char) not in _UNFIT else _escape(char) for char in text
    )


def _escape(char: str) -> str:
    return char.encode("unicode_escape").decode("ascii")


def trace_text(trace: str) -> str:
    """A traceback on several lines, each indented, so that none can pose as a line of the log."""
    return "\n".join(f"  {printable(line)}" for line in redact(trace).splitlines())


def stamp(at: datetime) -> str:
    """UTC to the second, as the log writes it."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def json_text(values: Mapping[str, Any]) -> str:
    """One object on one line, in the style of every line for machines: compact, in this order."""
    return orjson.dumps(values).decode()
