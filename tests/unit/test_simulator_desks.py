"""What the sound API and the sound store say, without a network."""

from __future__ import annotations

import json
import time
from typing import Any
from urllib.parse import urlencode

import pytest
from multidict import CIMultiDict

from mirror.simulator import Account, Dataset, DatasetSpec
from mirror.simulator.answers import Answer
from mirror.simulator.api import Api
from mirror.simulator.request import Received
from mirror.simulator.shelf import FrameName, Shelf, object_path
from mirror.simulator.signing import UrlSigner
from mirror.simulator.store import Store, in_range
from mirror.simulator.tokens import TokenOffice

HOST = "127.0.0.1:9000"
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
DATASET = Dataset(DatasetSpec(sequences=1, frames_per_sequence=2, frame_bytes=2_000))
ROOT = DATASET.root_ids[0]
FRAME = next(DATASET.frame_ids())
NAME = FrameName(DATASET.workspace_id, ROOT, FRAME)


@pytest.fixture
def api() -> Api:
    tokens = TokenOffice(b"s", None, show_exp=True)
    return Api(
        Account("me@x.org", "pässword&"),
        tokens,
        Shelf(DATASET),
        lambda name: f"url of {name.frame_id}",
    )


def send(
    desk: Api | Store, target: str, method: str = "GET", body: bytes = b"", **headers: str
) -> Answer:
    named = CIMultiDict({name.replace("_", "-"): value for name, value in headers.items()})
    return desk.answer(Received(method, target, named, body))


def login(api: Api, body: bytes, content_type: str = FORM["Content-Type"]) -> Answer:
    return send(api, "/auth/jwt/login", "POST", body, Content_Type=content_type)


def token_of(api: Api) -> str:
    answer = login(api, urlencode({"username": "me@x.org", "password": "pässword&"}).encode())
    return str(json.loads(answer.body)["access_token"])


def resolve(api: Api, *, root: str = ROOT, frame: str = FRAME, **query: str) -> Answer:
    asked = {"workspace_id": DATASET.workspace_id, "presigned_url": "True", **query}
    chosen = urlencode({name: value for name, value in asked.items() if value != "absent"})
    return send(
        api, f"/sequences/{root}/frames/{frame}?{chosen}", Authorization=f"bearer {token_of(api)}"
    )


def json_of(answer: Answer) -> Any:
    assert answer.header("Content-Type") == "application/json"
    return json.loads(answer.body)


def test_login_gives_a_bearer_token_and_no_expiry(api: Api) -> None:
    answer = login(api, urlencode({"username": "me@x.org", "password": "pässword&"}).encode())
    assert answer.status == 200
    assert set(json_of(answer)) == {"access_token", "token_type"}
    assert json_of(answer)["token_type"] == "bearer"


@pytest.mark.parametrize("given", [("me@x.org", "wrong"), ("other", "pässword&")])
def test_fault_01_bad_password_or_user(api: Api, given: tuple[str, str]) -> None:
    answer = login(api, urlencode({"username": given[0], "password": given[1]}).encode())
    assert (answer.status, json_of(answer)) == (400, {"detail": "LOGIN_BAD_CREDENTIALS"})
    assert api.tokens.issued == 0


def test_a_json_login_is_unprocessable_and_names_both_fields(api: Api) -> None:
    answer = login(api, b'{"username": "me@x.org"}', "application/json")
    assert answer.status == 422
    missing = {"type": "missing", "msg": "Field required", "input": None}
    assert json_of(answer)["detail"] == [
        {**missing, "loc": ["body", "username"]},
        {**missing, "loc": ["body", "password"]},
    ]


def test_resolve_gives_a_presigned_url(api: Api) -> None:
    answer = resolve(api)
    assert answer.status == 200
    assert json_of(answer)["frame"]["frame_path"] == f"url of {FRAME}"


@pytest.mark.parametrize("value", ["absent", "False", "0"])
def test_resolve_gives_the_s3_path_unless_asked_for_a_url(api: Api, value: str) -> None:
    assert json_of(resolve(api, presigned_url=value))["frame"]["frame_path"].startswith("s3://")


@pytest.mark.parametrize("header", [None, "bearer nonsense", "basic abc"])
def test_no_valid_token_is_unauthorized_before_anything_is_validated(
    api: Api, header: str | None
) -> None:
    headers = {"Authorization": header} if header else {}
    answer = send(api, f"/sequences/{ROOT}/frames/{FRAME}", **headers)
    assert (answer.status, json_of(answer)) == (401, {"detail": "Unauthorized"})
    assert answer.header("WWW-Authenticate") is None


def test_fault_05_another_workspace_is_forbidden(api: Api) -> None:
    answer = resolve(api, workspace_id="elsewhere")
    assert (answer.status, json_of(answer)) == (403, {"detail": "Forbidden"})


