"""Which addresses a connection to the store may go to, and which trust TLS starts from."""

import socket
from pathlib import Path

import pytest

from mirror.errors import ConfigurationError
from mirror.savant.network import address_allowed, guarded_sockets, tls_context
from mirror.savant.translate import RefusedAddressError

PUBLIC = ["93.184.216.34", "1.1.1.1", "2606:4700::1111", "64:ff9b::5db8:d822", "2002:5db8:d822::1"]
PRIVATE = ["10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", "100.64.0.1", "fd12::1"]
LOOPBACK = ["127.0.0.1", "127.255.255.254", "::1", "::ffff:127.0.0.1", "64:ff9b::7f00:1"]
NEVER = [
    "0.0.0.0",
    "169.254.169.254",
    "169.254.0.1",
    "192.0.0.1",
    "192.0.2.1",
    "198.18.0.1",
    "198.51.100.1",
    "203.0.113.1",
    "224.0.0.1",
    "239.255.255.250",
    "240.0.0.1",
    "255.255.255.255",
    "100.100.100.200",
    "fd00:ec2::254",
    "::",
    "fe80::1",
    "fe80::1%1",
    "fec0::1",
    "ff02::1",
    "2001::1",
    "2001:db8::1",
    "3fff::1",
    "64:ff9b:1::1",
    "100::1",
    "5f00::1",
    "::ffff:169.254.169.254",
    "::ffff:0.0.0.0",
    "64:ff9b::a9fe:a9fe",
    "2002:a9fe:a9fe::1",
]


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_are_allowed(address: str) -> None:
    assert address_allowed(address, loopback=False, private=False)


@pytest.mark.parametrize("address", [*PRIVATE, "::ffff:10.0.0.1", "64:ff9b::a00:1", "2002:a00:1::"])
def test_attack_10_private_addresses_only_where_configured(address: str) -> None:
    assert not address_allowed(address, loopback=True, private=False)
    assert address_allowed(address, loopback=False, private=True)


@pytest.mark.parametrize("address", LOOPBACK)
def test_attack_10_this_machine_only_where_the_domain_is_this_machine(address: str) -> None:
    assert not address_allowed(address, loopback=False, private=True)
    assert address_allowed(address, loopback=True, private=False)


@pytest.mark.parametrize("address", NEVER)
def test_attack_10_link_local_metadata_and_reserved_never(address: str) -> None:
    assert not address_allowed(address, loopback=True, private=True)


def test_the_socket_factory_makes_no_socket_for_a_forbidden_address() -> None:
    make = guarded_sockets(loopback=True, private=False)
    info = (socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "")
    with make((*info, ("127.0.0.1", 443))) as made:
        assert made.family == socket.AF_INET
    with pytest.raises(RefusedAddressError):
        make((*info, ("10.0.0.1", 443)))


@pytest.mark.parametrize("content", [None, "no certificate"])
def test_a_bad_ca_bundle_is_a_wrong_setting(content: str | None, tmp_path: Path) -> None:
    bundle = tmp_path / "ca.pem"
    if content is not None:
        bundle.write_text(content)
    with pytest.raises(ConfigurationError, match="MIRROR_CA_BUNDLE"):
        tls_context(bundle)
