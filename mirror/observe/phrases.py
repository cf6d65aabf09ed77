"""What a tally looks like in words: plain functions, no terminal, no clock of their own."""

from __future__ import annotations

from collections.abc import Iterable

from mirror.events import Stopping, Verifying
from mirror.observe.tally import Pause, Tally
from mirror.observe.text import printable, redact

HOSTS = {"login": "API", "resolve": "API", "download": "store"}
"""Which host a hop talks to, in the users' words."""

_UNITS = ("kB", "MB", "GB", "TB", "PB")


def size(octets: float) -> str:
    """Bytes in decimal units: 88.1 MB."""
    if octets < 1000:
        return f"{octets:.0f} B"
    power = 0
    while octets >= 999.5 and power < len(_UNITS):
        octets /= 1000
        power += 1
    digits = 0 if octets >= 99.5 else 1
    return f"{octets:.{digits}f} {_UNITS[power - 1]}"


def duration(seconds: float) -> str:
    """Seconds in the two largest units: 1 h 12 min."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02} s"
    if whole < 48 * 3600:
        return f"{whole // 3600} h {whole % 3600 // 60:02} min"
    return f"{whole // 86400} days {whole % 86400 // 3600} h"


def percent(tally: Tally) -> str:
    """How much is settled, rounded down so that 100 % means all."""
    if not tally.total:
        return "100 %" if tally.finished else "0 %"
    return f"{100 * tally.settled // tally.total} %"


def number(amount: int, one: str, many: str | None = None) -> str:
    """An amount with its noun."""
    return f"{amount:,} {one if amount == 1 else many or one + 's'}"


def progress(tally: Tally) -> list[str]:
    """How far the run is and how fast."""
    rates = tally.rates()
    parts = [f"{tally.settled:,} of {number(tally.total, 'frame')}"]
    if tally.running:
        speed = f"{rates.frames:,.0f}/s" if rates.frames >= 9.95 else f"{rates.frames:.1f}/s"
        parts += [speed, f"{size(rates.bytes)}/s"]
        parts.append("time left unknown" if rates.left is None else f"{duration(rates.left)} left")
    else:
        parts += [size(tally.bytes), duration(tally.elapsed)]
    return parts


def preparation(tally: Tally) -> str:
    """What is done before the plan stands, or without one."""
    if tally.verifying is not None:
        return verification(tally.verifying, tally.elapsed)
    what = clean(tally.preparing)
    return what[:1].upper() + what[1:]


def verification(event: Verifying, seconds: float) -> str:
    """How far a verification is after so many seconds, and what is left of it."""
    parts = [f"Verifying {event.frames:,} of {number(event.recorded, 'frame')}", size(event.size)]
    if seconds > 0 and event.frames:
        parts.append(f"{size(event.size / seconds)}/s")
        parts.append(f"{duration(seconds * (event.recorded / event.frames - 1))} left")
    if event.damaged:
        parts.append(f"{event.damaged:,} damaged")
    return " · ".join(parts)


def traffic(tally: Tally) -> list[str]:
    """What is in flight, and what went wrong so far."""
    flights = {
        "API": tally.in_flight["login"] + tally.in_flight["resolve"],
        "store": tally.in_flight["download"],
    }
    limits = {HOSTS[hop]: limit for hop, limit in tally.limits.items()}
    parts = [
        f"{host} {flying} of {limits[host]} in flight"
        if host in limits
        else f"{host} {flying} in flight"
        for host, flying in flights.items()
        if tally.running
    ]
    return [*parts, *troubles(tally)]


def troubles(tally: Tally) -> list[str]:
    """Retries and failures, where there are any."""
    parts = []
    if tally.retries:
        parts.append(number(tally.retries, "retry", "retries"))
    if tally.failed:
        parts.append(f"{tally.failed:,} failed")
    return parts


def paused(pause: Pause, now: float) -> str:
    """What is waited for, and when it is tried next."""
    wait = max(0.0, pause.until - now)
    when = f"trying again in {duration(wait)}" if wait >= 0.5 else "trying again now"
    return f"The {HOSTS[pause.hop]} does not answer ({word(pause.reason)}): {when}"


def hindrances(tally: Tally) -> list[str]:
    """Why it does not go on at full speed: hosts that are waited for, a stop."""
    now = tally.clock()
    lines = [paused(pause, now) for pause in tally.paused.values()]
    if tally.stopping is not None and tally.finished is None:
        lines.append(stopping(tally.stopping))
    return lines


def stopping(event: Stopping) -> str:
    """That intake has stopped, and how long that may take."""
    return (
        f"Stopping ({clean(event.cause)}): what is in flight may finish,"
        f" for {duration(event.grace)} at most"
    )


def word(reason: str) -> str:
    """A reason word as people read it."""
    return clean(reason).replace("_", " ")


def clean(text: str) -> str:
    """Text of others, fit to be shown."""
    return printable(redact(text))


def pack(parts: Iterable[str], width: int, separator: str = " · ") -> list[str]:
    """The parts on as few lines of `width` characters as they need; a part is never split."""
    lines: list[str] = []
    for part in parts:
        if lines and len(lines[-1]) + len(separator) + len(part) <= width:
            lines[-1] += separator + part
        else:
            lines.append(part)
    return lines