@pytest.mark.parametrize("names", [{"frame": "nobody"}, {"root": "nobody"}])
def test_fault_06_an_unknown_frame_is_not_found(api: Api, names: dict[str, str]) -> None:
    assert resolve(api, **names).status == 404


def test_fault_07_a_wrong_query_is_unprocessable_and_echoed(api: Api) -> None:
    (missing,) = json_of(resolve(api, workspace_id="absent"))["detail"]
    assert (missing["type"], missing["loc"]) == ("missing", ["query", "workspace_id"])
    answer = resolve(api, presigned_url="perhaps")
    assert answer.status == 422
    assert json_of(answer)["detail"][0]["input"] == "perhaps"


def test_other_paths_and_methods_are_answered_as_fastapi_does(api: Api) -> None:
    assert (send(api, "/").status, json_of(send(api, "/"))) == (404, {"detail": "Not Found"})
    assert send(api, "/auth/jwt/login").status == 405
    assert send(api, f"/sequences/{ROOT}/frames/{FRAME}", "DELETE").header("Allow") == "GET"


def test_the_api_identifies_a_request_by_its_path_alone(api: Api) -> None:
    assert api.identify("GET", "/auth/jwt/login") == ("login", None)
    assert api.identify("GET", "/elsewhere") == ("other", None)
    hop, name = api.identify("GET", "/sequences/a%2fb/frames/c%3f")
    assert (hop, name and (name.root_id, name.frame_id)) == ("resolve", ("a/b", "c?"))


@pytest.fixture
def store() -> Store:
    return Store(Shelf(DATASET), UrlSigner(b"s", 60.0))


def signed(store: Store, name: FrameName = NAME) -> str:
    return store.signer.presign(object_path(name), HOST, time.time())


def get(store: Store, target: str, method: str = "GET", **headers: str) -> Answer:
    return send(store, target, method, b"", Host=HOST, **headers)


def test_the_store_gives_the_object_with_its_md5(store: Store) -> None:
    answer = get(store, signed(store))
    assert (answer.status, answer.body) == (200, DATASET.png(FRAME))
    assert answer.header("Content-Type") == "image/png"
    assert (answer.header("ETag") or "").strip('"').isalnum()


def test_attack_15_a_token_to_the_store_is_refused(store: Store) -> None:
    answer = get(store, signed(store), Authorization="bearer x")
    assert answer.status == 400
    assert b"<Code>InvalidArgument</Code>" in answer.body


def test_an_unsigned_amz_header_is_refused_by_name(store: Store) -> None:
    answer = get(store, signed(store), X_Amz_Date="now")
    assert answer.status == 403
    assert b"<HeadersNotSigned>x-amz-date</HeadersNotSigned>" in answer.body


def test_fault_30_a_missing_object_says_no_such_key(store: Store) -> None:
    answer = get(store, signed(store, FrameName("w", "r", "f")))
    assert answer.status == 404
    assert b"<Code>NoSuchKey</Code>" in answer.body
    assert get(store, store.signer.presign("/elsewhere", HOST, time.time())).status == 404


def test_only_get_is_signed(store: Store) -> None:
    assert get(store, signed(store), method="HEAD").status == 403


def test_an_unsigned_request_is_denied_as_xml(store: Store) -> None:
    answer = get(store, object_path(NAME))
    assert answer.status == 403
    assert answer.header("Content-Type") == "application/xml"


@pytest.mark.parametrize(
    ("wanted", "status", "body", "content_range"),
    [
        (None, 200, b"0123456789", None),
        ("items=1-2", 200, b"0123456789", None),
        ("bytes=-", 200, b"0123456789", None),
        ("bytes=2-4", 206, b"234", "bytes 2-4/10"),
        ("bytes=8-", 206, b"89", "bytes 8-9/10"),
        ("bytes=8-99", 206, b"89", "bytes 8-9/10"),
        ("bytes=-3", 206, b"789", "bytes 7-9/10"),
        ("bytes=10-", 416, None, "bytes */10"),
    ],
)
def test_ranges(
    wanted: str | None, status: int, body: bytes | None, content_range: str | None
) -> None:
    answer = in_range(Answer(200, b"0123456789"), wanted)
    assert (answer.status, answer.header("Content-Range")) == (status, content_range)
    assert body is None or answer.body == body


def test_too_many_requests_are_turned_away_in_each_hosts_words(api: Api, store: Store) -> None:
    assert (api.overload().status, api.overload().header("Retry-After")) == (429, "1")
    assert (store.overload().status, store.overload().header("Connection")) == (503, "close")


def test_the_password_stays_out_of_the_repr(api: Api) -> None:
    assert "pässword" not in repr(api)
