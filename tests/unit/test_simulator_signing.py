"""Presigned URLs and tokens, judged at chosen times."""

from __future__ import annotations

import base64
import json

import pytest
from yarl import URL

from mirror.simulator.signing import UrlSigner
from mirror.simulator.tokens import TokenOffice

HOST = "127.0.0.1:9000"
NOW = 1_800_000_000.25


def code_of(
    signer: UrlSigner, target: str, *, method: str = "GET", host: str = HOST, now: float = NOW
) -> str | None:
    answer = signer.refusal(method, host, target, now)
    if answer is None:
        return None
    text = answer.body.decode()
    return f"{answer.status} {text.split('<Code>')[1].split('</Code>')[0]}"


@pytest.fixture
def signer() -> UrlSigner:
    return UrlSigner(b"secret", lifetime=60.0)


def test_a_url_is_good_until_its_lifetime_is_over(signer: UrlSigner) -> None:
    target = signer.presign("/bucket/key.png", HOST, NOW)
    assert code_of(signer, target, now=NOW) is None
    assert code_of(signer, target, now=NOW + 59.9) is None
    assert code_of(signer, target, now=NOW + 60) == "403 AccessDenied"
    assert b"Request has expired" in signer.refusal("GET", HOST, target, NOW + 60).body  # type: ignore[union-attr]


def test_a_lifetime_below_a_second_is_kept_exactly() -> None:
    signer = UrlSigner(b"secret", lifetime=0.2)
    target = signer.presign("/k", HOST, NOW)
    assert "X-Amz-Expires=1&" in target
    assert code_of(signer, target, now=NOW + 0.19) is None
    assert code_of(signer, target, now=NOW + 0.21) == "403 AccessDenied"


def test_every_byte_of_the_target_is_signed(signer: UrlSigner) -> None:
    target = signer.presign("/bucket/key.png", HOST, NOW)
    assert code_of(signer, target.replace("key.png", "kez.png")) == "403 SignatureDoesNotMatch"
    assert code_of(signer, target.replace("%47et", "Get")) == "403 SignatureDoesNotMatch"
    assert code_of(signer, target[:-1] + "!") == "403 SignatureDoesNotMatch"
    assert code_of(signer, target, host="127.0.0.1:9001") == "403 SignatureDoesNotMatch"
    assert code_of(signer, target, method="HEAD") == "403 SignatureDoesNotMatch"


def test_yarl_would_rewrite_such_a_url_unless_told_not_to(signer: UrlSigner) -> None:
    target = signer.presign("/bucket/prod%3D1/key.png", HOST, NOW)
    assert URL(f"http://{HOST}{target}").raw_path_qs != target
    assert URL(f"http://{HOST}{target}", encoded=True).raw_path_qs == target


def test_a_target_without_a_signature_is_denied(signer: UrlSigner) -> None:
    target = signer.presign("/k", HOST, NOW)
    assert code_of(signer, "/k") == "403 AccessDenied"
    assert code_of(signer, target.replace("X-Amz-Date", "X-Amz-Dato")) == (
        "400 AuthorizationQueryParametersError"
    )
    garbled = target.replace("Security-Token=", "Security-Token=%21")
    assert code_of(signer, garbled) == "400 AuthorizationQueryParametersError"


def test_an_epoch_ends_what_came_before_it_and_no_more(signer: UrlSigner) -> None:
    old = signer.presign("/k", HOST, NOW)
    signer.credential_epoch += 1
    assert code_of(signer, old) == "400 ExpiredToken"
    assert code_of(signer, signer.presign("/k", HOST, NOW)) is None
    signer.url_epoch += 1
    assert code_of(signer, old) == "403 AccessDenied"
    assert code_of(signer, signer.presign("/k", HOST, NOW)) is None


def claims_of(token: str) -> dict[str, object]:
    part = token.split(".")[1]
    claims: dict[str, object] = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    return claims


def test_a_token_is_valid_until_its_lifetime_is_over() -> None:
    office = TokenOffice(b"s", lifetime=10.0, show_exp=True)
    token = office.issue("me", clock=1000.5, now=5.0)
    assert claims_of(token)["exp"] == 1010
    assert office.accepts(f"bearer {token}", now=14.9)
    assert office.accepts(f"Bearer {token}", now=14.9)
    assert not office.accepts(f"bearer {token}", now=15.0)


@pytest.mark.parametrize("lifetime", [None, 10.0])
def test_a_token_may_hide_its_end(lifetime: float | None) -> None:
    office = TokenOffice(b"s", lifetime=lifetime, show_exp=False)
    token = office.issue("me", clock=0.0, now=0.0)
    assert "exp" not in claims_of(token)
    assert office.accepts(f"bearer {token}", now=20.0) == (lifetime is None)


def test_forged_missing_and_revoked_tokens_are_refused() -> None:
    office = TokenOffice(b"s", lifetime=None, show_exp=True)
    token = office.issue("me", clock=0.0, now=0.0)
    forged = TokenOffice(b"other", lifetime=None, show_exp=True).issue("me", clock=0.0, now=0.0)
    for header in (None, "", token, f"basic {token}", f"bearer {forged}", "bearer"):
        assert not office.accepts(header, now=1.0)
    office.expire()
    assert not office.accepts(f"bearer {token}", now=1.0)
    assert office.issued == 1


def test_a_token_stays_out_of_the_repr() -> None:
    office = TokenOffice(b"s", lifetime=None, show_exp=True)
    assert office.issue("me", clock=0.0, now=0.0) not in repr(office)
