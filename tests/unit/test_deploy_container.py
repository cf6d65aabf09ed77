"""The image and the compose file, by their text: what must stand in them does."""

from __future__ import annotations

import re
from pathlib import Path

from mirror.sources import load_settings

ROOT = Path(__file__).parents[2]
DOCKERFILE = (ROOT / "Dockerfile").read_text()
COMPOSE = (ROOT / "deploy" / "compose.yaml").read_text()


def final_stage() -> str:
    return DOCKERFILE.rsplit("\nFROM ", 1)[1]


def test_attack_27_every_package_of_the_image_is_pinned_with_its_hash() -> None:
    installs = re.findall(r"\binstall\b[^&]*", DOCKERFILE.split("\nFROM ")[1])
    assert len(installs) == 3
    for install in installs:
        assert "--require-hashes" in install or "--no-index" in install
    for name in ("run", "build"):
        lock = (ROOT / "requirements" / f"{name}.txt").read_text()
        pins = re.findall(r"^[a-z]\S*==", lock, re.MULTILINE)
        assert pins
        assert lock.count("--hash=sha256:") >= len(pins)


def test_the_base_is_an_argument_and_the_same_in_both_stages() -> None:
    """The virtual environment is copied, so both need the same interpreter."""
    pinned = r"^ARG BASE_IMAGE=python:3\.11-slim-bookworm@sha256:[0-9a-f]{64}$"
    assert re.search(pinned, DOCKERFILE, re.MULTILINE)
    assert re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE) == ["${BASE_IMAGE}"] * 2


def test_the_image_runs_as_a_numbered_user_and_starts_the_command() -> None:
    """Kubernetes can tell that a number is not root; a name it can't."""
    stage = final_stage()
    assert "\nUSER 10001:10001\n" in stage
    assert '\nENTRYPOINT ["mirror"]\n' in stage
    assert "\nWORKDIR /data\n" in stage
    assert "\nSTOPSIGNAL SIGTERM\n" in stage
    assert "PYTHONUNBUFFERED=1" in stage
    assert "\nCOPY --from=builder /opt/mirror /opt/mirror\n" in stage


def test_attack_22_the_build_context_is_an_allow_list() -> None:
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    rules = [line for line in lines if line and not line.startswith("#")]
    assert rules[0] == "*"
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", DOCKERFILE, re.MULTILINE)
    wanted = {f"!{name}" for names in copied for name in names.split()}
    assert {rule for rule in rules if rule.startswith("!")} == wanted


def test_attack_25_compose_publishes_on_loopback_and_asks_for_a_token() -> None:
    assert re.findall(r"^ +- (\S+:9464)$", COMPOSE, re.MULTILINE) == ["127.0.0.1:9464:9464"]
    assert "MIRROR_HTTP_TOKEN" in COMPOSE
    assert "MIRROR_HTTP_TOKEN" in (ROOT / "config" / "env.example").read_text()


def test_compose_gives_the_container_no_more_than_it_needs() -> None:
    for line in (
        "read_only: true",
        "cap_drop: [ALL]",
        "- no-new-privileges:true",
        'user: "10001:10001"',
    ):
        assert f"\n    {line}\n" in COMPOSE or f"\n      {line}\n" in COMPOSE


def test_fault_53_compose_gives_longer_to_stop_than_the_run_takes() -> None:
    (seconds,) = re.findall(r"^ +stop_grace_period: (\d+)s$", COMPOSE, re.MULTILINE)
    assert int(seconds) > load_settings(ROOT / "config" / "container.toml").grace_period


def test_compose_mounts_the_example_and_the_password_it_names() -> None:
    settings = load_settings(ROOT / "config" / "container.toml")
    assert "file: ./config/container.toml" in COMPOSE
    assert str(settings.password_file) == "/run/secrets/savant_password"
    assert "\n      - savant_password\n" in COMPOSE
