"""Lists by who takes an item up and likes it."""

import math

import numpy as np
import pytest
import torch

from refeed.models.list_score import ListWeights, list_scores


def test_the_score_is_the_floored_log_and_beta_times_the_log_of_liking() -> None:
    scores = list_scores(
        torch.tensor([[0.2, -0.1, 0.0005]]),
        torch.tensor([[0.9, 0.5, 0.1]]),
        ListWeights(beta=2.0, floor=0.01),
    )
    expected = [
        math.log(0.2) + 2 * math.log(0.9),
        math.log(0.01) + 2 * math.log(0.5),
        math.log(0.01) + 2 * math.log(0.1),
    ]
    assert scores[0].tolist() == pytest.approx(expected, rel=1e-5)


def test_with_beta_0_the_order_is_that_of_the_interaction_scores() -> None:
    taken = torch.rand(4, 30, generator=torch.Generator().manual_seed(0)) + 0.01
    liked = torch.rand(4, 30, generator=torch.Generator().manual_seed(1)).clamp(min=0.01)
    scores = list_scores(taken.clone(), liked, ListWeights(beta=0.0))
    np.testing.assert_array_equal(scores.argsort(dim=1), taken.argsort(dim=1))
