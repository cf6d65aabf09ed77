"""Which URLs are built and which are followed."""

import pytest

from mirror.errors import (
    ConfigurationError,
    NoFramePathError,
    RejectedRequestError,
    UnsafeUrlError,
)
from mirror.frames import FrameRef
from mirror.savant.urls import ApiUrls, StoreRule, check_store_url, read_host
from mirror.settings import Settings

ANY = StoreRule(plain=False, allowed=frozenset())
PLAIN = StoreRule(plain=True, allowed=frozenset())


def rule(*hosts: str, domain: str = "https://savant.example.com") -> StoreRule:
    return StoreRule.of(Settings(domain=domain, store_hosts=hosts))


def test_the_request_target_is_the_ids_byte_for_byte() -> None:
    urls = ApiUrls("https://api.example.com:8443/base")
    url = urls.frame(FrameRef("w-1", "r_2", "f.3"))
    assert url.raw_path_qs == "/base/sequences/r_2/frames/f.3?workspace_id=w-1&presigned_url=True"
    assert (url.host, url.port) == ("api.example.com", 8443)
    assert str(urls.login) == "https://api.example.com:8443/base/auth/jwt/login"


@pytest.mark.parametrize(
    "bad", ["a?b", "a#b", "a%2fb", "a/b", "..", ".", "", "a&x=y", "a\r\nX: y", "ä", "a b"]
)
@pytest.mark.parametrize("place", [0, 1, 2])
def test_attack_08_ids_that_would_alter_the_target_are_never_sent(bad: str, place: int) -> None:
    parts = ["w", "r", "f"]
    parts[place] = bad
    with pytest.raises(RejectedRequestError):
        ApiUrls("https://api.example.com").frame(FrameRef(*parts))


@pytest.mark.parametrize("domain", ["https://api.example.com/ä", "https://api.example.com/a b"])
def test_a_domain_that_needs_quoting_is_a_wrong_setting(domain: str) -> None:
    with pytest.raises(ConfigurationError, match="SAVANT_DOMAIN"):
        ApiUrls(domain)


@pytest.mark.parametrize(
    "text",
    [
        "https://b.s3.eu-west-1.amazonaws.com/a%2Fb/c+d.png?X-Amz-Signature=%41b&x=",
        "https://store.example.com:9000/k?q=a/b?c",
        "https://store.example.com?q=1",
        "https://93.184.216.34/k?q",
        "https://[2606:2800:220:1::1]:8443/k?q",
        "https://Bucket.Example.com/K?Q",
        "https://store.example.com//a/../b/./c?x=%zz",
    ],
)
def test_a_good_url_is_kept_byte_for_byte(text: str) -> None:
    if text == "https://store.example.com?q=1":
        text = "https://store.example.com/?q=1"
    url = check_store_url(text, ANY)
    assert url.reveal() == text
    assert url.target.raw_path_qs == text[text.index("/", 8) :]


@pytest.mark.parametrize(
    "value",
    [
        None,
        "",
        7,
        ["https://x/y"],
        "frames/7.png",
        "s3//bucket",
        "https:/one.example.com/x",
        "https://a.example.com/with space",
        "https://a.example.com/line\nbreak",
        "https://a.example.com/\x00",
        "https://a.example.com/\u00e4",
        "https://a.example.com/" + "x" * 9000,
    ],
)
def test_fault_11_a_frame_path_that_is_no_url(value: object) -> None:
    with pytest.raises(NoFramePathError):
        check_store_url(value, ANY)


@pytest.mark.parametrize(
    "text",
    [
        "file:///etc/passwd",
        "ftp://store.example.com/x",
        "s3://bucket/key",
        "http://store.example.com/x",
        "http://127.0.0.1/x",
        "HTTPS://store.example.com/x",
    ],
)
def test_attack_09_only_https_is_followed(text: str) -> None:
    with pytest.raises(UnsafeUrlError):
        check_store_url(text, ANY)


