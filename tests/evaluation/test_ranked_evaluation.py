"""The evaluation of lists and the comparison of two models, against lists made user by user."""

import json
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from jaxtyping import Float, Float32, Int64
from torch import Tensor

from refeed.errors import ConfigError, DataError, ModelError
from refeed.evaluation.ranking import ScoreBlocks, compare_rankings, evaluate_ranking
from refeed.evaluation.relevance import in_items_of, relevant_items
from refeed.ratings.ids import Ids
from refeed.ratings.store import Ratings


def ratings_of(rows: list[tuple[str, str, float]], users: str = "", items: str = "") -> Ratings:
    user_ids = Ids(sorted({*users, *(row[0] for row in rows)}))
    item_ids = Ids(sorted({*items, *(row[1] for row in rows)}))
    return Ratings.from_arrays(
        user_ids.positions(row[0] for row in rows),
        item_ids.positions(row[1] for row in rows),
        np.array([row[2] for row in rows]),
        user_ids=user_ids,
        item_ids=item_ids,
    )


def table(scores: Float32[np.ndarray, "users items"], size: int = 2) -> ScoreBlocks:
    """A model that scores what its table says."""

    def blocks(users: Int64[np.ndarray, " users"]) -> Iterator[Float[Tensor, "block items"]]:
        for at in range(0, len(users), size):
            yield torch.from_numpy(scores[users[at : at + size]])

    return blocks


def random_split(seed: int, users: int = 40, items: int = 25) -> tuple[Ratings, Ratings]:
    rng = np.random.default_rng(seed)
    u, i = np.nonzero(rng.random((users, items)) < 0.4)
    ratings = Ratings.from_arrays(
        u,
        i,
        rng.integers(1, 6, len(u)).astype(float),
        user_ids=Ids(f"u{n}" for n in range(users)),
        item_ids=Ids(f"i{n}" for n in range(items)),
    )
    held_out = rng.random(len(ratings)) < 0.3
    return ratings.select(~held_out), ratings.select(held_out)


def random_scores(seed: int, users: int = 40, items: int = 25) -> Float32[np.ndarray, "users items"]:
    scores: Float32[np.ndarray, "users items"] = (
        np.random.default_rng(seed).normal(size=(users, items)).astype(np.float32)
    )
    return scores


# Users a, b; items v … z. Nothing of v and w is a candidate to a, nothing of x to b.
TRAIN = [("a", "v", 5.0), ("a", "w", 3.0), ("b", "x", 4.0), ("b", "y", 2.0), ("c", "z", 1.0)]


def test_lists_by_hand() -> None:
    train = ratings_of(TRAIN)
    relevance = relevant_items(train, ratings_of([("a", "y", 4.0), ("a", "z", 2.0), ("b", "v", 5.0)]))
    #                    v    w    x    y    z
    scores = np.array([[9.0, 9.0, 3.0, 2.0, 1.0], [1.0, 2.0, 9.0, 9.0, 3.0], [0] * 5], dtype=np.float32)
    result = evaluate_ranking(table(scores), relevance, ks=(2, 1))
    # The lists: a gets x, y, z; b gets z, w, v.
    assert result["recall@1"].value == 0
    assert result["recall@2"].value == pytest.approx((0.5 + 0) / 2)
    assert result["mrr@2"].value == pytest.approx((1 / 2 + 0) / 2)
    assert result.coverage == {1: 2 / 5, 2: 4 / 5}
    assert result["popularity@1"].value == pytest.approx(0.5)
    assert (result.users, result.relevant, result.ks) == (2, 3, (1, 2))


def test_only_what_is_rated_liked_or_more_is_relevant() -> None:
    train, test = ratings_of(TRAIN), ratings_of([("a", "y", 4.0), ("a", "z", 3.5), ("b", "v", 3.0)])
    relevance = relevant_items(train, test, liked=4)
    assert relevance.items.tolist() == [3]
    result = evaluate_ranking(table(np.zeros((3, 5), dtype=np.float32)), relevance, ks=(1,))
    assert (result.users, result.users_without) == (1, 1)
    assert "rated 4 or more" in str(result)
    assert "1 more users have no relevant item" in str(result)


def test_cold_and_seen_pairs_are_counted_and_left_out() -> None:
    train = ratings_of(TRAIN, users="d", items="q")
    test = ratings_of(
        [("a", "y", 4.0), ("a", "v", 4.0), ("d", "y", 5.0), ("e", "x", 5.0), ("b", "q", 5.0), ("c", "v", 1.0)]
    )
    relevance = relevant_items(train, test, seen=[ratings_of([("c", "v", 1.0), ("z", "y", 1.0)])])
    result = evaluate_ranking(table(np.zeros((4, 6), dtype=np.float32)), relevance, ks=(1,))
    assert (result.users, result.relevant, result.users_without) == (1, 1, 4)
    assert (result.cold_pairs, result.cold_users, result.cold_items, result.seen_pairs) == (3, 2, 1, 2)


