"""A certificate for this machine's servers, of an authority made for the tests."""

import ssl
from pathlib import Path

import trustme


def certified(folder: Path) -> tuple[ssl.SSLContext, Path]:
    """A server's context, and the CA bundle to trust it by."""
    authority = trustme.CA()
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(server)
    bundle = folder / "ca.pem"
    authority.cert_pem.write_to_path(bundle)
    return server, bundle
