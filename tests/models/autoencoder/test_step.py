"""One iteration: the three readings of re-feeding, against plain dense maths."""

from typing import Literal

import numpy as np
import pytest
import torch
from torch import Tensor

from refeed.config import AutoencoderConfig, TrainConfig
from refeed.models.autoencoder.dropout import Dropout
from refeed.models.autoencoder.example import whole
from refeed.models.autoencoder.network import Autoencoder
from refeed.models.autoencoder.step import train_step
from refeed.optim.optimizer import make_optimizer
from refeed.ratings.ids import Ids
from refeed.ratings.store import Ratings
from refeed.runtime import Runtime


def ratings(dense: np.ndarray) -> Ratings:
    users, items = np.nonzero(dense)
    return Ratings.from_arrays(
        users,
        items,
        dense[users, items],
        user_ids=Ids(f"u{u}" for u in range(dense.shape[0])),
        item_ids=Ids(f"i{i}" for i in range(dense.shape[1])),
    )


def dense_iteration(
    model: Autoencoder, x: Tensor, config: TrainConfig, optimizer: torch.optim.Optimizer
) -> list[float]:
    """Section 2.2 word for word, on dense matrices."""
    losses: list[Tensor] = []
    given, rated = x, x != 0

    def forward(example: Tensor) -> Tensor:
        return torch.selu(torch.selu(example @ model.item_in + model.encode_b[0]) @ model.item_out.t()) * 1.0

    def mmse(outputs: Tensor, targets: Tensor, mask: Tensor) -> Tensor:
        return (((outputs - targets) * mask) ** 2).sum() / mask.sum()

    def update(loss: Tensor) -> None:
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()

    for number in range(1 + config.refeed):
        y = forward(given)
        own = number > 0 and config.refeed_label != "ratings"
        losses.append(mmse(y, given, given != 0) if own else mmse(y, x, rated))
        if config.refeed_label != "joint":
            update(losses[-1])
        given = y.detach()
    if config.refeed_label == "joint":
        update(torch.stack(losses).sum())
    return [float(loss.detach()) for loss in losses]


@pytest.mark.parametrize("label", ["output", "ratings", "joint"])
@pytest.mark.parametrize("refeeds", [0, 1, 3])
def test_every_reading_of_refeeding_equals_its_dense_definition(
    label: Literal["output", "ratings", "joint"], refeeds: int
) -> None:
    rng = np.random.default_rng(5)
    dense = rng.integers(1, 6, (6, 9)) * (rng.random((6, 9)) < 0.4).astype(float)
    config = AutoencoderConfig(encoder=[4])
    train = TrainConfig(lr=0.01, refeed=refeeds, refeed_label=label)
    sparse_model, dense_model = (
        Autoencoder(config, 9, torch.Generator().manual_seed(1)).double() for _ in range(2)
    )
    sparse_optimizer, dense_optimizer = (
        make_optimizer(model.parameters(), train) for model in (sparse_model, dense_model)
    )
    example = whole(sparse_model, ratings(dense), np.arange(6))
    nothing = Dropout(0.0, torch.Generator(), slice(0, 6), 6)
    runtime = Runtime(torch.device("cpu"))
    # The oracle leaves the output's bias at 0, so the model's must not move either.
    for model in (sparse_model, dense_model):
        model.decode_b[0].requires_grad_(requires_grad=False)
    for _ in range(3):
        losses = train_step(sparse_model, example, sparse_optimizer, train, nothing, runtime)
        expected = dense_iteration(dense_model, torch.from_numpy(dense), train, dense_optimizer)
        np.testing.assert_allclose([float(loss) for loss in losses], expected, rtol=1e-12)
    for (name, one), (_, other) in zip(
        sparse_model.named_parameters(), dense_model.named_parameters(), strict=True
    ):
        torch.testing.assert_close(one, other, msg=name)
