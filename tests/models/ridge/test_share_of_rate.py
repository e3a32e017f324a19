"""How fast F moves against the number of raters an item has."""

from typing import Any

import numpy as np
import pytest
import torch

from refeed.config import Config, RidgeConfig, TrainConfig
from refeed.models.ridge.learner import RidgeLearner
from refeed.models.ridge.rate import share_of_rate
from refeed.optim.optimizer import make_optimizer, set_learning_rate
from refeed.ratings.ids import Ids
from refeed.ratings.store import Ratings


def test_where_items_have_few_raters_f_takes_the_whole_rate() -> None:
    assert share_of_rate(np.array([0, 1, 30, 500])) == 1
    assert share_of_rate(np.zeros(3, dtype=np.int64)) == 1


def test_with_four_times_the_raters_f_takes_half_of_the_rate() -> None:
    assert share_of_rate(np.full(7, 2000)) == pytest.approx(0.5)
    assert share_of_rate(np.full(7, 50_000)) == pytest.approx(0.1)


def test_an_item_counts_by_its_ratings() -> None:
    raters = (1000 * 1000 + 10 * 10) / 1010
    assert share_of_rate(np.array([1000, 10])) == pytest.approx((500 / raters) ** 0.5)


def test_a_group_takes_its_share_of_whatever_the_rate_is() -> None:
    whole, part = (torch.nn.Parameter(torch.zeros(3)) for _ in range(2))
    groups: list[dict[str, Any]] = [{"params": [whole]}, {"params": [part], "share": 0.25}]
    optimizer = make_optimizer(groups, TrainConfig(optimizer="adam", lr=0.01))
    for rate in (0.04, 0.08):
        set_learning_rate(optimizer, rate)
        assert [group["lr"] for group in optimizer.param_groups] == [rate, rate / 4]


def test_one_update_moves_f_by_its_share_where_everybody_rates_everything() -> None:
    people, items = 2000, 2
    rng = np.random.default_rng(0)
    train = Ratings.from_arrays(
        np.repeat(np.arange(people), items),
        np.tile(np.arange(items), people),
        np.repeat(rng.normal(size=people), items) + rng.normal(size=people * items),
        user_ids=Ids(f"u{user}" for user in range(people)),
        item_ids=Ids(f"i{item}" for item in range(items)),
    )
    model = RidgeConfig(
        width=2,
        prior_users=1.0,
        prior_vectors=1.0,
        prior_bias=1.0,
        prior_user_bias=1.0,
        hidden=0.0,
        noise=0.0,
    )
    config = Config(model=model, train=TrainConfig(optimizer="adam", lr=0.01))
    learner = RidgeLearner(config, train, torch.device("cpu"))
    optimizer = make_optimizer(learner.parameter_groups(), config.train)
    set_learning_rate(optimizer, 0.01)
    for parameter in learner.parameters():
        parameter.grad = torch.ones_like(parameter)
    before = learner.vectors.detach().clone()
    optimizer.step()
    assert (learner.users.detach().abs() - 0.005).abs().max() < 1e-6  # √(500 / 2000) of the rate
    assert ((learner.vectors.detach() - before).abs() - 0.01).abs().max() < 1e-6
