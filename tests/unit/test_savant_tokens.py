"""Who logs in, and when: counted logins, under a clock that the test holds."""

import asyncio
import base64
import json

import pytest

from mirror.errors import CredentialsError, ThrottledError
from mirror.savant.tokens import Grant, TokenKeeper, grant, renew_after
from mirror.savant.values import AccessToken


class Login:
    """A login that waits for `let`, counts its calls, and hands out or raises."""

    def __init__(self, lifetime: float | None = None) -> None:
        self.calls = 0
        self.lifetime = lifetime
        self.error: Exception | None = None
        self.let = asyncio.Event()
        self.let.set()
        self.now = 0.0
        self.keeper = TokenKeeper(self, lambda: CredentialsError("refused"), lambda: self.now)

    async def __call__(self) -> Grant:
        self.calls += 1
        await self.let.wait()
        if self.error is not None:
            raise self.error
        return Grant(AccessToken(f"t{self.calls}"), self.lifetime)


async def test_many_who_ask_at_once_share_one_login() -> None:
    login = Login()
    tokens = await asyncio.gather(*(login.keeper.get() for _ in range(50)))
    assert login.calls == 1
    assert {token.reveal() for token in tokens} == {"t1"}


async def test_fault_03_an_expired_token_is_replaced_by_one_shared_login() -> None:
    login = Login()
    old = await login.keeper.get()
    login.keeper.prove(old)
    for _ in range(50):
        login.keeper.refuse(old)
    tokens = await asyncio.gather(*(login.keeper.get() for _ in range(50)))
    login.keeper.refuse(old)  # a late 401 on the old token says nothing about the new one
    assert {token.reveal() for token in tokens} == {"t2"}
    assert (await login.keeper.get()).reveal() == "t2"
    assert login.calls == 2


async def test_fault_04_two_fresh_tokens_refused_in_a_row_end_it_for_everybody() -> None:
    login = Login()
    for _ in range(2):
        token = await login.keeper.get()
        for _ in range(50):
            login.keeper.refuse(token)
    for _ in range(3):
        with pytest.raises(CredentialsError):
            await login.keeper.get()
    assert login.calls == 2


async def test_an_accepted_token_starts_the_count_of_refusals_anew() -> None:
    login = Login()
    for accepted in (False, True, False, True):
        token = await login.keeper.get()
        if accepted:
            login.keeper.prove(token)
        login.keeper.refuse(token)
    assert (await login.keeper.get()).reveal() == "t5"


async def test_fault_01_refused_credentials_are_tried_once() -> None:
    login = Login()
    login.error = CredentialsError("no")
    results = await asyncio.gather(*(login.keeper.get() for _ in range(9)), return_exceptions=True)
    assert all(isinstance(result, CredentialsError) for result in results)
    with pytest.raises(CredentialsError):
        await login.keeper.get()
    assert login.calls == 1


async def test_fault_02_those_who_wait_share_a_failure_and_the_next_may_try() -> None:
    login = Login()
    login.error = ThrottledError("later", retry_after=3)
    results = await asyncio.gather(*(login.keeper.get() for _ in range(9)), return_exceptions=True)
    assert [type(result) for result in results] == [ThrottledError] * 9
    assert login.calls == 1
    login.error = None
    assert (await login.keeper.get()).reveal() == "t2"


async def test_cancelling_the_first_to_ask_leaves_the_others_their_login() -> None:
    login = Login()
    login.let.clear()
    first = asyncio.create_task(login.keeper.get())
    await asyncio.sleep(0)
    second = asyncio.create_task(login.keeper.get())
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.sleep(0)
    login.let.set()
    assert (await second).reveal() == "t1"
    assert first.cancelled()
    assert login.calls == 1


async def test_closing_ends_a_login_under_way() -> None:
    login = Login()
    login.let.clear()
    waiting = asyncio.create_task(login.keeper.get())
    await asyncio.sleep(0)
    assert "running" in repr(login.keeper)
    await login.keeper.close()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert "idle" in repr(login.keeper)


async def test_fault_38_a_token_is_renewed_ahead_of_its_end_by_the_monotonic_clock() -> None:
    login = Login(lifetime=600.0)
    await login.keeper.get()
    login.now = 569.0
    await login.keeper.get()
    assert login.calls == 1
    login.now = 570.0
    assert (await login.keeper.get()).reveal() == "t2"
    assert login.calls == 2


@pytest.mark.parametrize(("lifetime", "renew"), [(3600, 3570), (300, 270), (100, 90), (1, 0.9)])
def test_the_last_tenth_of_a_lifetime_is_kept_in_reserve(lifetime: float, renew: float) -> None:
    assert renew_after(lifetime) == pytest.approx(renew)


def jwt(claims: object) -> str:
    body = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    return f"e30.{body}.sig"


@pytest.mark.parametrize(
    ("text", "expires_at"),
    [
        (jwt({"sub": "x", "exp": 1_700_000_000}), 1_700_000_000.0),
        (jwt({"exp": 1.5}), 1.5),
        (jwt({"sub": "x"}), None),
        (jwt({"exp": None}), None),
        (jwt({"exp": "soon"}), None),
        (jwt({"exp": True}), None),
        (jwt([1]), None),
        ("opaque", None),
        ("a.b.c", None),
        ("a.!!!.c", None),
        ("..", None),
        ("a.\u00e4.c", None),
    ],
)
def test_the_expiry_of_a_token(text: str, expires_at: float | None) -> None:
    assert AccessToken(text).expires_at == expires_at


def test_an_expiry_in_the_past_on_arrival_is_the_clocks_disagreeing() -> None:
    token = AccessToken(jwt({"exp": 1000}))
    assert grant(token, 900.0).lifetime == 100.0
    assert grant(token, 1000.0).lifetime is None
    assert grant(token, 5000.0).lifetime is None
    assert grant(AccessToken("opaque"), 0.0).lifetime is None
