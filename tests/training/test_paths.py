"""All ways to compute a step give the numbers of the paper's formulas on dense matrices, in float64."""

from typing import Literal

import numpy as np
import pytest
import torch
from torch import Tensor

from refeed import kernels
from refeed.config import AutoencoderConfig, TrainConfig
from refeed.models.autoencoder.dropout import Dropout
from refeed.models.autoencoder.example import whole
from refeed.models.autoencoder.network import Autoencoder
from refeed.models.autoencoder.step import takes_collapsed_path, train_step
from refeed.optim.optimizer import make_optimizer
from refeed.ratings.ids import Ids
from refeed.ratings.store import Ratings
from refeed.runtime import Runtime

USERS, ITEMS, WIDTHS = 60, 45, [9, 7]  # a collapsed re-feed is the cheaper one from 10 users on


def some_ratings(rng: np.random.Generator) -> np.ndarray:
    """Long-tailed, with users who rated one thing only."""
    popular = 0.9 * np.arange(1, ITEMS + 1) ** -0.5
    dense = rng.integers(1, 6, (USERS, ITEMS)) * (rng.random((USERS, ITEMS)) < popular)
    dense[::7] = 0
    dense[::7, 3] = 2
    return dense.astype(float)


def as_ratings(dense: np.ndarray) -> Ratings:
    users, items = np.nonzero(dense)
    return Ratings.from_arrays(
        users,
        items,
        dense[users, items],
        user_ids=Ids(str(u) for u in range(USERS)),
        item_ids=Ids(str(i) for i in range(ITEMS)),
    )


class DenseTraining:
    """Section 2 and 2.2, and SGD with momentum, straight from the formulas; it shares no code with refeed."""

    def __init__(self, start: dict[str, Tensor], *, momentum: float, rate: float, decay: float) -> None:
        self.weights = {name: value.detach().clone().requires_grad_() for name, value in start.items()}
        self.moments = {name: torch.zeros_like(value) for name, value in self.weights.items()}
        self.momentum, self.rate, self.decay = momentum, rate, decay

    def outputs(self, x: Tensor) -> Tensor:
        w = self.weights
        code = torch.selu(
            torch.selu(x @ w["item_in"] + w["encode_b.0"]) @ w["encode_w.0"].t() + w["encode_b.1"]
        )
        back = torch.selu(code @ w["decode_w.0"].t() + w["decode_b.0"])
        return back @ w["item_out"].t() + w["decode_b.1"]

    def batch(self, x: Tensor, refeeds: int) -> list[float]:
        losses = []
        for _ in range(1 + refeeds):
            y = self.outputs(x)
            mask = x != 0
            loss = (((y - x) ** 2) * mask).sum() / mask.sum()
            gradients = torch.autograd.grad(loss, list(self.weights.values()))
            with torch.no_grad():
                for (name, weight), gradient in zip(self.weights.items(), gradients, strict=True):
                    moment = self.moments[name]
                    moment.mul_(self.momentum).add_(gradient + self.decay * weight)
                    weight.sub_(self.rate * moment)
            losses.append(float(loss.detach()))
            x = y.detach()
        return losses


@pytest.mark.parametrize("compiled", [True, False])
@pytest.mark.parametrize("path", ["auto", "collapsed", "dense"])
@pytest.mark.parametrize(("refeeds", "decay"), [(0, 0.0), (1, 0.0), (2, 0.01)])
def test_a_linear_output_trains_as_the_dense_formulas_say(
    path: Literal["auto", "collapsed", "dense"],
    refeeds: int,
    decay: float,
    compiled: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if compiled and kernels.kernels() is None:
        pytest.skip("the kernels were not built")
    if not compiled:
        monkeypatch.setattr(kernels, "serves", lambda *_: False)
    config = AutoencoderConfig(encoder=WIDTHS, output_activation=False)
    train = TrainConfig(lr=0.01, momentum=0.9, weight_decay=decay, refeed=refeeds, refeed_path=path)
    model = Autoencoder(config, ITEMS, torch.Generator().manual_seed(0)).double()
    assert takes_collapsed_path(model, train, USERS) == (path != "dense")
    oracle = DenseTraining(dict(model.named_parameters()), momentum=0.9, rate=0.01, decay=decay)
    optimizer = make_optimizer(model.parameters(), train)
    nothing = Dropout(0.0, torch.Generator(), slice(0, USERS), USERS)
    rng = np.random.default_rng(1)
    for _ in range(4):
        dense = some_ratings(rng)
        example = whole(model, as_ratings(dense), np.arange(USERS))
        losses = train_step(model, example, optimizer, train, nothing, Runtime(torch.device("cpu")))
        expected = oracle.batch(torch.from_numpy(dense), refeeds)
        np.testing.assert_allclose([float(loss) for loss in losses], expected, rtol=1e-10)
    for name, parameter in model.named_parameters():
        torch.testing.assert_close(parameter, oracle.weights[name], rtol=0, atol=1e-9, msg=name)


@pytest.mark.parametrize("path", ["dense", "collapsed"])
def test_half_products_give_nearly_the_losses_of_whole_ones(path: Literal["dense", "collapsed"]) -> None:
    config = AutoencoderConfig(encoder=WIDTHS, output_activation=False)
    train = TrainConfig(lr=0.003, refeed=1, refeed_path=path)
    losses = {}
    for half in (None, torch.bfloat16):
        model = Autoencoder(config, ITEMS, torch.Generator().manual_seed(0))
        model.operand_type = half
        optimizer = make_optimizer(model.parameters(), train)
        nothing = Dropout(0.0, torch.Generator(), slice(0, USERS), USERS)
        rng = np.random.default_rng(1)
        losses[half] = [
            [
                float(loss)
                for loss in train_step(
                    model,
                    whole(model, as_ratings(some_ratings(rng)), np.arange(USERS)),
                    optimizer,
                    train,
                    nothing,
                    Runtime(torch.device("cpu")),
                )
            ]
            for _ in range(20)
        ]
        assert all(parameter.dtype == torch.float32 for parameter in model.parameters())
    whole_losses, half_losses = np.array(losses[None]), np.array(losses[torch.bfloat16])
    assert not np.array_equal(whole_losses, half_losses)
    np.testing.assert_allclose(half_losses[:, 0], whole_losses[:, 0], rtol=0.01)
    np.testing.assert_allclose(half_losses[:, 1], whole_losses[:, 1], rtol=0.05, atol=1e-3)


def test_predictions_are_computed_whole_whatever_training_does() -> None:
    ratings = as_ratings(some_ratings(np.random.default_rng(2)))
    model = Autoencoder(AutoencoderConfig(encoder=WIDTHS), ITEMS, torch.Generator().manual_seed(0)).eval()
    whole_predictions = model.predict_all(ratings, np.arange(5))
    model.operand_type = torch.bfloat16
    np.testing.assert_array_equal(model.predict_all(ratings, np.arange(5)), whole_predictions)