def test_what_the_model_has_seen_is_no_candidate() -> None:
    train, test, valid = (
        ratings_of(TRAIN),
        ratings_of([("a", "z", 4.0)]),
        ratings_of([("a", "x", 4.0), ("a", "y", 1.0)]),
    )
    flat = table(np.zeros((3, 5), dtype=np.float32))
    without = evaluate_ranking(flat, relevant_items(train, test), ks=(1,))
    # A chance of one in x, y, z; then z alone is left.
    assert without["recall@1"].value == pytest.approx(1 / 3)
    result = evaluate_ranking(flat, relevant_items(train, test, seen=[valid]), ks=(1, 5))
    assert result["recall@1"].value == 1
    assert (result.seen, result.seen_elsewhere, result.short) == (2, 2, 1)
    assert "2\npairs that the lists are made from and 2 further ones" in str(result)


@pytest.mark.parametrize("size", [1, 7, 100])
def test_the_metrics_are_those_of_lists_made_user_by_user(size: int) -> None:
    train, test = random_split(0)
    scores = random_scores(1)
    result = evaluate_ranking(table(scores, size), relevant_items(train, test, liked=3), ks=(3, 10))
    ndcg, recall, lists = [], [], []
    for user in range(train.n_users):
        relevant = set(test.items[(test.users == user) & (test.values >= 3)].tolist())
        seen = set(train.items[train.users == user].tolist())
        if relevant:
            order = [item for item in np.argsort(-scores[user]).tolist() if item not in seen][:10]
            gains = sum(1 / np.log2(at + 2) for at, item in enumerate(order) if item in relevant)
            ndcg.append(gains / sum(1 / np.log2(at + 2) for at in range(min(10, len(relevant)))))
            recall.append(len(relevant & set(order)) / len(relevant))
            lists.append(order)
    assert result["ndcg@10"].value == pytest.approx(np.mean(ndcg), abs=1e-7)
    assert result["recall@10"].value == pytest.approx(np.mean(recall), abs=1e-7)
    assert result.users == len(lists)
    assert result.coverage[10] == pytest.approx(len({item for one in lists for item in one}) / 25)


def test_a_constant_model_covers_and_exposes_all_items_alike() -> None:
    train, test = random_split(2)
    flat = evaluate_ranking(table(np.ones((40, 25), dtype=np.float32)), relevant_items(train, test), ks=(5,))
    assert flat["precision@5"].value == pytest.approx(
        np.mean(
            [
                np.count_nonzero(test.users == user) / (25 - np.count_nonzero(train.users == user))
                for user in np.unique(test.users)
            ]
        )
    )
    # What is left of it comes from the items that have been seen by more people.
    assert flat.coverage[5] > 0.99
    assert flat.gini[5] < 0.2


@given(seed=st.integers(0, 100))
@settings(max_examples=10)
def test_the_order_of_the_users_changes_nothing(seed: int) -> None:
    train, test = random_split(3)
    scores = random_scores(4)
    order = np.random.default_rng(seed).permutation(train.n_users)
    place = np.argsort(order)
    moved = Ratings.from_arrays(
        place[train.users],
        train.items.astype(np.int64),
        train.values,
        user_ids=Ids(train.user_ids[at] for at in order.tolist()),
        item_ids=train.item_ids,
    )
    one = evaluate_ranking(table(scores, 100), relevant_items(train, test), ks=(5,), resamples=20)
    other = evaluate_ranking(table(scores[order], 100), relevant_items(moved, test), ks=(5,), resamples=20)
    assert other.as_dict() == {
        name: pytest.approx(value, rel=1e-9) if isinstance(value, float) else value
        for name, value in one.as_dict().items()
    }
    assert {row.p for row in compare_rankings(one, other).metrics.values()} == {1.0}


def test_a_better_model_is_told_from_a_worse_one() -> None:
    train, test = random_split(5)
    truth = np.zeros((40, 25), dtype=np.float32)
    truth[test.users, test.items] = 1
    relevance = relevant_items(train, test)
    good = evaluate_ranking(table(truth + random_scores(6) / 4), relevance, ks=(5,))
    poor = evaluate_ranking(table(random_scores(7)), relevance, ks=(5,))
    difference = compare_rankings(good, poor)
    row = difference["ndcg@5"]
    assert row.value == pytest.approx(good["ndcg@5"].value - poor["ndcg@5"].value, abs=1e-7)
    assert row.low is not None and 0 < row.low < row.value  # noqa: PT018 - for mypy
    assert row.p < 0.01
    assert "nDCG @5" in str(difference)
    assert json.loads(json.dumps(difference.as_dict()))["users"] == good.users


