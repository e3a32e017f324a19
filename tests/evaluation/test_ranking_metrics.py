"""Metrics of lists, against brute force over all orders of equal scores, scikit-learn and ir-measures."""

from itertools import pairwise, permutations
from math import log2
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from jaxtyping import Float64
from sklearn.metrics import ndcg_score

from refeed.evaluation.list_traits import Exposure, gini, popularity_percentiles, self_information
from refeed.evaluation.ranking_metrics import METRICS, Placements, user_metrics
from refeed.evaluation.top_lists import top_lists

KS = (1, 2, 3, 5)


def metrics_of(scores: list[float], relevant: set[int], k: int, depth: int | None = None) -> dict[str, float]:
    """Of one user, through the lists of a block."""
    lists = top_lists(torch.tensor([scores], dtype=torch.float32), depth or k)
    items = np.array(sorted(relevant), dtype=np.int64)
    listed, above, tied = lists.placed(np.zeros(len(items), dtype=np.int64), items)
    users = np.zeros(int(listed.sum()), dtype=np.int64)
    placements = Placements.of(users, above, tied, np.array([len(items)]))
    return {name: float(value[0]) for name, value in user_metrics(placements, k).items()}


def by_definition(order: list[int], relevant: set[int], k: int) -> dict[str, float]:
    """Of one list, item by item."""
    hits = [item in relevant for item in order[:k]]
    found, possible = sum(hits), min(k, len(relevant))
    return {
        "ndcg": sum(1 / log2(place + 2) for place, hit in enumerate(hits) if hit)
        / sum(1 / log2(place + 2) for place in range(possible)),
        "recall": found / len(relevant),
        "truncated_recall": found / possible,
        "precision": found / k,
        "map": sum(sum(hits[: at + 1]) / (at + 1) for at, hit in enumerate(hits) if hit) / possible,
        "mrr": next((1 / (at + 1) for at, hit in enumerate(hits) if hit), 0.0),
        "hit_rate": float(found > 0),
    }


def orders_of(scores: list[float]) -> list[list[int]]:
    """All orders of the candidates by descending score."""
    candidates = [item for item, score in enumerate(scores) if score > -np.inf]
    return [
        list(order)
        for order in permutations(candidates)
        if all(scores[one] >= scores[next_] for one, next_ in pairwise(order))
    ]


LEVELS = st.sampled_from([-np.inf, 0.0, 1.0, 2.0])
CASES = st.integers(1, 5).flatmap(
    lambda n: st.tuples(
        st.lists(LEVELS, min_size=n, max_size=n), st.sets(st.integers(0, n - 1), min_size=1, max_size=n)
    )
)


def test_a_list_by_hand() -> None:
    # The order is 2, 0, 3, 1; relevant are 0 and 1, so places 2 and 4.
    values = metrics_of([3.0, 1.0, 4.0, 2.0], {0, 1}, k=3)
    assert values["ndcg"] == pytest.approx((1 / log2(3)) / (1 + 1 / log2(3)))
    assert (values["recall"], values["truncated_recall"]) == (0.5, 0.5)
    assert values["precision"] == pytest.approx(1 / 3)
    assert values["map"] == pytest.approx((1 / 2) / 2)
    assert (values["mrr"], values["hit_rate"]) == (0.5, 1.0)


def test_the_truncated_recall_is_within_reach_of_a_short_list() -> None:
    values = metrics_of([4.0, 3.0, 2.0, 1.0], {0, 1, 2, 3}, k=2)
    assert (values["recall"], values["truncated_recall"]) == (0.5, 1.0)


@given(case=CASES, k=st.sampled_from(KS))
@settings(max_examples=200)
def test_equal_scores_count_in_every_order(case: tuple[list[float], set[int]], k: int) -> None:
    scores, relevant = case
    every = [by_definition(order, relevant, k) for order in orders_of(scores)]
    expected = {name: float(np.mean([values[name] for values in every])) for name in METRICS}
    assert metrics_of(scores, relevant, k) == pytest.approx(expected, abs=1e-12)


@given(case=CASES)
def test_a_shorter_k_is_the_same_in_a_deeper_list(case: tuple[list[float], set[int]]) -> None:
    scores, relevant = case
    for k in KS:
        assert metrics_of(scores, relevant, k, depth=6) == pytest.approx(metrics_of(scores, relevant, k))


@given(case=CASES, k=st.sampled_from(KS))
def test_metrics_lie_between_0_and_1(case: tuple[list[float], set[int]], k: int) -> None:
    assert all(0 <= value <= 1 for value in metrics_of(*case, k).values())


@given(case=CASES, k=st.sampled_from(KS))
def test_a_monotone_transform_of_the_scores_changes_nothing(
    case: tuple[list[float], set[int]], k: int
) -> None:
    scores, relevant = case
    transformed = [float(np.expm1(score)) * 7 - 3 if score > -np.inf else score for score in scores]
    assert metrics_of(transformed, relevant, k) == metrics_of(scores, relevant, k)


