"""Why an item is in a list, by both parts of a model, and what lists can be filtered by."""

import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from starlette.testclient import TestClient

from refeed import Recommender, load_recipe
from refeed.serve.lineup import Place
from refeed.training.fit import fit

HISTORY = {"318": 5, "296": 4.5, "1": 2}


@pytest.fixture(scope="module")
def clicks(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of the same people's clicks. Not to be changed."""
    run = tmp_path_factory.mktemp("clicks") / "clicks"
    histories = Recommender.load(trained).histories
    ones = replace(histories, values=np.ones(len(histories), dtype=np.float32), kind="interactions")
    fit(ones, None, load_recipe("default", []), run)
    return run


def total(parts: list[dict[str, float]]) -> float:
    return sum(part["adds"] for part in parts)


def test_a_lists_line_is_explained_by_both_parts_and_they_add_up_to_its_score(
    client: TestClient, run: Path
) -> None:
    lists = Recommender.load(run).trained.lists
    assert lists is not None
    body = {"history": HISTORY, "k": 20, "because": 50}
    for line in client.post("/v1/recommend", json=body).json()["items"]:
        taken = line["taken"]
        prediction = line["level"] + total(line["because"])
        assert min(max(prediction, 0.5), 5) == pytest.approx(line["rating"], abs=1e-4)
        assert taken["everybody"] + total(taken["because"]) == pytest.approx(taken["score"], abs=1e-4)
        assert {part["item"] for part in taken["because"]} == set(HISTORY)
        score = math.log(max(taken["score"], lists.weights.floor))
        score += lists.weights.beta * math.log(line["p_liked"])
        assert score == pytest.approx(line["score"], abs=1e-3)


def test_an_explanation_is_the_librarys_in_both_parts(client: TestClient, run: Path) -> None:
    expected = Recommender.load(run).explain(HISTORY, "2571")
    assert expected.taken is not None
    found = client.post("/v1/explain", json={"history": HISTORY, "item": "2571"}).json()
    assert found["prediction"] == pytest.approx(expected.prediction, abs=1e-4)
    assert found["taken"]["score"] == pytest.approx(expected.taken.score, abs=1e-5)
    assert found["taken"]["everybody"] == pytest.approx(expected.taken.everybody, abs=1e-5)
    assert [(part["item"], part["rating"]) for part in found["taken"]["because"]] == [
        (part.item, part.rating) for part in expected.taken.parts
    ]
    assert [part["adds"] for part in found["taken"]["because"]] == pytest.approx(
        [part.adds for part in expected.taken.parts], abs=1e-5
    )


@pytest.mark.parametrize(
    ("body", "explained"),
    [({"by": "rating"}, False), ({"because": 0}, False), ({"by": "interaction"}, True), ({}, True)],
)
def test_what_a_list_is_not_ranked_by_is_not_explained(
    client: TestClient, body: dict[str, Any], explained: bool
) -> None:
    (line,) = client.post("/v1/recommend", json={"history": HISTORY, "k": 1, **body}).json()["items"]
    assert (line["taken"] is not None) is explained


def test_only_the_weightiest_reasons_are_given(client: TestClient) -> None:
    body = {"history": HISTORY, "k": 5}
    whole = client.post("/v1/recommend", json={**body, "because": 3}).json()["items"]
    for line, short in zip(
        whole, client.post("/v1/recommend", json={**body, "because": 1}).json()["items"], strict=True
    ):
        assert short["taken"]["because"] == line["taken"]["because"][:1]
        assert abs(line["taken"]["because"][0]["adds"]) >= abs(line["taken"]["because"][2]["adds"])


def test_lists_of_clicks_take_lists_and_say_why(serving: Callable[..., TestClient], clicks: Path) -> None:
    client = serving(places=[Place("main", clicks, 1.0)])
    recommender = Recommender.load(clicks)
    lines = client.post("/v1/recommend", json={"history": ["318", "296"], "k": 5}).json()["items"]
    expected = recommender.recommend({"318": 1.0, "296": 1.0}, 5)
    assert [line["item"] for line in lines] == [line.item for line in expected]
    for line in lines:
        assert (line["rating"], line["p_liked"], line["low"]) == (None, None, None)
        assert {part["item"] for part in line["because"]} == {"318", "296"}
        assert line["level"] + total(line["because"]) == pytest.approx(line["score"], abs=1e-5)
        assert line["taken"]["score"] == pytest.approx(line["score"], abs=1e-5)
    found = client.post("/v1/explain", json={"history": ["318", "296"], "item": "2571"}).json()
    assert found["prediction"] is None
    assert found["level"] + total(found["because"]) == pytest.approx(found["taken"]["score"], abs=1e-5)
    assert "For you" in client.get("/").text
    assert client.get("/page/report?name=main").status_code == 200


# ------------------------------------------------------------------ what is recent


@pytest.fixture(scope="module")
def recent(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model for whose lists the latest ratings count more. Not to be changed."""
    run = tmp_path_factory.mktemp("recent") / "recent"
    settings = ["train.steps=3", "model.width=4", "interactions.kind=linear", "interactions.recency=16"]
    config = load_recipe("default", [*settings, "interactions.recency_span=3"])
    fit(Recommender.load(trained).histories, None, config, run)
    return run


def test_the_times_of_what_is_known_of_a_person_count(
    serving: Callable[..., TestClient], recent: Path
) -> None:
    client = serving(places=[Place("main", recent, 1.0)])
    recommender = Recommender.load(recent)
    user = recommender.histories.user_ids[3]
    lines = client.get(f"/v1/users/{user}/recommendations?k=20").json()["items"]
    expected = recommender.recommend(user, 20)
    assert [line["item"] for line in lines] == [line.item for line in expected]
    assert [line["score"] for line in lines] == pytest.approx([line.score for line in expected], abs=1e-5)
    taken = recommender.explain(user, lines[0]["item"]).taken
    assert taken is not None
    assert lines[0]["taken"]["score"] == pytest.approx(taken.score, abs=1e-5)

    def scores(somebody: str, order: list[str]) -> dict[str, float]:
        rows = [
            {"user": somebody, "item": item, "rating": 4.0, "at": 1_000 + at} for at, item in enumerate(order)
        ]
        client.post(f"/v1/imports/{somebody}", json={"ratings": rows, "cursor": "1"})
        listed = client.get(f"/v1/users/{somebody}/recommendations?k=300&by=interaction").json()["items"]
        return {line["item"]: line["score"] for line in listed}

    one, other = scores("ann", ["318", "296", "2571"]), scores("bob", ["2571", "296", "318"])
    assert one.keys() == other.keys()
    assert max(abs(one[item] - other[item]) for item in one) > 0.01


# ------------------------------------------------------------------ filters by attributes


def by_body(client: TestClient, where: dict[str, Any]) -> set[str]:
    answer = client.post("/v1/recommend", json={"k": 1000, "where": where, "because": 0})
    assert answer.status_code == 200, answer.text
    return {line["item"] for line in answer.json()["items"]}


def by_query(client: TestClient, where: dict[str, Any]) -> set[str]:
    asked: dict[str, str | int] = {"k": 1000, "where": json.dumps(where), "because": 0}
    answer = client.get("/v1/users/ann/recommendations", params=asked)
    assert answer.status_code == 200, answer.text
    return {line["item"] for line in answer.json()["items"]}


@pytest.mark.parametrize("listed", [by_body, by_query])
@pytest.mark.parametrize(
    ("where", "sql"),
    [
        ({"year": {"min": 1990, "max": 1994}}, "year between 1990 and 1994"),
        ({"year": [1994, 1995]}, "year in (1994, 1995)"),
        ({"era": "new|recent"}, "era = 'new|recent'"),
        ({"era": "recent", "ratings": {"min": 50}}, "era = 'new|recent' and ratings >= 50"),
        ({"era": ["new", "old"], "year": {"max": 1980}}, "year <= 1980"),
    ],
)
def test_attributes_of_the_titles_table_filter_as_they_do_without_a_server(
    client: TestClient,
    run: Path,
    listed: Callable[[TestClient, dict[str, Any]], set[str]],
    where: dict[str, Any],
    sql: str,
) -> None:
    expected = {line.item for line in Recommender.load(run).recommend({}, 1000, where=sql)}
    assert expected
    assert listed(client, where) == expected


def test_what_was_put_goes_before_what_the_model_knows(client: TestClient) -> None:
    before = by_body(client, {"era": "old"})
    assert "318" in before
    client.put("/v1/items/318/attributes", json={"era": "timeless"})
    assert by_body(client, {"era": "old"}) == before - {"318"}
    assert by_body(client, {"era": "timeless"}) == {"318"}


def test_conditions_that_make_no_sense_are_named(client: TestClient) -> None:
    answer = client.post("/v1/recommend", json={"where": {"colour": "red"}})
    assert answer.status_code == 422
    assert "nothing is known of 'colour'" in answer.json()["detail"]
    assert "'year'" in answer.json()["detail"]
    for where in ("year > 1990", '{"year": {"least": 1}}', "[]", '{"year": {}}'):
        answer = client.get("/v1/users/ann/recommendations", params={"where": where})
        assert answer.status_code == 422, where
        assert "year" in answer.json()["detail"]
