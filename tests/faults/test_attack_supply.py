"""What is installed is what was locked, and the image says what is in it (attack 27)."""

from __future__ import annotations

import asyncio
import json
import re
import sys
import tomllib
import zipfile
from hashlib import sha256
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LOCKS = sorted((ROOT / "requirements").glob("*.txt"))
DOCKERFILE = ROOT / "Dockerfile"


async def run(*words: str | Path) -> tuple[int, str, str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *map(str, words),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


@pytest.mark.parametrize("lock", LOCKS, ids=lambda path: path.name)
def test_attack_27_every_line_of_a_lock_is_a_version_and_its_hashes(lock: Path) -> None:
    """No range, no address, no index, no path: nothing that could lead elsewhere later."""
    pins = re.split(r"\n(?=\S)", lock.read_text().strip())
    assert len(pins) > 3
    for pin in pins:
        head, *hashes = [line.strip().removesuffix("\\").strip() for line in pin.splitlines()]
        assert re.fullmatch(r"[a-z0-9._-]+(\[[a-z,]+\])?==[0-9][^\s;]*( ; .+)?", head), head
        assert hashes
        assert all(re.fullmatch(r"--hash=sha256:[0-9a-f]{64}", each) for each in hashes), head


def test_attack_27_the_lock_has_all_that_the_project_names() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = {re.split(r"[^a-z0-9-]", one.lower())[0] for one in project["dependencies"]}
    lock = (ROOT / "requirements" / "run.txt").read_text()
    locked = set(re.findall(r"^([a-z0-9-]+)==", lock, re.MULTILINE))
    assert wanted <= locked


def test_attack_27_nothing_is_installed_but_by_its_hash() -> None:
    """In the image and by `make setup`; what has no hash is our own, without its dependencies."""
    for path in (DOCKERFILE, ROOT / "Makefile"):
        text = path.read_text().replace("\\\n", " ")
        installs = re.findall(r"pip\S*(?: --python \S+)? install\b[^&\n]*", text)
        assert installs, path
        for install in installs:
            assert "--require-hashes" in install or "--no-deps" in install, install
        assert not re.search(r"\b(curl|wget|ADD https?:|index-url|trusted-host)\b", text), path


def test_attack_27_the_image_stands_on_a_digest() -> None:
    text = DOCKERFILE.read_text()
    (base,) = re.findall(r"^ARG BASE_IMAGE=(.+)$", text, re.MULTILINE)
    assert re.fullmatch(r"python:3\.11-slim-bookworm@sha256:[0-9a-f]{64}", base)
    assert set(re.findall(r"^FROM (\S+)", text, re.MULTILINE)) == {"${BASE_IMAGE}"}
    assert "sbom.py" in text
    assert "/opt/mirror/sbom.cdx.json" in text


async def test_attack_27_the_bill_of_materials_is_the_lock(tmp_path: Path) -> None:
    """Each package with its version and every hash; the same lock gives the same bill."""
    (base,) = re.findall(r"^ARG BASE_IMAGE=(.+)$", DOCKERFILE.read_text(), re.MULTILINE)
    words = (ROOT / "requirements" / "sbom.py", "--base", base)
    code, out, err = await run(*words)
    assert (code, err) == (0, "")
    assert (await run(*words))[1] == out
    bill = json.loads(out)
    assert (bill["bomFormat"], bill["metadata"]["component"]["name"]) == (
        "CycloneDX",
        "savant-mirror",
    )
    lock = (ROOT / "requirements" / "run.txt").read_text()
    libraries = [one for one in bill["components"] if one["type"] == "library"]
    assert {(one["name"], one["version"]) for one in libraries} == set(
        re.findall(r"^([a-z0-9._-]+)==([^\s;]+)", lock, re.MULTILINE)
    )
    hashes = [
        each["content"] for one in libraries for each in one["externalReferences"][0]["hashes"]
    ]
    assert hashes == re.findall(r"sha256:([0-9a-f]{64})", lock)
    (image,) = [one for one in bill["components"] if one["type"] == "container"]
    assert image["purl"] == f"pkg:docker/python@{base.partition('@')[2]}"
    references = [one["bom-ref"] for one in bill["components"]]
    assert len(set(references)) == len(references)


def wheel(folder: Path, content: str) -> str:
    """A package of one line; the SHA-256 of its wheel."""
    path = folder / "locked-1.0-py3-none-any.whl"
    meta = "locked-1.0.dist-info"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("locked.py", content)
        archive.writestr(f"{meta}/METADATA", "Metadata-Version: 2.1\nName: locked\nVersion: 1.0\n")
        archive.writestr(
            f"{meta}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(f"{meta}/RECORD", "")
    return sha256(path.read_bytes()).hexdigest()


async def test_attack_27_a_package_with_other_bytes_is_not_installed(tmp_path: Path) -> None:
    """The way the image installs, with an index that hands out something else under the name."""
    lock = tmp_path / "lock.txt"
    lock.write_text(f"locked==1.0 \\\n    --hash=sha256:{wheel(tmp_path, 'good = 1')}\n")
    flags = ("--require-hashes", "--only-binary", ":all:")
    assert " ".join(flags) in DOCKERFILE.read_text()
    here = ("--no-index", "--find-links", tmp_path, "--disable-pip-version-check", "-r", lock)
    install = ("-m", "pip", "install", *flags, *here, "--target")
    code, _, err = await run(*install, tmp_path / "first")
    assert (code, (tmp_path / "first" / "locked.py").read_text()) == (0, "good = 1"), err
    wheel(tmp_path, "evil = 1")
    code, _, err = await run(*install, tmp_path / "second")
    assert code != 0
    assert "DO NOT MATCH THE HASHES" in err
    assert not (tmp_path / "second" / "locked.py").exists()
