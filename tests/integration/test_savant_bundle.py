"""A CA bundle that can't be used."""

from pathlib import Path

import pytest

from mirror.errors import ConfigurationError
from mirror.savant.network import tls_context


def test_a_bundle_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    missing, empty = tmp_path / "missing.pem", tmp_path / "empty.pem"
    empty.touch()
    for path, why in ((missing, "No such file or directory"), (empty, "no PEM certificates")):
        with pytest.raises(ConfigurationError) as caught:
            tls_context(path)
        assert str(caught.value) == (
            f"MIRROR_CA_BUNDLE {str(path)!r} can't be used: {why}. Give a file of PEM certificates."
        )
