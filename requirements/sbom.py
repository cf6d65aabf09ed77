"""Writes the software bill of materials of the image, CycloneDX 1.6 as JSON, to standard output.

It says what the lock says and nothing else: every package of it with its version, the
hashes that are accepted for it, and where it is installed at all; and the image it stands on, as
given with `--base`. What that image holds itself, it says in its own bill. Nothing in it depends
on the time or the machine: the same lock gives the same bill. Needs the standard library alone.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_URL, uuid5

HERE = Path(__file__).parent
_PIN = re.compile(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)(?:\s*;\s*(.*?))?\s*\\?$")
_HASH = re.compile(r"^\s+--hash=sha256:([0-9a-f]{64})\b")


def read_lock(text: str) -> list[dict[str, Any]]:
    """The packages of a lock, as components. Raises `ValueError` for a line it does not know."""
    components: list[dict[str, Any]] = []
    for line in text.splitlines():
        if pin := _PIN.match(line):
            components.append(_package(*pin.groups()))
        elif digest := _HASH.match(line):
            files = components[-1]["externalReferences"][0]["hashes"]
            files.append({"alg": "SHA-256", "content": digest[1]})
        elif line.strip() and not line.lstrip().startswith("#"):
            raise ValueError(f"no pin and no hash: {line!r}")
    unpinned = [one["name"] for one in components if not one["externalReferences"][0]["hashes"]]
    if unpinned:
        raise ValueError(f"without a hash: {', '.join(unpinned)}")
    return components


def _package(name: str, version: str, marker: str | None) -> dict[str, Any]:
    purl = f"pkg:pypi/{name.lower().replace('_', '-')}@{version}"
    component: dict[str, Any] = {
        "type": "library",
        "bom-ref": purl,
        "name": name,
        "version": version,
        "purl": purl,
        # one hash for each file that may be installed: wheels for every platform
        "externalReferences": [{"type": "distribution", "url": purl, "hashes": []}],
    }
    if marker:
        component["properties"] = [{"name": "python:environment_marker", "value": marker}]
    return component


def _image(base: str) -> dict[str, Any]:
    name, _, digest = base.partition("@")
    image, _, tag = name.partition(":")
    purl = f"pkg:docker/{image}@{digest or tag}"
    return {"type": "container", "bom-ref": purl, "name": image, "version": tag, "purl": purl}


def bill(lock: str, version: str, base: str) -> dict[str, Any]:
    """The whole bill."""
    components = read_lock(lock) + ([_image(base)] if base else [])
    own = f"pkg:pypi/savant-mirror@{version}"
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid5(NAMESPACE_URL, own + base + lock)}",
        "version": 1,
        "metadata": {
            "component": {
                "type": "application",
                "bom-ref": own,
                "name": "savant-mirror",
                "version": version,
                "purl": own,
                "licenses": [{"license": {"id": "Apache-2.0"}}],
            }
        },
        "components": components,
    }


def main() -> None:
    """Read the lock beside this file and the version of the package."""
    parser = argparse.ArgumentParser(description="Write the bill of materials of the lock.")
    parser.add_argument("--base", default="", help="the image it stands on: name:tag@sha256:…")
    parser.add_argument("--lock", default="run", help="which lock: run, all")
    given = parser.parse_args()
    source = (HERE.parent / "mirror" / "__init__.py").read_text(encoding="utf-8")
    version = re.search(r'__version__ = "([^"]+)"', source)
    if version is None:
        sys.exit("mirror/__init__.py names no version")
    lock = (HERE / f"{given.lock}.txt").read_text(encoding="utf-8")
    found = bill(lock, version[1], given.base)
    json.dump(found, sys.stdout, indent=2)
    sys.stdout.write("\n")


if __name__ == "__main__":
    main()
