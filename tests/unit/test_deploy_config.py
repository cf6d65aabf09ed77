"""The examples in config/ load, and the reference names every setting as it is."""

from __future__ import annotations

import os
import re
import tomllib
from pathlib import Path

import pytest

from mirror.settings import Settings
from mirror.sources import environment_name, load_settings

CONFIG = Path(__file__).parents[2] / "config"
ENTRY = re.compile(r"^# Default: (?P<default>.+)\n# (?P<name>\w+) = (?P<value>.+)$", re.MULTILINE)


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ:
        if name.startswith(("MIRROR_", "SAVANT_")):
            monkeypatch.delenv(name)


@pytest.mark.parametrize("path", sorted(CONFIG.glob("*.toml")), ids=lambda path: path.name)
def test_each_example_loads(path: Path) -> None:
    assert load_settings(path)


def test_there_is_an_example_for_each_way_of_running() -> None:
    names = {path.name for path in CONFIG.iterdir()}
    assert names >= {"by-hand.toml", "container.toml", "kubernetes.toml", "env.example"}


def test_examples_hold_no_secret() -> None:
    for path in CONFIG.glob("*.toml"):
        settings = load_settings(path)
        assert settings.password is None
        assert settings.http_token is None


def test_the_reference_sets_nothing() -> None:
    """Every line is commented out: given as it is, it changes nothing."""
    assert load_settings(CONFIG / "reference.toml") == Settings()


def test_the_reference_names_every_setting_and_no_other() -> None:
    text = (CONFIG / "reference.toml").read_text()
    names = [match["name"] for match in ENTRY.finditer(text)]
    assert names == list(Settings.model_fields)


@pytest.mark.parametrize("name", list(Settings.model_fields))
def test_the_reference_tells_the_default_and_a_value_that_is_allowed(name: str) -> None:
    text = (CONFIG / "reference.toml").read_text()
    (entry,) = (match for match in ENTRY.finditer(text) if match["name"] == name)
    shown = tomllib.loads(f"{name} = {entry['value']}")[name]
    assert Settings(**{name: shown})
    default = Settings.model_fields[name].default
    if entry["default"] == "none":
        assert default is None
    else:
        told = tomllib.loads(f"{name} = {entry['default']}")[name]
        assert getattr(Settings(**{name: told}), name) == default


def test_the_env_example_names_only_settings() -> None:
    known = {environment_name(name) for name in Settings.model_fields}
    lines = (CONFIG / "env.example").read_text().splitlines()
    named = {m[1] for line in lines if (m := re.match(r"#?([A-Z_]+)=", line))}
    assert named
    assert named <= known