def test_models_asked_for_other_lists_are_not_compared() -> None:
    train, test = random_split(8)
    scores = table(random_scores(9))
    one = evaluate_ranking(scores, relevant_items(train, test), ks=(5,), resamples=5)
    for other in (
        evaluate_ranking(scores, relevant_items(train, test, liked=4), ks=(5,), resamples=5),
        evaluate_ranking(scores, relevant_items(train, test), ks=(6,), resamples=5),
    ):
        with pytest.raises(DataError, match="not asked for the same lists"):
            compare_rankings(one, other)


def test_as_dict_can_be_json() -> None:
    train, test = random_split(10)
    result = evaluate_ranking(table(random_scores(11)), relevant_items(train, test), ks=(5, 10))
    numbers = json.loads(json.dumps(result.as_dict()))
    assert numbers["ndcg@10"]["value"] == result["ndcg@10"].value
    assert numbers["coverage@5"] == result.coverage[5]
    assert numbers["ks"] == [5, 10]
    assert "evidence" not in numbers


def test_a_single_user_has_no_interval() -> None:
    relevance = relevant_items(ratings_of(TRAIN), ratings_of([("a", "y", 4.0)]))
    result = evaluate_ranking(table(np.zeros((3, 5), dtype=np.float32)), relevance, ks=(1,))
    assert result["ndcg@1"].low is None
    assert "too few users" in str(result)


def test_a_model_that_lists_nothing_scores_nothing() -> None:
    relevance = relevant_items(ratings_of(TRAIN), ratings_of([("a", "y", 4.0), ("b", "v", 4.0)]))
    result = evaluate_ranking(table(np.full((3, 5), -np.inf, dtype=np.float32)), relevance, ks=(2,))
    assert {name: row.value for name, row in result.metrics.items()} == dict.fromkeys(result.metrics, 0.0)
    assert (result.coverage[2], result.gini[2], result.short) == (0, 0, 2)


def test_people_given_by_their_ratings_are_measured_on_what_was_held_out_of_them() -> None:
    # The model knows items y, x, w in this order; z is unknown to it, and w has no training rating.
    given_of_them = ratings_of([("new", "x", 5.0), ("new", "z", 5.0)])
    test = ratings_of([("new", "y", 5.0), ("new", "z", 2.0), ("new", "w", 2.0)])
    histories = in_items_of(given_of_them, Ids("yxw"))
    relevance = relevant_items(histories, test, item_counts=np.array([3, 1, 0]))
    assert relevance.items.tolist() == [0]
    assert (relevance.cold_pairs, relevance.cold_users, relevance.cold_items) == (2, 0, 2)
    result = evaluate_ranking(table(np.array([[1.0, 9, 0]], dtype=np.float32)), relevance, ks=(1,))
    assert result["hit_rate@1"].value == 1


@pytest.mark.parametrize(
    ("test", "liked", "words"),
    [
        ([], None, "the test set is empty"),
        ([("nobody", "x", 1.0)], None, "ids written the same way"),
        ([("a", "v", 1.0)], None, "has seen all 1"),
        ([("a", "z", 1.0)], 4, "the highest of them is 1"),
    ],
)
def test_a_test_without_a_relevant_item_says_why(
    test: list[tuple[str, str, float]], liked: float | None, words: str
) -> None:
    with pytest.raises(DataError, match=words):
        relevant_items(ratings_of(TRAIN), ratings_of(test), liked=liked)


def test_interactions_are_all_relevant_and_none_is_liked() -> None:
    train, test = (replace(part, kind="interactions") for part in random_split(12))
    assert relevant_items(train, test, seen=[test.select(test.items == 0)]).seen[0].kind == "interactions"
    with pytest.raises(DataError, match="leave liked out"):
        relevant_items(train, test, liked=4.0)


@pytest.mark.parametrize(("ks", "resamples"), [((), 10), ((0,), 10), ((5,), 0)])
def test_lengths_that_make_no_sense_are_refused(ks: tuple[int, ...], resamples: int) -> None:
    relevance = relevant_items(ratings_of(TRAIN), ratings_of([("a", "y", 4.0)]))
    with pytest.raises(ConfigError, match="lengths k of 1 or more"):
        evaluate_ranking(table(np.zeros((3, 5), dtype=np.float32)), relevance, ks=ks, resamples=resamples)


def test_scores_that_are_no_numbers_are_refused() -> None:
    relevance = relevant_items(ratings_of(TRAIN), ratings_of([("a", "y", 4.0)]))
    with pytest.raises(ModelError, match="NaN"):
        evaluate_ranking(table(np.full((3, 5), np.nan, dtype=np.float32)), relevance)


@pytest.mark.parametrize("shape", [(1, 4), (2, 5), (0, 5)])
def test_scores_of_other_users_or_items_are_refused(shape: tuple[int, int]) -> None:
    relevance = relevant_items(ratings_of(TRAIN), ratings_of([("a", "y", 4.0)]))
    with pytest.raises(ModelError, match="expected those of 1 users in all, each of 5 items"):
        evaluate_ranking(lambda _: [torch.zeros(shape)], relevance)
