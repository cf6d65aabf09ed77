"""For any input: a URL is kept byte for byte or refused; nothing untrusted makes a parser crash."""

import string
from contextlib import suppress
from ipaddress import IPv4Address, IPv6Address, ip_address

from hypothesis import given
from hypothesis import strategies as st

from mirror.errors import FrameError
from mirror.frames import FrameRef, check_id
from mirror.savant.classify import Answer, classify_download, classify_login, classify_resolve
from mirror.savant.network import address_allowed
from mirror.savant.urls import ApiUrls, StoreRule, check_store_url, read_host
from mirror.savant.values import read_expiry

ANY = StoreRule(plain=True, allowed=frozenset())
URLISH = st.text(alphabet=string.ascii_letters + string.digits + "%+/?#&=:@[].-_~!\\ ", max_size=60)


@given(
    st.one_of(st.text(max_size=80), URLISH.map("https://".__add__), URLISH.map("http://".__add__))
)
def test_a_url_is_sent_byte_for_byte_or_not_at_all(text: str) -> None:
    with suppress(FrameError):
        url = check_store_url(text, ANY)
        assert url.reveal() == text
        after_scheme = text.split("://", 1)[1]
        assert after_scheme.endswith(url.target.raw_path_qs) or url.target.raw_path_qs == "/"
        assert url.target.raw_user is None
        assert not url.target.raw_fragment


@given(URLISH.map("https://h.example.com/".__add__))
def test_every_path_and_query_of_plain_characters_survives_quoting(text: str) -> None:
    with suppress(FrameError):
        assert str(check_store_url(text, ANY).target) == text


@given(st.tuples(*[st.text(alphabet=string.printable, min_size=1, max_size=12)] * 3))
def test_attack_08_whatever_the_ids_the_target_has_the_one_shape(ids: tuple[str, str, str]) -> None:
    urls = ApiUrls("https://api.example.com")
    try:
        url = urls.frame(FrameRef(*ids))
    except FrameError:
        assert any(check_id(part) for part in ids)
        return
    workspace, root, frame = ids
    assert url.parts == ("/", "sequences", root, "frames", frame)
    assert dict(url.query) == {"workspace_id": workspace, "presigned_url": "True"}


@given(st.text(max_size=40))
def test_a_host_has_one_reading(text: str) -> None:
    host = read_host(text)
    if host is not None and ":" not in host:
        assert read_host(host) == host
        with suppress(ValueError):
            assert str(ip_address(host)) == host


@given(st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6)))
def test_what_the_standard_library_calls_private_is_never_public_to_us(
    address: IPv4Address | IPv6Address,
) -> None:
    allowed = address_allowed(str(address), loopback=False, private=False)
    if address.is_private or address.is_loopback or address.is_link_local or address.is_multicast:
        assert not allowed


@given(
    st.integers(100, 599),
    st.dictionaries(st.sampled_from(["Retry-After", "Date", "Content-Encoding"]), st.text()),
    st.binary(max_size=200),
)
def test_no_answer_makes_the_classification_crash(
    status: int, headers: dict[str, str], body: bytes
) -> None:
    answer = Answer(status, headers, body)
    for failure in (classify_resolve(answer), classify_download(answer)):
        assert failure is None or failure.retry_after is None or failure.retry_after >= 0
    assert (classify_login(answer, "me", "api") is None) == (status == 200)


@given(st.text(), st.text())
def test_no_token_makes_the_reading_of_its_expiry_crash(middle: str, whole: str) -> None:
    read_expiry(f"a.{middle}.c")
    read_expiry(whole)
