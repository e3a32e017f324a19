"""The interface as its clients see it: shapes, filters, what is unknown, and what is refused."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from starlette.testclient import TestClient

from refeed import Recommender
from refeed.serve.lineup import Place
from refeed.serve.settings import Limits

HISTORY = {"318": 5, "296": 4.5, "1": 2}


def test_a_list_has_the_shape_that_clients_count_on(client: TestClient) -> None:
    answer = client.post("/v1/recommend", json={"history": {**HISTORY, "no such film": 3}, "k": 10})
    assert answer.status_code == 200
    body = answer.json()
    assert set(body) == {"model", "items", "unknown"}
    assert body["unknown"] == ["no such film"]
    assert body["model"].startswith("main@")
    assert len(body["items"]) == 10
    first = body["items"][0]
    assert {"item", "title", "rating", "p_liked", "score", "because"} <= set(first)
    assert 0 <= first["p_liked"] <= 1
    assert first["low"] <= first["rating"] <= first["high"]
    assert {reason["item"] for reason in first["because"]} <= set(HISTORY)


def test_lists_predictions_and_reasons_are_those_of_the_library(client: TestClient, run: Path) -> None:
    recommender = Recommender.load(run)
    lines = client.post("/v1/recommend", json={"history": HISTORY, "k": 20}).json()["items"]
    expected = recommender.recommend(HISTORY, 20)
    assert [line["item"] for line in lines] == [line.item for line in expected]
    assert [line["rating"] for line in lines] == pytest.approx([line.rating for line in expected], abs=1e-5)
    assert [line["score"] for line in lines] == pytest.approx([line.score for line in expected], abs=1e-5)

    asked = [line["item"] for line in lines]
    predicted = client.post("/v1/predict", json={"history": HISTORY, "items": asked}).json()["items"]
    assert [line["item"] for line in predicted] == asked
    low, high = recommender.intervals(HISTORY, asked, 0.8)
    assert [line["low"] for line in predicted] == pytest.approx(low.tolist(), abs=1e-5)
    assert [line["high"] for line in predicted] == pytest.approx(high.tolist(), abs=1e-5)

    reasons = client.post("/v1/explain", json={"history": HISTORY, "item": asked[0]}).json()
    explained = recommender.explain(HISTORY, asked[0])
    assert reasons["level"] == pytest.approx(explained.level, abs=1e-5)
    assert [(part["item"], part["rating"]) for part in reasons["because"]] == [
        (part.item, part.rating) for part in explained.parts
    ]
    assert [part["adds"] for part in reasons["because"]] == pytest.approx(
        [part.adds for part in explained.parts], abs=1e-5
    )


def test_many_histories_are_answered_as_each_alone(client: TestClient) -> None:
    histories: list[dict[str, float]] = [{"318": 5}, {}, {"296": 0.5, "1": 4}]
    together = client.post("/v1/recommend", json={"histories": histories, "k": 5}).json()["results"]
    for history, result in zip(histories, together, strict=True):
        alone = client.post("/v1/recommend", json={"history": history, "k": 5}).json()
        assert [line["item"] for line in result["items"]] == [line["item"] for line in alone["items"]]
        assert [line["rating"] for line in result["items"]] == pytest.approx(
            [line["rating"] for line in alone["items"]], abs=1e-4
        )


def test_nothing_is_known_of_an_empty_history_but_all_get_a_list(client: TestClient) -> None:
    body = client.post("/v1/recommend", json={"k": 3}).json()
    assert len(body["items"]) == 3
    assert all(line["because"] == [] for line in body["items"])


def test_pages_of_a_list_are_the_list(client: TestClient) -> None:
    def listed(k: int, offset: int) -> list[str]:
        body = {"history": HISTORY, "k": k, "offset": offset}
        return [line["item"] for line in client.post("/v1/recommend", json=body).json()["items"]]

    assert listed(4, 0) + listed(4, 4) == listed(8, 0)
    assert listed(1000, 290) == listed(1000, 0)[290:]
    assert listed(5, 100_000) == []


def test_a_threshold_that_is_lower_is_more_probable(client: TestClient) -> None:
    def probabilities(liked: float) -> list[float]:
        body = {"history": HISTORY, "k": 300, "by": "rating", "liked": liked}
        return [line["p_liked"] for line in client.post("/v1/recommend", json=body).json()["items"]]

    low, high = np.array(probabilities(3)), np.array(probabilities(4.5))
    assert (low >= high).all()
    assert low.mean() > high.mean() + 0.2
    assert np.isclose(probabilities(0.5), 1, atol=0.02).all()


def test_filters_leave_what_they_say(client: TestClient) -> None:
    def listed(**filters: Any) -> set[str]:
        answer = client.post("/v1/recommend", json={"history": {"1": 4}, "k": 1000, **filters})
        assert answer.status_code == 200, answer.text
        return {line["item"] for line in answer.json()["items"]}

    client.put("/v1/lists/some", json={"items": ["318", "296", "47"]})
    client.put("/v1/items/318/attributes", json={"genre": ["Drama"], "year": 1994})
    client.put("/v1/items/47/attributes", json={"genre": "Thriller", "year": 1995})
    assert listed(only=["318", "Pulp Fiction (1994)", "nonsense"]) == {"318", "296"}
    assert listed(only_lists=["some"], exclude=["296"]) == {"318", "47"}
    assert listed(only=["318", "2571"], exclude_lists=["some"]) == {"2571"}
    assert listed(where={"genre": ["Drama", "Thriller"], "year": {"min": 1995}}) == {"47"}
    assert "1" not in listed()
    assert "1" in listed(include_seen=True)
    assert client.post("/v1/recommend", json={"only_lists": ["none"]}).status_code == 404
    assert client.get("/v1/lists").json() == {"lists": {"some": 3}}
    assert client.delete("/v1/lists/some").status_code == 204
    assert client.delete("/v1/lists/some").status_code == 404


def test_a_new_rating_counts_in_the_next_request(client: TestClient) -> None:
    def listed() -> dict[str, float]:
        lines = client.get("/v1/users/ann/recommendations?k=300").json()["items"]
        return {line["item"]: line["rating"] for line in lines}

    before = listed()
    assert client.put("/v1/users/ann/ratings", json={"318": 0.5, "Toy Story (1995)": 5}).json() == {
        "stored": 2,
        "unknown": [],
    }
    after = listed()
    assert before.keys() - after.keys() == {"318", "1"}
    assert any(abs(after[item] - before[item]) > 0.05 for item in after)
    assert client.get("/v1/users/ann/ratings").json() == {
        "ratings": {"318": 0.5, "1": 5.0},
        "trained_on": {},
        "not_interested": [],
    }
    assert client.delete("/v1/users/ann/ratings/318").status_code == 204
    assert client.delete("/v1/users/ann/ratings/1").status_code == 204
    assert listed() == before


def test_what_the_training_knows_of_a_person_counts_until_they_say_otherwise(
    client: TestClient, run: Path
) -> None:
    recommender = Recommender.load(run)
    user = recommender.histories.user_ids[3]
    known = client.get(f"/v1/users/{user}/ratings").json()["trained_on"]
    lines = client.get(f"/v1/users/{user}/recommendations?k=5").json()["items"]
    assert [line["item"] for line in lines] == [line.item for line in recommender.recommend(user, 5)]

    item = next(iter(known))
    client.put(f"/v1/users/{user}/ratings", json={item: 0.5})
    mixed = {**known, item: 0.5}
    lines = client.get(f"/v1/users/{user}/recommendations?k=5").json()["items"]
    assert [line["item"] for line in lines] == [line.item for line in recommender.recommend(mixed, 5)]

    client.delete(f"/v1/users/{user}/ratings/{item}")
    listed = client.get(f"/v1/users/{user}/recommendations?k=1000").json()["items"]
    assert item in {line["item"] for line in listed}


def test_what_was_shown_or_dismissed_can_be_left_out(client: TestClient) -> None:
    def listed(query: str = "") -> list[str]:
        lines = client.get(f"/v1/users/ann/recommendations?k=5{query}").json()["items"]
        return [line["item"] for line in lines]

    first = listed()
    client.post("/v1/events", json={"user": "ann", "items": first[:2], "kind": "shown"})
    assert listed() == first
    assert listed("&exclude_shown_since=0")[:3] == first[2:]
    assert listed(f"&exclude_shown_since={1 << 39}") == first
    client.post("/v1/events", json={"user": "ann", "items": [first[4]], "kind": "dismissed"})
    assert listed()[:4] == first[:4]
    assert first[4] not in listed()


def test_items_are_found_by_beginnings_of_words_without_accents(client: TestClient) -> None:
    def found(query: str) -> list[str]:
        return [line["title"] for line in client.get("/v1/items", params={"query": query}).json()["items"]]

    assert "Matrix, The (1999)" in found("matr")
    assert found("STAR war new hop") == ["Star Wars: Episode IV - A New Hope (1977)"]
    assert any("Amélie" in title for title in found("amélie poul"))
    assert found("amelie") == found("Amélie")
    assert found("alien")[0] == "Alien (1979)"
    assert found("the matrix")[0] == "Matrix, The (1999)"
    assert found('"; DROP') == found("%_*") == found("qqqq") == []
    assert client.get("/v1/items/318").json()["title"] == "Shawshank Redemption, The (1994)"
    assert client.get("/v1/items/nonsense").status_code == 404
    similar = client.get("/v1/items/318/similar?k=4").json()["items"]
    assert len(similar) == 4
    assert "318" not in {line["item"] for line in similar}


def test_an_import_says_where_it_is(client: TestClient) -> None:
    rows = [{"user": "ann", "item": "318", "rating": 4.0}, {"user": "bob", "item": "1", "rating": 3.0}]
    assert client.get("/v1/imports/old").json() == {"cursor": None}
    first = client.post("/v1/imports/old", json={"ratings": rows, "cursor": "2"})
    assert first.json() == {"cursor": "2", "stored": 2}
    wrong = client.post("/v1/imports/old", json={"ratings": rows, "after": "1", "cursor": "4"})
    assert wrong.status_code == 409
    assert "'2'" in wrong.json()["detail"]
    assert client.get("/v1/users/bob/ratings").json()["ratings"] == {"1": 3.0}


def test_ratings_of_unknown_items_are_taken_and_named(client: TestClient) -> None:
    answer = client.put("/v1/users/ann/ratings", json={"a film of next year": 4, "318": 5})
    assert answer.json() == {"stored": 2, "unknown": ["a film of next year"]}
    assert client.get("/v1/users/ann/recommendations").json()["unknown"] == ["a film of next year"]


@pytest.mark.parametrize(
    ("path", "body", "says"),
    [
        ("/v1/recommend", {"history": {"318": 6}}, "off the scale"),
        ("/v1/recommend", {"history": {"318": -3e141}}, "off the scale"),
        ("/v1/recommend", {"history": {"318": 5, "Shawshank Redemption, The (1994)": 4}}, "rated twice"),
        ("/v1/recommend", {"history": ["318"]}, "interactions"),
        ("/v1/recommend", {"k": 1001}, "at most 1,000"),
        ("/v1/recommend", {"k": 0}, "k: "),
        ("/v1/recommend", {"histroy": {}}, "histroy: Extra"),
        ("/v1/recommend", {"history": {"318": "5"}}, "history"),
        ("/v1/recommend", {"history": {}, "histories": []}, "exclude each other"),
        ("/v1/explain", {"item": "nonsense"}, "no item is called"),
        ("/v1/predict", {"items": ["a\0b"]}, "items.0"),
    ],
)
def test_a_mistake_is_a_problem_that_says_what_was_expected(
    client: TestClient, path: str, body: dict[str, Any], says: str
) -> None:
    answer = client.post(path, json=body)
    assert answer.status_code in {404, 422}
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert set(problem) == {"type", "title", "status", "detail", "request"}
    assert says in problem["detail"]
    assert problem["request"] == answer.headers["x-request-id"]


def test_browsers_are_told_by_a_page_and_programs_by_a_problem(client: TestClient) -> None:
    browser = {"accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
    for path in ("/nothing", "/model?name=nothing"):
        shown = client.get(path, headers=browser)
        assert shown.status_code == 404
        assert shown.headers["content-type"].startswith("text/html")
        assert "There is no such thing" in shown.text
        assert shown.headers["x-request-id"] in shown.text
        assert client.get(path).headers["content-type"] == "application/problem+json"
    told = client.get("/v1/items/nonsense", headers=browser)
    assert told.headers["content-type"] == "application/problem+json"


def test_every_tab_of_the_page_opens(client: TestClient) -> None:
    for path in ("/", "/model", "/page/report?name=main", "/api", "/docs"):
        answer = client.get(path)
        assert answer.status_code == 200, path
        assert answer.headers["content-type"].startswith("text/html")


@pytest.mark.parametrize("text", ["", "{", "[1]", '{"history": {"318": NaN}}', '{"history": {"\\ud800": 1}}'])
def test_what_is_no_json_of_ours_is_a_problem(client: TestClient, text: str) -> None:
    answer = client.post("/v1/recommend", content=text, headers={"content-type": "application/json"})
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"


def test_people_are_divided_among_models_and_keep_theirs(
    serving: Callable[..., TestClient], run: Path
) -> None:
    client = serving(places=[Place("a", run, 0.75), Place("b", run, 0.25)])
    given = {user: _model(client, f"user-{user}") for user in range(200)}
    assert 0.1 < sum(name == "b" for name in given.values()) / 200 < 0.4
    assert all(_model(client, f"user-{user}") == given[user] for user in range(20))
    named = client.get("/v1/users/ann/recommendations?model=b").json()["model"]
    assert named.startswith("b@")
    assert client.get("/v1/users/ann/recommendations?model=c").status_code == 404
    facts = client.get("/v1/model").json()["models"]
    assert {name: one["share"] for name, one in facts.items()} == {"a": 0.75, "b": 0.25}


def _model(client: TestClient, user: str) -> str:
    body = {"k": 1, "user": user, "because": 0}
    return str(client.post("/v1/recommend", json=body).json()["model"].partition("@")[0])


def test_metrics_count_requests_batches_and_models(client: TestClient) -> None:
    client.post("/v1/recommend", json={"history": {"nonsense": 4}})
    client.get("/v1/users/ann/ratings")
    text = client.get("/metrics").text
    assert 'refeed_request_seconds_count{method="POST",route="/v1/recommend",status="200"} 1.0' in text
    assert 'route="/v1/users/{user}/ratings"' in text
    assert "ann" not in text
    assert "refeed_unknown_items_total 1.0" in text
    assert 'refeed_batch_size_count{model="main"}' in text
    assert "refeed_model_info" in text


def test_health_is_told_apart_from_readiness(client: TestClient) -> None:
    assert client.get("/health/live").json() == {"status": "ok"}
    assert client.get("/health/ready").json() == {"status": "ok"}


def test_limits_hold_for_bodies_histories_and_rates(serving: Callable[..., TestClient]) -> None:
    client = serving(limits=Limits(body=2_000, history=3, rate=5.0))
    assert client.post("/v1/recommend", json={"history": dict.fromkeys("abcd", 1)}).status_code == 422
    assert client.post("/v1/recommend", content=b"x" * 3_000).status_code == 413

    def parts() -> Any:
        yield from [b"x" * 500] * 6

    headers = {"content-type": "application/json"}
    assert client.post("/v1/recommend", content=parts(), headers=headers).status_code == 413
    codes = [client.get("/health/live") for _ in range(12)]
    assert codes[-1].status_code == 429
    assert codes[-1].headers["retry-after"] == "1"


def test_a_full_queue_says_come_later(serving: Callable[..., TestClient]) -> None:
    client = serving(limits=Limits(queue=2))
    answer = client.post("/v1/recommend", json={"histories": [{}, {}, {}]})
    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "1"
    assert client.post("/v1/recommend", json={"histories": [{}, {}]}).status_code == 200


def test_openapi_names_every_status(client: TestClient) -> None:
    document = client.get("/openapi.json").json()
    operations = [operation for path in document["paths"].values() for operation in path.values()]
    assert len(operations) >= 20
    for operation in operations:
        assert {"401", "403", "413", "422", "429", "503"} <= set(operation["responses"])
        assert operation["description"]
    assert json.dumps(document).count("HTTPValidationError") == 0