def test_a_constant_model_gets_what_a_random_order_gets_however_long_the_catalogue() -> None:
    n, r, k = 5000, 7, 10
    values = metrics_of([1.0] * n, set(range(r)), k)
    assert values["precision"] == pytest.approx(r / n)
    assert values["recall"] == pytest.approx(k / n)
    none = np.prod([(n - r - j) / (n - j) for j in range(k)])
    assert values["hit_rate"] == pytest.approx(1 - none)
    rng = np.random.default_rng(0)
    draws = [np.sort(rng.choice(n, r, replace=False)) for _ in range(20_000)]
    # One in 70 lists holds a relevant item, so the mean of so many draws is known to some 6 %.
    assert values["mrr"] == pytest.approx(
        np.mean([1 / (places[0] + 1) if places[0] < k else 0 for places in draws]), rel=0.25
    )


@pytest.mark.parametrize("tied", [False, True])
def test_ndcg_is_that_of_scikit_learn(*, tied: bool) -> None:
    rng = np.random.default_rng(0)
    scores = rng.integers(0, 9, (20, 40)).astype(float) if tied else rng.normal(size=(20, 40))
    relevance = rng.random((20, 40)) < 0.2
    for row, relevant in zip(scores, relevance, strict=True):
        items = set(np.flatnonzero(relevant).tolist())
        for k in (1, 10, 40):
            expected = ndcg_score(relevant[None].astype(float), row[None], k=k)
            assert metrics_of(row.tolist(), items, k)["ndcg"] == pytest.approx(expected)


def test_metrics_are_those_of_ir_measures() -> None:
    reason = "needs ir-measures, of the extra dev"
    measures: Any = pytest.importorskip("ir_measures", reason=reason)
    pytest.importorskip("pytrec_eval", reason=reason)
    rng = np.random.default_rng(1)
    scores, relevance = rng.permuted(np.tile(np.arange(60.0), (15, 1)), axis=1), rng.random((15, 60)) < 0.1
    relevance[:, 0] = True
    judged = {f"u{u}": {f"i{i}": int(relevance[u, i]) for i in range(60)} for u in range(15)}
    run = {f"u{u}": {f"i{i}": float(scores[u, i]) for i in range(60)} for u in range(15)}
    k = 10
    names = {
        "ndcg": measures.nDCG @ k,
        "recall": measures.R @ k,
        "precision": measures.P @ k,
        "mrr": measures.RR @ k,
        "hit_rate": measures.Success @ k,
        "map": measures.AP @ k,
    }
    theirs = {
        (line.query_id, str(line.measure)): line.value
        for line in measures.iter_calc(list(names.values()), judged, run)
    }
    for u in range(15):
        relevant = set(np.flatnonzero(relevance[u]).tolist())
        ours = metrics_of(scores[u].tolist(), relevant, k)
        ours["map"] *= min(k, len(relevant)) / len(relevant)  # theirs is divided by all that is relevant
        expected = {name: theirs[f"u{u}", str(measure)] for name, measure in names.items()}
        assert {name: ours[name] for name in names} == pytest.approx(expected)


# ------------------------------------------------------------------ what lists are like


def chances_by_orders(scores: list[float], k: int) -> Float64[np.ndarray, " items"]:
    lists = [order[:k] for order in orders_of(scores)]
    counts = np.bincount([item for one in lists for item in one], minlength=len(scores))
    chances: Float64[np.ndarray, " items"] = counts / len(lists)
    return chances


@given(st.lists(LEVELS, min_size=2, max_size=5), st.sampled_from(KS), st.sampled_from([None, 5]))
def test_the_chance_to_be_listed_is_that_over_all_orders(
    scores: list[float], k: int, depth: int | None
) -> None:
    block = torch.tensor([scores, scores])
    chances = top_lists(block, max(k, depth or k)).chances(k)
    expected = chances_by_orders(scores, k)
    assert chances.by_item() == pytest.approx(2 * expected)
    exposure = Exposure(len(scores))
    exposure.add(chances)
    assert exposure.coverage() == pytest.approx(np.mean(1 - (1 - expected) ** 2))
    traits = np.arange(len(scores)) ** 2.0
    mean = traits @ expected / expected.sum() if expected.any() else 0.0
    assert chances.mean_of(traits) == pytest.approx([mean, mean])


def test_self_information_is_that_of_the_share_of_ratings() -> None:
    assert self_information(np.array([4, 2, 1, 1, 0])).tolist() == [1, 2, 3, 3, 3]


def test_percentiles_count_equals_half() -> None:
    assert popularity_percentiles(np.array([5, 0, 5, 9])).tolist() == [0.5, 0.125, 0.5, 0.875]


def test_gini_is_0_when_all_are_listed_alike_and_near_1_when_one_is_always() -> None:
    assert gini(np.full(50, 3.0)) == 0
    assert gini(np.eye(1, 50)[0]) == pytest.approx(49 / 50)
    assert gini(np.zeros(50)) == 0


@given(st.lists(st.integers(0, 20), min_size=1, max_size=12))
def test_gini_is_half_the_mean_difference_over_the_mean(counts: list[int]) -> None:
    values = np.array(counts, dtype=float)
    if values.any():
        expected = np.abs(values[:, None] - values).mean() / (2 * values.mean())
        assert gini(values) == pytest.approx(expected, abs=1e-12)
