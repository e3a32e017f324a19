"""AutoRec as a config of the autoencoder: its objective, and the gradient that an update follows."""

from typing import Literal

import numpy as np
import pytest
import torch

from refeed.config import AutoencoderConfig, Config, TrainConfig, load_recipe
from refeed.factory import build_model
from refeed.models.autoencoder.dropout import Dropout
from refeed.models.autoencoder.example import whole
from refeed.models.autoencoder.learner import AutoencoderLearner
from refeed.models.autoencoder.network import Autoencoder
from refeed.models.autoencoder.step import train_step
from refeed.optim.optimizer import make_optimizer
from refeed.ratings.ids import Ids
from refeed.ratings.store import Ratings
from refeed.runtime import Runtime

L2 = 0.7


def _ratings() -> Ratings:
    rng = np.random.default_rng(0)
    users, items = np.nonzero(rng.random((7, 5)) < 0.6)
    return Ratings.from_arrays(
        users,
        items,
        rng.integers(1, 6, len(users)).astype(np.float64),
        user_ids=Ids(map(str, range(7))),
        item_ids=Ids(map(str, range(5))),
    )


def _objective(model: Autoencoder, rows: Ratings) -> float:
    """Σ‖r − W g(V r + μ) − b‖² over the ratings + λ/2 (‖W‖² + ‖V‖²), with dense matrices (equation 2)."""
    v, w = model.item_in.detach().numpy(), model.item_out.detach().numpy()
    mu, b = model.encode_b[0].detach().numpy(), model.decode_b[-1].detach().numpy()
    dense, known = np.zeros((rows.n_users, rows.n_items)), np.zeros((rows.n_users, rows.n_items), dtype=bool)
    dense[rows.users, rows.items], known[rows.users, rows.items] = rows.values, True
    outputs = 1 / (1 + np.exp(-(dense @ v + mu))) @ w.T + b
    return float(((outputs - dense)[known] ** 2).sum() + L2 / 2 * ((v**2).sum() + (w**2).sum()))


@pytest.mark.parametrize("recipe", ["u-autorec", "i-autorec"])
def test_an_update_follows_the_finite_differences_of_autorec_s_objective(recipe: str) -> None:
    ratings = _ratings()
    given = load_recipe(recipe)
    assert isinstance(given.model, AutoencoderConfig)
    config = Config(
        model=given.model.model_copy(update={"encoder": [3]}),
        # A plain step, which shows the gradient; that of Adam hides its length.
        train=TrainConfig(optimizer="sgd", lr=1.0, momentum=0.0, l2=L2, precision="float64"),
    )
    model = build_model(config, n_users=7, n_items=5)
    assert isinstance(model, Autoencoder)
    rows = model.rows(ratings)
    expected = []
    for parameter in model.parameters():
        flat, gradient = parameter.data.view(-1).numpy(), np.empty(parameter.numel())
        for at in range(len(flat)):
            before = flat[at]
            flat[at] = before + 1e-6
            above = _objective(model, rows)
            flat[at] = before - 1e-6
            gradient[at] = (above - _objective(model, rows)) / 2e-6
            flat[at] = before
        expected.append(gradient)
    start = [parameter.detach().clone() for parameter in model.parameters()]
    optimizer = make_optimizer(AutoencoderLearner(model, config, ratings).parameter_groups(), config.train)
    dropout = Dropout(0.0, torch.Generator(), slice(0, rows.n_users), rows.n_users)
    example = whole(model, rows, np.arange(rows.n_users))
    train_step(model, example, optimizer, config.train, dropout, Runtime(torch.device("cpu")))
    for parameter, old, gradient in zip(model.parameters(), start, expected, strict=True):
        # The loss is a mean over the ratings, so all of it is divided by their number.
        moved = (old - parameter.detach()).numpy().reshape(-1) * len(ratings)
        np.testing.assert_allclose(moved, gradient, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(("recipe", "axis"), [("u-autorec", "user"), ("i-autorec", "item")])
def test_the_recipes_are_one_sigmoid_layer_with_a_linear_output(
    recipe: str, axis: Literal["user", "item"]
) -> None:
    config = load_recipe(recipe)
    assert config.model == AutoencoderConfig(
        axis=axis, encoder=[500], activation="sigmoid", output_activation=False
    )
    assert (config.train.optimizer, config.train.weight_decay) == ("adam", 0.0)
    assert config.train.l2 > 0
