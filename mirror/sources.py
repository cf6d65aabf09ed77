"""Where settings come from: command line over environment over the TOML file over the defaults.

The account and the platform are `SAVANT_…` in the environment, everything else is `MIRROR_…` by the
setting's name; in the file a setting has its plain name. A wrong one is named with its source and
what is allowed, never with a secret's value (`ConfigurationError`, exit 78).
"""

from __future__ import annotations

import difflib
import os
import re
import tomllib
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_settings import EnvSettingsSource

from mirror.errors import ConfigurationError
from mirror.settings import Settings

_SAVANT = ("domain", "username", "password", "password_file")
_USERINFO = re.compile(r"//.*@")
"""A name and a password in front of a host: a slip, and not to be shown."""
_SECRET = frozenset({"password", "http_token"})
# Kubernetes puts MIRROR_PORT, MIRROR_SERVICE_HOST … into every pod beside a Service named `mirror`.
_SERVICE_LINK = re.compile(r"MIRROR_(SERVICE_(HOST|PORT).*|PORT(_\d+_(TCP|UDP).*)?)")


def environment_name(setting: str) -> str:
    """The environment variable of a setting."""
    prefix = "SAVANT" if setting in _SAVANT else "MIRROR"
    return f"{prefix}_{setting.upper()}"


def load_settings(config: Path | None = None, **overrides: Any) -> Settings:
    """Merge the sources. `overrides` are command-line options; None means not given.

    Raises `ConfigurationError` that names each wrong setting, its source and what is allowed.
    """
    given = {name: value for name, value in overrides.items() if value is not None}
    environment = _from_environment()
    file = _from_file(config)
    for lower, higher in ((file, environment | given), (environment, given)):
        if "password" in higher or "password_file" in higher:
            # either way to give a password hides both of the source below
            lower.pop("password", None)
            lower.pop("password_file", None)
    try:
        return Settings(**{**file, **environment, **given})
    except ValidationError as error:
        problems = [
            _describe(dict(problem), given, environment, config) for problem in error.errors()
        ]
    raise ConfigurationError("\n".join(problems))


def unknown_environment() -> list[str]:
    """A sentence for each `MIRROR_…` variable that is no setting: likely a typing error."""
    known = {environment_name(name) for name in Settings.model_fields}
    strange = [
        name
        for name in sorted(os.environ)
        if name.startswith("MIRROR_") and name not in known and not _SERVICE_LINK.fullmatch(name)
    ]
    return [f"{name} is no setting and is ignored{_hint(name, known)}." for name in strange]


def _from_environment() -> dict[str, Any]:
    found = EnvSettingsSource(Settings)()
    return {name.removeprefix("SAVANT_").lower(): value for name, value in found.items()}


def _from_file(path: Path | None) -> dict[str, Any]:
    if path is None:
        return {}
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        why = error.strerror
        raise ConfigurationError(f"--config {str(path)!r} can't be read: {why}.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"--config {str(path)!r} is not TOML: {error}.") from None
    known = set(Settings.model_fields)
    for name in values:
        if name not in known:
            raise ConfigurationError(
                f"{name!r} in {str(path)!r} is no setting{_hint(name, known)}."
            )
    return values


def _hint(name: str, known: set[str]) -> str:
    close = difflib.get_close_matches(name, sorted(known), n=1)
    return f" (did you mean {close[0]}?)" if close else ""


def _describe(
    problem: dict[str, Any], given: dict[str, Any], environment: dict[str, Any], config: Path | None
) -> str:
    message = _allowed(problem)
    if not problem["loc"]:
        return f"The settings contradict each other: {message}."
    name = str(problem["loc"][0]).removeprefix("SAVANT_").lower()
    if name in given:
        source = f"--{name.replace('_', '-')} on the command line"
    elif name in environment:
        source = f"{environment_name(name)} in the environment"
    else:
        source = f"{name} in {str(config)!r}"
    value = "a secret" if name in _SECRET else _USERINFO.sub("//…@", repr(problem.get("input")))
    return f"{source} is {value}: {message[0].lower()}{message[1:]}."


def _allowed(problem: dict[str, Any]) -> str:
    """What the setting may be, in our words where pydantic's are a programmer's."""
    kind = str(problem["type"])
    if kind.startswith("byte_size"):
        return "a size such as 500000, 20MB or 64MiB is allowed"
    if kind.startswith("int_"):
        return "a whole number is allowed"
    if kind.startswith("float_"):
        return "a number is allowed"
    if kind.startswith("bool_"):
        return "true or false is allowed"
    if kind == "literal_error":
        return f"{problem['ctx']['expected']} is allowed"
    return str(problem["msg"]).removeprefix("Value error, ")
