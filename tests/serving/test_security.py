"""Who may do what, and what is never told."""

import json
import logging
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from refeed import Recommender
from refeed.errors import ConfigError
from refeed.serve.lineup import Place
from refeed.serve.settings import Settings, Tokens

READ, WRITE = "read-token-of-the-tests", "write-token-of-the-tests"


@pytest.fixture
def guarded(serving: Callable[..., TestClient]) -> TestClient:
    """An application with tokens."""
    return serving(tokens=Tokens([("read", READ), ("write", WRITE)]), host="0.0.0.0")  # noqa: S104


def bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


def test_other_machines_need_tokens() -> None:
    for host in ("0.0.0.0", "192.168.1.2", "example.org", ""):  # noqa: S104
        with pytest.raises(ConfigError, match="--tokens"):
            Settings([Place("main", Path("run"), 1.0)], "r.sqlite", host=host)
    for host in ("127.0.0.1", "127.0.0.9", "::1", "localhost"):
        Settings([Place("main", Path("run"), 1.0)], "r.sqlite", host=host)


def test_reading_and_writing_need_their_tokens(guarded: TestClient) -> None:
    def read(headers: dict[str, str]) -> int:
        return guarded.post("/v1/recommend", json={}, headers=headers).status_code

    def write(headers: dict[str, str]) -> int:
        return guarded.put("/v1/users/ann/ratings", json={"1": 4}, headers=headers).status_code

    assert read({}) == write({}) == 401
    assert read(bearer("wrong")) == write(bearer("wrong")) == 401
    assert read({"authorization": f"Basic {WRITE}"}) == 401
    assert (read(bearer(READ)), write(bearer(READ))) == (200, 403)
    assert (read(bearer(WRITE)), write(bearer(WRITE))) == (200, 200)
    assert guarded.get("/metrics").status_code == 401
    assert guarded.get("/openapi.json").status_code == 401
    assert guarded.get("/health/live").status_code == 200
    assert guarded.get("/v1/users/ann/ratings", headers=bearer(READ)).status_code == 200
    assert guarded.delete("/v1/users/ann", headers=bearer(READ)).status_code == 403


def test_the_page_is_opened_by_a_token_that_may_write(guarded: TestClient) -> None:
    assert "Sign in" in guarded.get("/").text
    assert guarded.get("/model").status_code == 401
    assert guarded.post("/page/rate", content="item=1&rating=4").status_code == 401
    for token in (READ, "", "wrong"):
        assert guarded.post("/page/login", content=f"token={token}").status_code == 401
    done = guarded.post("/page/login", content=f"token={WRITE}", follow_redirects=False)
    assert done.status_code == 303
    assert WRITE not in done.headers["set-cookie"]
    assert "HttpOnly" in done.headers["set-cookie"]
    assert "SameSite=strict" in done.headers["set-cookie"]
    assert "Rate something" in guarded.get("/").text


def test_a_cookie_that_was_not_made_here_names_nobody(client: TestClient) -> None:
    client.put("/v1/users/ann/ratings", json={"318": 5})
    client.cookies.set("refeed_person", "ann.0123456789abcdef0123456789abcdef")
    assert "Your ratings" not in client.get("/").text


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"sec-fetch-site": "cross-site"},
        {"origin": "http://localhost:8000", "sec-fetch-site": "same-site"},
    ],
)
def test_pages_of_other_sites_change_nothing(client: TestClient, headers: dict[str, str]) -> None:
    client.get("/")
    for path in ("/page/rate", "/page/dismiss", "/page/forget"):
        assert client.post(path, content="item=318&rating=4", headers=headers).status_code == 403
    assert client.put("/v1/users/ann/ratings", json={"318": 5}, headers=headers).status_code == 403
    assert client.get("/v1/users/ann/ratings").json()["ratings"] == {}


def test_a_name_that_leads_here_from_elsewhere_is_refused(client: TestClient) -> None:
    assert client.get("/v1/users/ann/ratings", headers={"host": "evil.example:8000"}).status_code == 403
    assert client.get("/v1/users/ann/ratings", headers={"host": "localhost:8000"}).status_code == 200


def test_pages_run_no_script_but_their_own(client: TestClient) -> None:
    policy = client.get("/").headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self';" in policy
    assert "unsafe" not in policy
    assert client.get("/").headers["x-content-type-options"] == "nosniff"
    assert (
        "access-control-allow-origin" not in client.get("/", headers={"origin": "https://a.example"}).headers
    )


def test_other_sites_may_call_only_if_they_are_named(serving: Callable[..., TestClient]) -> None:
    client = serving(origins=("https://shop.example",))
    asked = {"origin": "https://shop.example", "access-control-request-method": "POST"}
    assert client.options("/v1/recommend", headers=asked).status_code == 200
    allowed = client.post("/v1/recommend", json={}, headers={"origin": "https://shop.example"})
    assert allowed.headers["access-control-allow-origin"] == "https://shop.example"
    assert client.post("/v1/recommend", json={}, headers={"origin": "https://b.example"}).status_code == 403


def test_no_markup_of_titles_or_queries_runs(client: TestClient) -> None:
    client.get("/")
    text = client.get("/page/search", params={"q": "<script>alert(1)</script>"}).text
    assert "<script>" not in text
    assert "&lt;script&gt;" in text


