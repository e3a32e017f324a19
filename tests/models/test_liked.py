"""P(liked), against the error distribution that it comes from."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from refeed.baselines.mean import MeanModel
from refeed.config import MeanConfig
from refeed.errors import ConfigError
from refeed.models.intervals import LEVELS
from refeed.models.liked import fit_liking, probability_liked
from refeed.models.liking import Liking, liked_boundary, liked_threshold
from refeed.ratings.ids import Ids
from refeed.ratings.store import Ratings

NORMAL = np.quantile(np.random.default_rng(0).normal(size=200_000), LEVELS)


def test_liked_is_the_lowest_rating_that_the_upper_40_percent_reach() -> None:
    values = np.array([1] * 30 + [2] * 25 + [3] * 20 + [4] * 15 + [5] * 10, dtype=float)
    assert liked_threshold(values) == 3  # 45 % have at least 3, 25 % at least 4
    assert liked_threshold(np.ones(5)) == 1


def test_the_boundary_is_half_way_to_the_next_lower_rating() -> None:
    values = np.array([1.0, 3.0, 4.0, 5.0])
    assert liked_boundary(values, 4.0) == 3.5
    assert liked_boundary(values, 3.0) == 2.0
    assert liked_boundary(values, 2.5) == 2.0  # no rating lies between 1 and 3
    assert liked_boundary(values, 1.0) == -np.inf


def test_a_threshold_above_all_ratings_is_an_error() -> None:
    with pytest.raises(ConfigError, match="the highest is 5"):
        liked_boundary(np.array([1.0, 5.0]), 6.0)


def test_the_probability_is_that_of_the_error_distribution() -> None:
    liking = Liking(4.0, 3.5, NORMAL)
    found = probability_liked(liking, torch.tensor([3.5, 4.5, 2.5]), torch.tensor([1.0, 2.0, 1.0]))
    np.testing.assert_allclose(found, [0.5, 0.6915, 0.1587], atol=0.01)


def test_who_is_less_known_is_less_surely_for_or_against() -> None:
    liking = Liking(4.0, 3.5, NORMAL)
    sure, unsure = (
        probability_liked(liking, torch.tensor([3.0, 4.5]), torch.full((2,), s)) for s in (1.0, 2.0)
    )
    assert sure[0] < unsure[0] < 0.5 < unsure[1] < sure[1]


@given(st.floats(-50, 50), st.floats(0.1, 5))
def test_probabilities_stay_between_0_and_1(prediction: float, spread: float) -> None:
    found = probability_liked(Liking(4.0, 3.5, NORMAL), torch.tensor([prediction]), torch.tensor([spread]))
    assert 0.0024 <= float(found) <= 0.9976


def test_where_everything_is_liked_it_is_as_likely_as_can_be() -> None:
    found = probability_liked(Liking(1.0, -np.inf, NORMAL), torch.tensor([1.0, 5.0]))
    np.testing.assert_allclose(found, 0.9975, atol=1e-6)


def test_a_model_without_quantiles_gets_those_of_its_validation_errors() -> None:
    rng = np.random.default_rng(0)
    pairs = np.arange(400)
    train, valid = (
        Ratings.from_arrays(
            pairs // 20,
            pairs % 20,
            rng.integers(1, 6, 400).astype(float),
            user_ids=Ids(map(str, range(20))),
            item_ids=Ids(map(str, range(20))),
        )
        for _ in range(2)
    )
    model = MeanModel(MeanConfig(), 20)
    liking = fit_liking(model, train, valid)
    errors = valid.values - model.predict(train, pairs // 20, pairs % 20)
    np.testing.assert_allclose(liking.quantiles, np.quantile(errors, LEVELS), atol=1e-6)
