"""Every setting, typed, in one place. Times are seconds, sizes bytes.

Where settings come from, and how a wrong one is told, is in `sources.py`.
"""

from __future__ import annotations

import re
from ipaddress import ip_address
from pathlib import Path
from string import Formatter
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import (
    AliasChoices,
    ByteSize,
    Field,
    PositiveFloat,
    PositiveInt,
    SecretStr,
    field_validator,
    model_validator,
)
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from mirror.errors import ConfigurationError
from mirror.shards import MOST

DEFAULT_DOMAIN = "https://ext-production-savant.mdtsurgicalai.com"
"""The one in the platform's guide, section 'Download frames'."""

_TEMPLATE_FIELDS = {"workspace_id", "root_id", "frame_id"}


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
    concurrency: Annotated[int, Field(ge=1, le=1024)] = 256
    processes: Annotated[int, Field(ge=1, le=64)] = 1
    max_rate: Annotated[ByteSize | None, Field(gt=0)] = None
    max_attempts: Annotated[int, Field(ge=1, le=100)] = 6
    backoff_base: PositiveFloat = 0.5
    backoff_cap: PositiveFloat = 30.0
    retry_after_cap: PositiveFloat = 60.0
    outage_patience: PositiveFloat = 45.0
    grace_period: Annotated[float, Field(ge=0)] = 20.0

    shards: Annotated[int | None, Field(ge=1, le=MOST)] = None

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
    write_checksums: bool = False

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

    @field_validator("http_token")
    @classmethod
    def _check_token(cls, value: SecretStr | None) -> SecretStr | None:
        # an empty one would let in whoever sends an empty one
        if value is not None and not re.fullmatch(r"\S+", value.get_secret_value()):
            raise ValueError("characters without spaces are allowed, at least one")
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