def test_answers_tell_nothing_of_the_machine(client: TestClient, run: Path, tmp_path: Path) -> None:
    answers = [
        client.put("/v1/model", json={"run": "nothing"}),
        client.put("/v1/model", json={"run": "../../etc"}),
        client.put("/v1/model", json={"model": "x"}),
        client.get("/v1/model"),
        client.get("/static/../page.py"),
        client.get("/static/%2e%2e/page.py"),
        client.get("/nothing"),
        client.get("/metrics"),
        client.get("/model"),
        client.get("/page/report?name=main"),
    ]
    assert [answer.status_code for answer in answers[:3]] == [422, 422, 404]
    for answer in answers:
        assert str(tmp_path) not in answer.text
        assert "Traceback" not in answer.text
        assert str(run) not in json.dumps(dict(answer.headers))


def test_a_damaged_folder_leaves_the_model_as_it_is(client: TestClient, run: Path) -> None:
    before = client.post("/v1/recommend", json={}).json()
    (run / "model.safetensors").write_bytes(b"no weights")
    assert client.put("/v1/model", json={}).status_code == 422
    assert client.post("/v1/recommend", json={}).json() == before


def test_logs_hold_neither_people_nor_tokens(guarded: TestClient, caplog: pytest.LogCaptureFixture) -> None:
    for name in ("refeed.access", "refeed.serve"):
        logging.getLogger(name).propagate = True
        logging.getLogger(name).setLevel(logging.INFO)
    logging.getLogger("httpx2").setLevel(logging.WARNING)  # the client's own
    with caplog.at_level(logging.INFO):
        guarded.put("/v1/users/ann-the-secret/ratings", json={"1": 4}, headers=bearer(WRITE))
        guarded.get("/v1/users/ann-the-secret/ratings", headers=bearer("a wrong but secret one"))
        guarded.delete("/v1/users/ann-the-secret", headers=bearer(WRITE))
    assert "/v1/users/{user}/ratings" in caplog.text
    for secret in ("ann-the-secret", WRITE, "a wrong but secret one"):
        assert secret not in caplog.text


def test_a_request_keeps_its_id(client: TestClient) -> None:
    assert client.get("/health/live", headers={"x-request-id": "from-proxy.7"}).headers["x-request-id"] == (
        "from-proxy.7"
    )
    made = client.get("/health/live", headers={"x-request-id": "bad id\twith things"}).headers["x-request-id"]
    assert len(made) == 16


def test_a_file_of_tokens_is_read_strictly(tmp_path: Path) -> None:
    path = tmp_path / "tokens"
    path.write_text(f"# who may\nread {READ}\nwrite {WRITE}  # the shop\n", encoding="utf-8")
    tokens = Tokens.read(path)
    assert tokens.scopes(READ) == {"read"}
    assert tokens.scopes(WRITE) == {"read", "write"}
    assert tokens.scopes("") == tokens.scopes(READ[:-1]) == frozenset()
    for text, says in [
        ("", "no token"),
        ("read short", "16 characters"),
        ("admin xxxxxxxxxxxxxxxxxxxx", "line 1"),
    ]:
        path.write_text(text, encoding="utf-8")
        with pytest.raises(ConfigError, match=says) as raised:
            Tokens.read(path)
        assert "xxxx" not in str(raised.value)
    with pytest.raises(ConfigError, match="can't be read"):
        Tokens.read(tmp_path / "nothing")


def test_forgetting_leaves_nothing_of_a_person(client: TestClient, run: Path) -> None:
    histories = people_of(run)
    user = histories[5]
    client.put(f"/v1/users/{user}/ratings", json={"318": 5, "1": 2})
    client.post("/v1/events", json={"user": user, "items": ["47"], "kind": "shown"})
    done = client.delete(f"/v1/users/{user}").json()
    assert (done["ratings"], done["events"], done["training_histories"]) == (2, 1, 1)
    assert "trained again" in done["note"]
    known = client.get(f"/v1/users/{user}/ratings").json()
    assert known == {"ratings": {}, "trained_on": {}, "not_interested": []}
    assert user not in people_of(run)
    assert len(people_of(run)) == len(histories)
    assert client.delete(f"/v1/users/{user}").json()["training_histories"] == 0


def people_of(run: Path) -> list[str]:
    return list(Recommender.load(run).histories.user_ids)


def test_forgetting_leaves_nothing_in_any_file(serving: Callable[..., TestClient], tmp_path: Path) -> None:
    client = serving()
    secret = "somebody-with-a-long-and-secret-name"  # noqa: S105
    for number in range(60):
        client.put(f"/v1/users/{secret}/ratings", json={"318": 1 + number % 4})
        client.post("/v1/events", json={"user": secret, "items": ["1", "2"], "kind": "shown"})
    assert any(secret.encode() in file.read_bytes() for file in tmp_path.rglob("*") if file.is_file())
    client.delete(f"/v1/users/{secret}")
    assert not any(secret.encode() in file.read_bytes() for file in tmp_path.rglob("*") if file.is_file())


def test_a_folder_that_still_has_a_forgotten_person_loses_them_when_it_is_served(
    serving: Callable[..., TestClient], run: Path, trained: Path, tmp_path: Path
) -> None:
    client = serving()
    user = people_of(run)[7]
    client.delete(f"/v1/users/{user}")
    older = tmp_path / "older"
    shutil.copytree(trained, older)
    assert user in people_of(older)
    assert client.put("/v1/model", json={"run": "older"}).status_code == 200
    assert user not in people_of(older)
    assert client.get(f"/v1/users/{user}/ratings").json()["trained_on"] == {}
