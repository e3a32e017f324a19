"""P(liked) from a table of the errors' distribution."""

import numpy as np
import pytest
import torch

from refeed.models.intervals import LEVELS
from refeed.models.liked import probability_liked
from refeed.models.liking import Liking


def _liking(seed: int = 0, boundary: float = 3.5) -> Liking:
    errors = np.sort(np.random.default_rng(seed).standard_normal(len(LEVELS)))
    return Liking(liked=4.0, boundary=boundary, quantiles=errors)


def test_it_is_what_lies_above_the_boundary_between_the_quantiles() -> None:
    liking = _liking()
    predictions = torch.linspace(-3, 9, 5000, dtype=torch.float64)
    std = 1 + torch.rand(5000, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    distance = (3.5 - predictions) / std
    searched = 1 - np.interp(
        distance.numpy(), liking.quantiles, LEVELS, left=LEVELS[0] / 2, right=1 - LEVELS[0] / 2
    )

    found = probability_liked(liking, predictions, std)

    errors = np.abs(found.numpy() - searched)
    assert errors.max() < 0.0025  # half a level, where two quantiles share a cell
    assert errors.mean() < 1e-5
    assert found.min() == pytest.approx(0.0025)
    assert found.max() == pytest.approx(0.9975)


def test_a_better_prediction_is_never_less_likely_to_be_liked() -> None:
    found = probability_liked(_liking(), torch.linspace(0, 7, 20_000))

    assert bool((found.diff() >= -1e-6).all())


def test_equal_errors_and_no_lower_rating_make_no_nan() -> None:
    equal = Liking(4.0, 3.5, np.zeros(len(LEVELS)))
    nothing_lower = _liking(boundary=-np.inf)

    found = probability_liked(equal, torch.tensor([1.0, 5.0]))

    assert found.tolist() == pytest.approx([0.0025, 0.9975])
    assert probability_liked(nothing_lower, torch.tensor([1.0])).item() == pytest.approx(0.9975)


def test_a_prediction_that_is_no_number_gives_none() -> None:
    found = probability_liked(_liking(), torch.tensor([float("nan"), 4.0]))

    assert found.isnan().tolist() == [True, False]
