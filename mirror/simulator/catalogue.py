"""Every action a plan can name: on which hops it works, which keys it takes.

Keys, their types and their defaults are read from the action's own signature, so that there is one
place to change. `docs/simulator.md` has the table for people; a test holds the two together.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal, get_args, get_origin

from mirror.simulator import acts_answers as answering
from mirror.simulator import acts_store as refusing
from mirror.simulator import acts_wire as wire
from mirror.simulator.script import Act

_LOGIN: Final = ("login",)
_RESOLVE: Final = ("resolve",)
_API: Final = ("resolve", "login")
_STORE: Final = ("download",)
_BOTH: Final = ("download", "resolve")
_ALL: Final = ("download", "resolve", "login")
_API_FIRST: Final = ("resolve", "download", "login")

_BOUNDS: Mapping[str, tuple[float, float]] = {
    "at": (0, 1),
    "code": (200, 599),
    "count": (1, 100_000),
    "interval": (0, 3600),
    "megabytes": (1, 4096),
    "seconds": (0, 86_400),
    "size": (1, 1 << 20),
}


@dataclass(frozen=True, slots=True)
class Param:
    """One key of an action. `kind`: the annotation in the action's signature."""

    name: str
    kind: object
    default: object

    def problem(self, value: object) -> str | None:
        """What is wrong with a value for this key, or None."""
        if self.kind is object:
            return None
        if get_origin(self.kind) is Literal:
            allowed = get_args(self.kind)
            return None if value in allowed else f"one of {', '.join(allowed)} is allowed"
        if self.kind in (int, float):
            return self._number_problem(value)
        if self.kind == (str | None) or self.kind is str:
            return None if isinstance(value, str) else "text is allowed"
        sound = isinstance(value, Mapping) and all(isinstance(v, str) for v in value.values())
        return None if sound else "a table of texts is allowed"

    def _number_problem(self, value: object) -> str | None:
        low, high = _BOUNDS[self.name]
        types = (int,) if self.kind is int else (int, float)
        sound = isinstance(value, types) and not isinstance(value, bool) and low <= value <= high
        what = "a whole number" if self.kind is int else "a number"
        return None if sound else f"{what} from {low:g} to {high:g} is allowed"


@dataclass(frozen=True, slots=True)
class Action:
    """`hops`: where it works, the default first. `only_reused`: not on a fresh connection."""

    perform: Callable[..., Act]
    hops: tuple[str, ...]
    params: Mapping[str, Param]
    only_reused: bool = False

    @property
    def summary(self) -> str:
        """One sentence on what happens."""
        return inspect.getdoc(self.perform) or ""


def _action(
    perform: Callable[..., Act], hops: tuple[str, ...], *, only_reused: bool = False
) -> Action:
    found = list(inspect.signature(perform, eval_str=True).parameters.values())[1:]
    params = {p.name: Param(p.name, p.annotation, p.default) for p in found}
    return Action(perform, hops, MappingProxyType(params), only_reused)


ACTIONS: Final[Mapping[str, Action]] = MappingProxyType(
    {
        "status": _action(answering.status, _API_FIRST),
        "retry_after": _action(answering.retry_after, _API_FIRST),
        "html_error": _action(answering.html_error, _API_FIRST),
        "redirect": _action(answering.redirect, _ALL),
        "header_flood": _action(answering.header_flood, _ALL),
        "gzip_bomb": _action(answering.gzip_bomb, _ALL),
        "close": _action(wire.close, _ALL),
        "stale_close": _action(wire.stale_close, _API_FIRST, only_reused=True),
        "hang": _action(wire.hang, _ALL),
        "delay": _action(wire.delay, _ALL),
        "bad_credentials": _action(answering.bad_credentials, _LOGIN),
        "login_without_token": _action(answering.login_without_token, _LOGIN),
        "validation_error": _action(answering.validation_error, _API),
        "frame_path": _action(answering.frame_path, _RESOLVE),
        "truncated_json": _action(answering.truncated_json, _API),
        "wrong_json": _action(answering.wrong_json, _API),
        "revoke_tokens": _action(answering.revoke_tokens, _RESOLVE),
        "revoke_urls": _action(answering.revoke_urls, _STORE),
        "reset_mid_body": _action(wire.reset_mid_body, _ALL),
        "early_fin": _action(wire.early_fin, _ALL),
        "tls_cut": _action(wire.tls_cut, _ALL),
        "stall": _action(wire.stall, _ALL),
        "drip": _action(wire.drip, _ALL),
        "short_chunked": _action(wire.short_chunked, _ALL),
        "no_content_length": _action(wire.no_content_length, _ALL),
        "pause_before_fin": _action(wire.pause_before_fin, _ALL),
        "extra_bytes": _action(answering.extra_bytes, _BOTH),
        "empty_body": _action(answering.empty_body, _ALL),
        "bit_flip": _action(answering.bit_flip, _STORE),
        "object_changes": _action(answering.object_changes, _STORE),
        "partial_206": _action(answering.partial_206, _BOTH),
        "xml_200": _action(answering.xml_200, _ALL),
        "html_200": _action(answering.html_200, _ALL),
        "expired_url": _action(refusing.expired_url, _STORE),
        "expired_credentials": _action(refusing.expired_credentials, _STORE),
        "signature_error": _action(refusing.signature_error, _STORE),
        "no_such_key": _action(refusing.no_such_key, _STORE),
        "access_denied": _action(refusing.access_denied, _STORE),
        "slow_down": _action(refusing.slow_down, _STORE),
        "internal_error": _action(refusing.internal_error, _STORE),
        "request_timeout": _action(refusing.request_timeout, _STORE),
    }
)
