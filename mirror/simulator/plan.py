"""The fault plan: which request goes wrong, and how. What an action does is in `catalogue`.

A plan is an ordered tuple of rules; the first that covers a request acts, and no other. A rule
covers a hop, some frames (all, by pattern, or a fraction that is stable for an id) and some
attempts (counted for each frame and hop, from 1). `after` and `limit` make a burst of a rule.
"""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from hashlib import blake2b
from pathlib import Path
from types import MappingProxyType

from mirror.simulator.catalogue import ACTIONS, Action

HOPS = ("login", "resolve", "download")
Frames = str | float | Iterable[str]
Attempts = int | str | Iterable[int] | None
_COMMON = ("action", "hop", "frames", "attempts", "after", "limit")


class PlanError(ValueError):
    """A plan is wrong; the message names the rule and the key."""


@dataclass(frozen=True, slots=True, init=False)
class Fault:
    """One rule. Raises `PlanError` for anything it can't mean."""

    action: str
    hops: frozenset[str]
    frames: tuple[str, ...] | float
    attempts: tuple[range, ...]
    after: int
    limit: int | None
    params: Mapping[str, object]

    def __init__(
        self,
        action: str,
        hop: str | None = None,
        frames: Frames = "*",
        attempts: Attempts = None,
        after: int = 0,
        limit: int | None = None,
        **params: object,
    ) -> None:
        known = _known_action(action)
        values = {
            "action": action,
            "hops": _read_hops(known, hop),
            "frames": _read_frames(frames),
            "attempts": _read_attempts(attempts),
            "after": _read_count("after", after, 0),
            "limit": None if limit is None else _read_count("limit", limit, 1),
            "params": MappingProxyType(_read_params(known, params)),
        }
        for name, value in values.items():
            object.__setattr__(self, name, value)

    def covers(self, hop: str, frame_id: str | None, attempt: int) -> bool:
        """Whether this rule is about such a request."""
        return (
            hop in self.hops
            and any(attempt in some for some in self.attempts)
            and (frame_id is None or self.covers_frame(frame_id))
        )

    def covers_frame(self, frame_id: str) -> bool:
        """Whether this rule is about such a frame; always the same answer for an id."""
        if isinstance(self.frames, float):
            digest = blake2b(f"{self.action} {frame_id}".encode(), digest_size=8).digest()
            return int.from_bytes(digest, "big") < self.frames * 2**64
        return any(fnmatchcase(frame_id, pattern) for pattern in self.frames)


