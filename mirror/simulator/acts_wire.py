"""Actions below HTTP: answers cut off, stalled, dripped, unsized, or never begun."""

from __future__ import annotations

from typing import Literal

from mirror.simulator.script import (
    Cut,
    Drip,
    Hang,
    Reset,
    Script,
    Send,
    Situation,
    Step,
    Wait,
    head,
    part,
    sized_head,
    unsized_head,
)


def close(_: Situation, *, how: Literal["fin", "reset"] = "fin") -> Script:
    """The connection ends before an answer begins."""
    return Script(None, (Reset(),) if how == "reset" else ())


def stale_close(_: Situation, *, how: Literal["fin", "reset"] = "fin") -> Script:
    """As close, but only on a connection that has carried a request before."""
    return Script(None, (Reset(),) if how == "reset" else ())


def hang(_: Situation) -> Script:
    """The request is read and never answered."""
    return Script(None, (Hang(),))


def delay(s: Situation, *, seconds: float = 1.0) -> Script:
    """The right answer, late."""
    answer = s.answer()
    return Script(answer.status, (Wait(seconds), answer))


def reset_mid_body(s: Situation, *, at: float = 0.5) -> Script:
    """Part of the body, then a TCP reset."""
    return _cut_off(s, at, Reset())


def early_fin(s: Situation, *, at: float = 0.5) -> Script:
    """Part of the announced body, then an orderly end of the connection."""
    return _cut_off(s, at)


def tls_cut(s: Situation, *, at: float = 0.5) -> Script:
    """Part of the announced body, then a FIN without TLS's close_notify."""
    return _cut_off(s, at, Cut())


def stall(s: Situation, *, at: float = 0.5) -> Script:
    """Part of the body, then nothing, the connection open."""
    return _cut_off(s, at, Hang())


def _cut_off(s: Situation, at: float, *end: Step) -> Script:
    answer = s.answer()
    some = answer.body[: part(answer.body, at)]
    return Script(answer.status, (Send(sized_head(answer) + some), *end))


def drip(s: Situation, *, at: float = 0.0, size: int = 1, interval: float = 1.0) -> Script:
    """Part of the body, the rest `size` bytes at a time, `interval` seconds apart."""
    answer = s.answer()
    start = part(answer.body, at)
    quick, slow = answer.body[:start], answer.body[start:]
    return Script(answer.status, (Send(sized_head(answer) + quick), Drip(slow, size, interval)))


def short_chunked(s: Situation, *, at: float = 0.5) -> Script:
    """A chunked body, properly ended, that holds only part of the bytes."""
    answer = s.answer().with_headers(Transfer_Encoding="chunked", Connection="close")
    some = answer.body[: part(answer.body, at)]
    chunk = b"%x\r\n%b\r\n" % (len(some), some) if some else b""
    return Script(
        answer.status, (Send(head(answer.status, answer.headers) + chunk + b"0\r\n\r\n"),)
    )


def no_content_length(s: Situation, *, at: float = 1.0) -> Script:
    """A body that ends with the connection; where at < 1 it ends early and looks whole."""
    answer = s.answer()
    some = answer.body[: part(answer.body, at)]
    return Script(answer.status, (Send(unsized_head(answer) + some),))


def pause_before_fin(s: Situation, *, seconds: float = 1.0) -> Script:
    """The whole body without a length, a pause, then the end of the connection."""
    answer = s.answer()
    return Script(answer.status, (Send(unsized_head(answer) + answer.body), Wait(seconds)))
