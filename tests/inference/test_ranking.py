"""Lists that make sense."""

from math import inf

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.metrics.pairwise import cosine_similarity

from refeed.inference.block_ranking import best_of_each, block_scores
from refeed.inference.ranking import best, cosines, shrunk, supported_scores

PREDICTIONS = st.lists(st.tuples(st.floats(-10, 10), st.integers(0, 1000)), min_size=1, max_size=30)


def scores_of(
    predictions: NDArray[np.float64], support: NDArray[np.int64], shrink: float = 20.0
) -> NDArray[np.float64]:
    """The scores of one person, in double precision."""
    return supported_scores(predictions, support, shrink).astype(np.float64)


def test_half_of_a_value_counts_at_as_many_ratings_as_shrink() -> None:
    assert shrunk(np.array([3.0, 3.0, 3.0]), np.array([20, 60, 0]), 20.0).tolist() == [1.5, 2.25, 0.0]


def test_without_shrinking_only_unsupported_values_vanish() -> None:
    assert shrunk(np.array([3.0, -1.0, 3.0]), np.array([1, 60, 0]), 0.0).tolist() == [3.0, -1.0, 0.0]


def test_the_scores_are_the_formula() -> None:
    predictions, support = np.array([4.9, 4.5, 3.0, 1.0]), np.array([3, 300, 200, 0])
    level = (4.9 * 3 + 4.5 * 300 + 3.0 * 200) / 503
    expected = [level + (4.9 - level) * 3 / 23, level + (4.5 - level) * 300 / 320, 3.0, 1.0]
    assert scores_of(predictions, support, 20.0) == pytest.approx(expected)


def test_an_item_that_three_people_rated_can_not_top_the_list() -> None:
    predictions, support = np.array([5.0, 4.4, 3.4]), np.array([3, 250, 250])
    assert np.argmax(predictions) == 0
    assert np.argmax(scores_of(predictions, support)) == 1


@given(PREDICTIONS, st.floats(0, 100))
def test_a_score_lies_between_the_level_and_the_prediction(
    items: list[tuple[float, int]], shrink: float
) -> None:
    predictions, support = np.array([r for r, _ in items]), np.array([n for _, n in items])
    level = np.average(predictions, weights=support) if support.sum() else 0.0
    scores = scores_of(predictions, support, shrink)
    assert (scores <= np.maximum(predictions, level) + 1e-9).all()
    assert (scores >= np.minimum(predictions, level) - 1e-9).all()


@given(PREDICTIONS)
def test_of_two_equal_predictions_the_better_supported_is_never_behind(
    items: list[tuple[float, int]],
) -> None:
    predictions = np.array([items[0][0]] * 2 + [r for r, _ in items])
    support = np.array([1, 50] + [n for _, n in items])
    scores = scores_of(predictions, support)
    assert scores[1] >= scores[0] - 1e-12


@given(st.lists(st.tuples(st.integers(0, 4), st.booleans()), min_size=1, max_size=20), st.integers(1, 25))
def test_the_best_are_those_of_a_full_sort_with_ties_in_order(items: list[tuple[int, bool]], k: int) -> None:
    scores, candidates = np.array([float(s) for s, _ in items]), np.array([c for _, c in items])
    wanted = sorted((-s, position) for position, (s, c) in enumerate(items) if c)[:k]
    assert best(scores, candidates, k).tolist() == [position for _, position in wanted]


def test_every_row_of_many_is_scored_by_its_own_level() -> None:
    rng = np.random.default_rng(0)
    predictions, support = rng.uniform(1, 5, size=(50, 40)), rng.integers(0, 100, size=40)
    many = supported_scores(predictions, support, 7.0)
    for row, scores in zip(predictions, many, strict=True):
        level = (row * support).sum() / support.sum()
        weights = support / (support + 7.0)
        expected = level + np.maximum(row - level, 0) * weights + np.minimum(row - level, 0)
        assert scores == pytest.approx(expected, abs=1e-12)
    single = supported_scores(predictions.astype(np.float32), support, 7.0)
    assert single.dtype == np.float32
    assert single == pytest.approx(many, abs=1e-5)


def test_a_block_of_tensors_is_scored_as_arrays_are() -> None:
    rng = np.random.default_rng(0)
    predictions, support = rng.uniform(1, 5, size=(50, 40)), rng.integers(0, 100, size=40)
    block = block_scores(torch.from_numpy(predictions), support, 7.0).numpy()
    np.testing.assert_allclose(block, supported_scores(predictions, support, 7.0), rtol=0, atol=1e-12)


@given(
    st.integers(1, 12).flatmap(
        lambda width: st.lists(
            st.lists(st.sampled_from([-inf, 0.0, 1.0, 2.0, 3.0]), min_size=width, max_size=width),
            min_size=1,
            max_size=6,
        )
    ),
    st.integers(1, 15),
)
def test_the_best_of_each_are_the_best_of_one_whatever_is_tied(rows: list[list[float]], k: int) -> None:
    scores = np.array(rows)
    many = best_of_each(torch.from_numpy(scores).float(), k).tolist()
    everything = np.full(scores.shape[1], True)
    assert many == [best(row, everything, k).tolist() for row in scores]


def test_among_thousands_of_equals_the_first_are_best() -> None:
    scores = torch.zeros(3, 20_000)
    scores[1, 15_000] = 1
    scores[2] = torch.rand(20_000, generator=torch.Generator().manual_seed(0)).mul(100).floor()
    everything = np.full(20_000, True)
    expected = [best(row.double().numpy(), everything, 100).tolist() for row in scores]
    assert best_of_each(scores, 100).tolist() == expected


def test_a_candidate_at_minus_infinity_comes_last_but_comes() -> None:
    assert best(np.array([-inf, 1.0]), np.array([True, True]), 5).tolist() == [1, 0]


def test_cosines_are_those_of_scikit_learn() -> None:
    vectors = np.random.default_rng(0).normal(size=(20, 5)).astype(np.float32)
    vectors[3] = 0
    for position in (0, 3, 19):
        expected = cosine_similarity(vectors.astype(np.float64))[position]
        assert cosines(vectors, position) == pytest.approx(expected, abs=1e-6)
