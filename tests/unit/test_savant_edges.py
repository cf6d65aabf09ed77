"""The edges of URLs, hosts, addresses and secrets."""

from __future__ import annotations

import base64
import json
import pickle
import socket

import pytest
from yarl import URL

from mirror.errors import ConfigurationError, FrameError
from mirror.savant.network import guarded_sockets
from mirror.savant.translate import RefusedAddressError
from mirror.savant.urls import MAX_URL_LENGTH, StoreRule, check_store_url, read_host
from mirror.savant.values import AccessToken, PresignedUrl, read_expiry
from mirror.sources import load_settings

ANY = StoreRule(plain=False, allowed=frozenset())


@pytest.mark.parametrize(
    ("text", "host"),
    [
        ("10.1.2.3", "10.1.2.3"),
        ("Bucket.S3.Example.COM", "bucket.s3.example.com"),
        ("[2001:DB8:0:0::1]", "2001:db8::1"),
        ("example.com.", "example.com."),
        ("10.1.2", None),
        ("a..b", None),
    ],
)
def test_the_one_reading_of_a_host(text: str, host: str | None) -> None:
    assert read_host(text) == host


@pytest.mark.parametrize(
    "url",
    [
        "https://10.1.2.3:9000/a?b=c",
        "https://[2001:DB8:0:0::1]/a",
        "https://[2001:db8::1]:9000/a",
        "https://Example.COM/a",
        "https://example.com",
    ],
)
def test_urls_whose_hosts_are_written_in_their_own_way_are_followed_as_they_are(url: str) -> None:
    found = check_store_url(url, ANY)
    assert found.reveal() == url
    assert found.target == URL(url, encoded=True)


def test_the_longest_url_that_is_followed() -> None:
    longest = "https://h/".ljust(MAX_URL_LENGTH, "a")
    assert check_store_url(longest, ANY).reveal() == longest
    with pytest.raises(FrameError, match="no presigned URL"):
        check_store_url(longest + "a", ANY)


@pytest.mark.parametrize(
    ("domain", "port"), [("https://api.example.com", 443), ("http://127.0.0.1:8080", 80)]
)
def test_a_store_named_without_a_port_is_at_the_ports_of_its_scheme(domain: str, port: int) -> None:
    settings = load_settings(domain=domain, store_hosts=["s3.example.com", "other:9000"])
    rule = StoreRule.of(settings)
    assert rule.allowed == {("s3.example.com", port), ("other", 9000)}
    assert rule.plain is (port == 80)


def test_a_store_that_is_named_wrongly_is_named() -> None:
    with pytest.raises(ConfigurationError) as caught:
        StoreRule.of(load_settings(domain="https://h", store_hosts=["*.example.com"]))
    assert str(caught.value) == (
        "MIRROR_STORE_HOSTS names '*.example.com': exact hosts such as 'bucket.s3.amazonaws.com' or"
        " 'host:9000' are allowed, without scheme, path or wildcard."
    )


def test_attack_10_sockets_are_made_for_allowed_addresses_alone() -> None:
    def info(address: str) -> tuple[object, ...]:
        return socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (address, 443)

    for loopback, private, allowed in (
        (False, False, ["8.8.8.8"]),
        (True, False, ["8.8.8.8", "127.0.0.1"]),
        (False, True, ["8.8.8.8", "10.0.0.1"]),
    ):
        make = guarded_sockets(loopback=loopback, private=private)
        for address in ("8.8.8.8", "127.0.0.1", "10.0.0.1"):
            if address in allowed:
                with make(info(address)) as made:
                    assert (made.family, made.type) == (socket.AF_INET, socket.SOCK_STREAM)
            else:
                with pytest.raises(RefusedAddressError):
                    make(info(address))


@pytest.mark.parametrize("extra", range(8))
def test_the_expiry_is_read_however_long_the_payload_is(extra: int) -> None:
    claims = json.dumps({"exp": 1900000000.5, "x": "y" * extra}).encode()
    payload = base64.urlsafe_b64encode(claims).decode().rstrip("=")
    assert read_expiry(f"a.{payload}.c") == 1900000000.5
    assert AccessToken(f"a.{payload}.c").expires_at == 1900000000.5


def test_attack_22_secrets_show_their_type_alone() -> None:
    for secret, name in (
        (AccessToken("s3cret"), "AccessToken"),
        (PresignedUrl("https://h/?s3cret", URL("https://h/?s3cret")), "PresignedUrl"),
    ):
        for shown in (repr(secret), str(secret), f"{secret}", f"{secret:>50}"):
            assert shown == f"<{name}, hidden>"
        with pytest.raises(TypeError) as caught:
            pickle.dumps(secret)
        assert str(caught.value) == f"a {name} is a secret and is never serialised"
