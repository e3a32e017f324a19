"""Learning rates as functions of the place."""

import math

import pytest
import torch
from torch import nn

from refeed.config import TrainConfig
from refeed.training.optimizer import learning_rate, make_optimizer


def test_steps_halve_the_rate_at_the_published_milestones() -> None:
    config = TrainConfig(schedule="steps", lr=0.005)
    rates = [learning_rate(config, epoch, 0, 10) / 0.005 for epoch in (0, 23, 24, 35, 36, 48, 66, 72, 99)]
    assert rates == [1, 1, 0.5, 0.5, 0.25, 0.125, 0.0625, 0.03125, 0.03125]


def test_cosine_falls_from_the_full_rate_to_nothing() -> None:
    config = TrainConfig(schedule="cosine", lr=2.0, epochs=4)
    assert learning_rate(config, 0, 0, 10) == 2.0
    assert learning_rate(config, 2, 0, 10) == pytest.approx(1.0)
    assert learning_rate(config, 3, 9, 10) == pytest.approx(1 + math.cos(math.pi * 39 / 40))


def test_warmup_rises_linearly_over_the_updates() -> None:
    config = TrainConfig(lr=1.0, warmup=20)
    assert [learning_rate(config, epoch, batch, 10) for epoch, batch in ((0, 0), (0, 9), (1, 9), (5, 3))] == [
        0.05,
        0.5,
        1.0,
        1.0,
    ]


def test_l2_is_divided_by_the_ratings_and_spares_the_biases() -> None:
    matrix, bias = nn.Parameter(torch.ones(2, 3)), nn.Parameter(torch.ones(3))
    config = TrainConfig(optimizer="sgd", lr=0.5, momentum=0.0, l2=40.0)
    optimizer = make_optimizer([matrix, bias], config, ratings=100)
    matrix.grad, bias.grad = torch.zeros(2, 3), torch.zeros(3)
    optimizer.step()
    torch.testing.assert_close(matrix.detach(), torch.full((2, 3), 1 - 0.5 * 40 / 100))
    torch.testing.assert_close(bias.detach(), torch.ones(3))
