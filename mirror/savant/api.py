"""The API: login and resolve. Answers are small: read whole under a cap, decoded by type.

Who may log in, and when, is decided in `tokens`; what an answer means, in `classify`.
"""

from __future__ import annotations

import re

import aiohttp
import msgspec
from pydantic import SecretStr

from mirror.errors import BadAnswerError, CredentialsError, FrameError, ProtocolError
from mirror.events import LoggedIn
from mirror.frames import FrameRef
from mirror.savant.classify import Answer, answered_at, classify_login, classify_resolve
from mirror.savant.exchange import Answered
from mirror.savant.tokens import MAX_REFUSED, Grant, TokenKeeper, grant
from mirror.savant.translate import DisconnectedError
from mirror.savant.urls import ApiUrls, StoreRule, check_store_url
from mirror.savant.values import AccessToken, PresignedUrl
from mirror.savant.wire import Wire, read_up_to

MAX_ANSWER = 1024**2
"""Bytes. The API's answers are a few KiB."""

_TOKEN = re.compile(r"[!-~]{1,7000}")  # what fits in a header line


class _LoginAnswer(msgspec.Struct):
    access_token: str


class _Frame(msgspec.Struct):
    frame_path: object = None


class _FrameAnswer(msgspec.Struct):
    frame: _Frame


_decode_login = msgspec.json.Decoder(_LoginAnswer).decode
_decode_frame = msgspec.json.Decoder(_FrameAnswer).decode
_UNREADABLE = (msgspec.MsgspecError, RecursionError, UnicodeDecodeError)


class Api:
    """One account at one API."""

    def __init__(
        self, wire: Wire, urls: ApiUrls, rule: StoreRule, username: str, password: SecretStr
    ) -> None:
        self._wire = wire
        self._urls = urls
        self._rule = rule
        self._username = username
        self._password = password
        self._tokens = TokenKeeper(self._log_in, self._refused, wire.clock)

    async def close(self) -> None:
        """End a login that is under way."""
        await self._tokens.close()

    async def login(self) -> None:
        """Have a token. Raises `CredentialsError`, `ProtocolError` or a `FrameError`."""
        await self._tokens.get()

    async def resolve(self, ref: FrameRef) -> PresignedUrl:
        """A fresh presigned URL; a refused token is replaced and the request replayed."""
        url = self._urls.frame(ref)
        for _ in range(MAX_REFUSED + 1):
            token = await self._tokens.get()
            telling = self._wire.tell("resolve")
            try:
                headers = {"Authorization": f"bearer {token.reveal()}"}
                answer = await self._wire.get(url, _read_answer, headers)
            except BaseException:
                telling.finish(None)
                raise
            telling.finish(answer.status)
            if answer.status != 401:
                self._tokens.prove(token)
                break
            self._tokens.refuse(token)
        if (failure := classify_resolve(answer)) is not None:
            raise failure
        return check_store_url(_frame_path(answer.body), self._rule)

    async def _log_in(self) -> Grant:
        try:
            return await self._ask_for_token()
        except FrameError as error:
            error.of_login = True
            raise

    async def _ask_for_token(self) -> Grant:
        try:
            answer = await self._post_login()
        except DisconnectedError:
            # a connection that idled too long; unlike a GET, aiohttp does not send a POST again
            answer = await self._post_login()
        if (failure := classify_login(answer, self._username, self._urls.host)) is not None:
            raise failure
        token = _access_token(answer.body, self._urls.host)
        self._wire.emit(LoggedIn())
        return grant(token, answered_at(answer.headers).timestamp())

    async def _post_login(self) -> Answer:
        telling = self._wire.tell("login")
        try:
            form = {"username": self._username, "password": self._password.get_secret_value()}
            answer = await self._wire.post(self._urls.login, _read_answer, form)
        except BaseException:
            telling.finish(None)
            raise
        telling.finish(answer.status)
        return answer

    def _refused(self) -> CredentialsError:
        return CredentialsError(
            f"{self._urls.host} refuses every token that it hands to {self._username!r} (401 after"
            f" {MAX_REFUSED} logins); check the account on the platform."
        )


async def _read_answer(response: Answered | aiohttp.ClientResponse) -> Answer:
    body = await read_up_to(response, MAX_ANSWER)
    if len(body) > MAX_ANSWER:
        raise BadAnswerError("The API's answer is too large to be one.")
    return Answer(response.status, response.headers, body)


def _frame_path(body: bytes) -> object:
    try:
        return _decode_frame(body).frame.frame_path
    except _UNREADABLE:
        pass
    raise BadAnswerError("The API's answer is not the JSON of a frame.")


def _access_token(body: bytes, host: str) -> AccessToken:
    try:
        text = _decode_login(body).access_token
    except _UNREADABLE:
        text = ""
    if not _TOKEN.fullmatch(text):
        raise ProtocolError(
            f"{host} answered the login with 200, but without a token; check SAVANT_DOMAIN."
        )
    return AccessToken(text)
