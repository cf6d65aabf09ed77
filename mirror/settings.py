"""Every setting, typed, in one place.

Command line over environment over the TOML file over the defaults. The account and the platform are
`SAVANT_…` in the environment, everything else is `MIRROR_…` by the setting's name; in the file a
setting has its plain name. A wrong one is named with its source and what is allowed, never with a
secret's value (`ConfigurationError`, exit 78). Times are seconds, sizes bytes.
"""

from __future__ import annotations

import difflib
import os
import re
import tomllib
from ipaddress import ip_address
from pathlib import Path
from string import Formatter
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import (
    AliasChoices,
    ByteSize,
    Field,
    PositiveFloat,
    PositiveInt,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from mirror.errors import ConfigurationError

DEFAULT_DOMAIN = "https://ext-production-savant.mdtsurgicalai.com"
"""The one in the platform's guide, section 'Download frames'."""

_SAVANT = ("domain", "username", "password", "password_file")
_SECRET = frozenset({"password", "http_token"})
_TEMPLATE_FIELDS = {"workspace_id", "root_id", "frame_id"}
# Kubernetes puts MIRROR_PORT, MIRROR_SERVICE_HOST … into every pod beside a Service named `mirror`.
_SERVICE_LINK = re.compile(r"MIRROR_(SERVICE_(HOST|PORT).*|PORT(_\d+_(TCP|UDP).*)?)")


def _savant(name: str) -> AliasChoices:
    return AliasChoices(f"SAVANT_{name.upper()}", name)


def _octal(value: object) -> object:
    if isinstance(value, str) and re.fullmatch(r"(0o?)?[0-7]{3}", value):
        return int(value.removeprefix("0o"), 8)
    if isinstance(value, int) and 0 <= value <= 0o777:
        return value
    raise ValueError("three octal digits such as '0640' are allowed")


class Settings(BaseSettings):
    """The settings of one process; immutable. See `docs/settings.md`."""

    model_config = SettingsConfigDict(
        env_prefix="MIRROR_", frozen=True, extra="forbid", env_ignore_empty=True
    )

    # the platform and the account
    domain: Annotated[str, Field(validation_alias=_savant("domain"))] = DEFAULT_DOMAIN
    username: Annotated[str | None, Field(validation_alias=_savant("username"))] = None
    password: Annotated[SecretStr | None, Field(validation_alias=_savant("password"))] = None
    password_file: Annotated[Path | None, Field(validation_alias=_savant("password_file"))] = None

    # how hard to work
    concurrency: Annotated[int, Field(ge=1, le=1024)] = 64
    max_rate: Annotated[ByteSize | None, Field(gt=0)] = None
    max_attempts: Annotated[int, Field(ge=1, le=100)] = 6
    backoff_base: PositiveFloat = 0.5
    backoff_cap: PositiveFloat = 30.0
    retry_after_cap: PositiveFloat = 60.0
    outage_patience: PositiveFloat = 45.0
    grace_period: Annotated[float, Field(ge=0)] = 20.0

    # the wire
    connect_timeout: PositiveFloat = 10.0
    read_timeout: PositiveFloat = 30.0
    min_rate: Annotated[ByteSize, Field(ge=0)] = ByteSize(1024)
    max_frame_bytes: Annotated[ByteSize, Field(gt=0)] = ByteSize(256 * 1024**2)
    ca_bundle: Path | None = None
    store_hosts: Annotated[tuple[str, ...], NoDecode] = ()
    allow_private_store: bool = False

    # memory and the disk
    body_memory: Annotated[ByteSize, Field(ge=1024**2)] = ByteSize(64 * 1024**2)
    stream_threshold: Annotated[ByteSize, Field(gt=0)] = ByteSize(8 * 1024**2)
    commit_seconds: PositiveFloat = 1.0
    commit_frames: PositiveInt = 1024
    commit_bytes: Annotated[ByteSize, Field(gt=0)] = ByteSize(256 * 1024**2)
    path_template: str = "{root_id}/{frame_id}.png"
    file_mode: int = 0o600
    dir_mode: int = 0o700

    # observing
    metrics_port: Annotated[int | None, Field(ge=0, le=65535)] = None
    http_host: str = "127.0.0.1"
    http_token: SecretStr | None = None
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["auto", "text", "json"] = "auto"

    # the service
    rescan_seconds: PositiveFloat = 5.0

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        *_: PydanticBaseSettingsSource,
        **__: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Only what `load_settings` merged: it must know which source said what."""
        return (init_settings,)

    @field_validator("file_mode", "dir_mode", mode="before")
    @classmethod
    def _read_octal(cls, value: object) -> object:
        return _octal(value)

    @field_validator("store_hosts", mode="before")
    @classmethod
    def _split_commas(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(part.strip().lower() for part in value.split(",") if part.strip())
        return value

    @field_validator("domain")
    @classmethod
    def _check_domain(cls, value: str) -> str:
        parts = urlsplit(value)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ValueError("a URL such as https://savant.example.com is allowed")
        if parts.username or parts.password or parts.query or parts.fragment:
            raise ValueError("only scheme, host, port and path are allowed, nothing else")
        if parts.scheme == "http" and not is_loopback(parts.hostname):
            raise ValueError("only https is allowed, but for a loopback address")
        return value.rstrip("/")

    @field_validator("path_template")
    @classmethod
    def _check_template(cls, value: str) -> str:
        try:
            fields = {name for _, name, spec, _ in Formatter().parse(value) if name and not spec}
        except ValueError:
            fields = set()
        parts = value.split("/")
        if (
            not {"frame_id", "root_id"} <= fields <= _TEMPLATE_FIELDS
            or value.startswith("/")
            or any(part in {"", ".", ".."} for part in parts)
            or parts[0] == ".mirror"
            or not re.fullmatch(r"[A-Za-z0-9_.{}/-]+", value)
        ):
            raise ValueError(
                "a relative path with {root_id}, {frame_id} and, where wanted, {workspace_id}"
                " is allowed"
            )
        return value

    @model_validator(mode="after")
    def _check_together(self) -> Self:
        if self.password is not None and self.password_file is not None:
            raise ValueError("password and password_file are both set: give one of the two")
        if not is_loopback(self.http_host) and self.http_token is None:
            raise ValueError(
                f"http_host {self.http_host!r} is open to the network: set http_token as well,"
                " or use 127.0.0.1"
            )
        return self

    @property
    def loopback(self) -> bool:
        """Whether the domain is this machine, where http and loopback addresses are allowed."""
        return is_loopback(urlsplit(self.domain).hostname or "")

    def credentials(self) -> tuple[str, SecretStr]:
        """Username and password. Raises `ConfigurationError` naming what is missing."""
        password = self.password or self._read_password_file()
        missing = [
            name
            for name, value in (
                ("SAVANT_USERNAME", self.username),
                ("SAVANT_PASSWORD (or SAVANT_PASSWORD_FILE)", password),
            )
            if not value
        ]
        if missing or not self.username or password is None:
            raise ConfigurationError(
                f"No account: {' and '.join(missing)} not set. Set them in the environment"
                " or in the file given with --config."
            )
        return self.username, password

    def _read_password_file(self) -> SecretStr | None:
        if self.password_file is None:
            return None
        try:
            text = self.password_file.read_text(encoding="utf-8").strip("\r\n")
        except (OSError, UnicodeDecodeError) as error:
            why = error.strerror if isinstance(error, OSError) else "not text"
            raise ConfigurationError(
                f"SAVANT_PASSWORD_FILE: {str(self.password_file)!r} can't be read: {why}."
            ) from None
        if not text:
            raise ConfigurationError(f"SAVANT_PASSWORD_FILE: {str(self.password_file)!r} is empty.")
        return SecretStr(text)


def is_loopback(host: str) -> bool:
    """Whether `host` is this machine by its form alone: no name is looked up."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


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
    value = "a secret" if name in _SECRET else repr(problem.get("input"))
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