@dataclass(frozen=True, slots=True)
class FaultPlan:
    """Rules in order of precedence. The empty plan lets everything go well."""

    faults: tuple[Fault, ...] = ()

    def __init__(self, faults: Iterable[Fault] = ()) -> None:
        object.__setattr__(self, "faults", tuple(faults))

    @classmethod
    def load(cls, path: Path) -> FaultPlan:
        """Read a TOML file with `[[fault]]` tables. `PlanError` names file, rule and key."""
        try:
            return cls.parse(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise PlanError(f"{path}: can't be read: {error.strerror}") from None
        except UnicodeDecodeError:
            raise PlanError(f"{path}: is not UTF-8 text") from None
        except PlanError as error:
            raise PlanError(f"{path}: {error}") from None

    @classmethod
    def parse(cls, text: str) -> FaultPlan:
        """Read a plan from TOML text."""
        try:
            document = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise PlanError(f"is not TOML: {error}") from None
        for name in document:
            if name != "fault":
                raise PlanError(f"{name!r} is unknown; a plan is made of [[fault]] tables")
        rules = document.get("fault", [])
        if not isinstance(rules, list):
            raise PlanError("'fault' is one table; write [[fault]] with two brackets")
        return cls(_read_rule(number, rule) for number, rule in enumerate(rules, 1))


class Chooser:
    """Picks the fault for a request and counts, for `after` and `limit`."""

    def __init__(self, plan: FaultPlan) -> None:
        self._plan = plan
        self._seen = [0] * len(plan.faults)

    def choose(self, hop: str, frame_id: str | None, attempt: int, *, reused: bool) -> Fault | None:
        """The rule that acts on this request. `reused`: its connection carried one before."""
        for number, fault in enumerate(self._plan.faults):
            if not fault.covers(hop, frame_id, attempt):
                continue
            if ACTIONS[fault.action].only_reused and not reused:
                continue
            self._seen[number] += 1
            count = self._seen[number] - fault.after
            if count > 0 and (fault.limit is None or count <= fault.limit):
                return fault
        return None


def _read_rule(number: int, rule: object) -> Fault:
    if not isinstance(rule, dict):
        raise PlanError(f"rule {number}: is no table; write [[fault]] above its keys")
    name = rule.get("action")
    if not isinstance(name, str):
        raise PlanError(f"rule {number}: 'action' is missing or no text")
    try:
        return Fault(**rule)
    except PlanError as error:
        raise PlanError(f"rule {number} ({name}): {error}") from None


def _known_action(name: str) -> Action:
    if name not in ACTIONS:
        raise PlanError(f"{name!r} is no action{_hint(name, ACTIONS)}")
    return ACTIONS[name]


def _read_hops(action: Action, hop: str | None) -> frozenset[str]:
    if hop is None:
        return frozenset((action.hops[0],))
    hops = HOPS if hop == "*" else (hop,)
    for one in hops:
        if one not in action.hops:
            allowed = ", ".join(action.hops)
            raise PlanError(f"hop is {hop!r}: this action works on {allowed}")
    return frozenset(hops)


def _read_frames(frames: Frames) -> tuple[str, ...] | float:
    if isinstance(frames, str):
        return (frames,)
    if isinstance(frames, (int, float)):
        if isinstance(frames, bool) or not 0 <= frames <= 1:
            raise PlanError(f"frames is {frames!r}: a pattern, a list of them, or 0 to 1")
        return float(frames)
    patterns = tuple(frames) if isinstance(frames, Iterable) else (frames,)
    if not all(isinstance(pattern, str) for pattern in patterns):
        raise PlanError(f"frames is {frames!r}: a pattern, a list of them, or 0 to 1")
    return patterns


def _read_attempts(attempts: Attempts) -> tuple[range, ...]:
    forever = 1 << 62
    problem = PlanError(f"attempts is {attempts!r}: 2, [1, 3], '1-3' or '2-' is allowed, from 1")
    if attempts is None:
        return (range(1, forever),)
    if isinstance(attempts, range):
        return (attempts,)
    if isinstance(attempts, str):
        first, dash, last = attempts.partition("-")
        if not first.isdecimal() or (last and not last.isdecimal()):
            raise problem
        end = int(last) + 1 if last else forever if dash else int(first) + 1
        found: tuple[range, ...] = (range(int(first), end),)
    else:
        numbers = (attempts,) if isinstance(attempts, int) else attempts
        try:
            found = tuple(range(number, number + 1) for number in numbers)
        except TypeError:
            raise problem from None
    if not found or any(some.start < 1 or len(some) == 0 for some in found):
        raise problem
    return found


def _read_count(name: str, value: object, least: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise PlanError(f"{name} is {value!r}: a whole number from {least} on is allowed")
    return value


def _read_params(action: Action, given: Mapping[str, object]) -> dict[str, object]:
    for name, value in given.items():
        if name not in action.params:
            own = ", ".join(action.params) or "none"
            hint = _hint(name, (*action.params, *_COMMON))
            raise PlanError(f"{name!r} is no key of this action{hint}; its own keys: {own}")
        wrong = action.params[name].problem(value)
        if wrong is not None:
            raise PlanError(f"{name} is {value!r}: {wrong}")
    return dict(given)


def _hint(name: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(name, list(known), n=1)
    return f" (did you mean {close[0]!r}?)" if close else ""