def test_attack_09_plain_http_goes_to_loopback_alone_and_for_a_plain_domain_alone() -> None:
    assert rule(domain="http://127.0.0.1:8000").plain
    assert not rule(domain="https://127.0.0.1:8000").plain
    for host in ("127.0.0.1", "localhost", "[::1]"):
        assert check_store_url(f"http://{host}:9000/x?y", PLAIN)
    with pytest.raises(UnsafeUrlError):
        check_store_url("http://store.example.com/x", PLAIN)


@pytest.mark.parametrize(
    "host",
    [
        "2130706433",
        "0177.0.0.1",
        "127.1",
        "127.0.1",
        "0x7f.0.0.1",
        "0x7f000001",
        "1.2.3.4.5",
        "1.2.3.256",
        "127.0.0.01",
        "example.0x",
        "example.7",
        "1.2.3.4.",
    ],
)
def test_attack_11_numeric_hosts_with_two_readings_are_refused(host: str) -> None:
    assert read_host(host) is None
    with pytest.raises(UnsafeUrlError):
        check_store_url(f"https://{host}/x?y", ANY)


@pytest.mark.parametrize(
    "authority",
    [
        "user@store.example.com",
        "user:pw@store.example.com",
        "store.example.com@evil.example.com",
        "store.example.com\\@evil.example.com",
        "store.example.com:443:443",
        "store.example.com:x",
        "store.example.com:70000",
        "store.example.com:",
        "a..example.com",
        "-a.example.com",
        "store%2eexample.com",
        "[fe80::1%25eth0]",
        "[::1",
        "",
    ],
)
def test_attack_13_userinfo_and_malformed_hosts_are_refused(authority: str) -> None:
    with pytest.raises(UnsafeUrlError):
        check_store_url(f"https://{authority}/x?y", ANY)


def test_a_fragment_is_refused() -> None:
    with pytest.raises(UnsafeUrlError, match="fragment"):
        check_store_url("https://store.example.com/x?y#z", ANY)


def test_a_query_mark_that_the_client_would_drop_is_refused() -> None:
    with pytest.raises(UnsafeUrlError, match="two ways"):
        check_store_url("https://store.example.com/x?", ANY)


@pytest.mark.parametrize(
    "text",
    [
        "https://store.example.com.evil.com/x",
        "https://evil-store.example.com/x",
        "https://store.example.com./x",
        "https://store.example.com:8443/x",
        "https://other.example.com/x",
        "https://other.example.com:443/x",
        "https://xstore.example.com/x",
    ],
)
def test_attack_13_the_allow_list_matches_host_and_port_exactly(text: str) -> None:
    allowed = rule("store.example.com", "other.example.com:9000")
    with pytest.raises(UnsafeUrlError, match="MIRROR_STORE_HOSTS"):
        check_store_url(text, allowed)


@pytest.mark.parametrize(
    "text",
    [
        "https://store.example.com/x",
        "https://STORE.example.com:443/x",
        "https://other.example.com:9000/x",
        "https://[::ffff:1]:9000/x",
    ],
)
def test_what_the_allow_list_names_is_followed(text: str) -> None:
    allowed = rule("store.example.com", "other.example.com:9000", "[::FFFF:1]:9000")
    assert check_store_url(text, allowed)


@pytest.mark.parametrize("entry", ["*.example.com", "https://a.example.com", "a/b", "1.2", "a:b"])
def test_a_wrong_entry_of_the_allow_list_is_named(entry: str) -> None:
    with pytest.raises(ConfigurationError, match="MIRROR_STORE_HOSTS"):
        rule(entry)


def test_no_message_shows_more_of_a_url_than_its_host() -> None:
    for text in (
        "http://store.example.com/key?X-Amz-Signature=canary",
        "https://u:canary@store.example.com/key",
        "https://store.example.com/x?canary#y",
        "https://a.example.com/canary with space",
    ):
        with pytest.raises((UnsafeUrlError, NoFramePathError)) as caught:
            check_store_url(text, ANY)
        assert "canary" not in str(caught.value)
