"""Learning rates as functions of the place."""

import math

import pytest

from refeed.config import TrainConfig
from refeed.training.schedule import base_rate, learning_rate


def test_steps_halve_the_rate_at_the_published_milestones() -> None:
    config = TrainConfig(schedule="steps", lr=0.005)
    rates = [
        learning_rate(config, epoch, 0, batches=10, users=128) / 0.005
        for epoch in (0, 23, 24, 35, 36, 48, 66, 72, 99)
    ]
    assert rates == [1, 1, 0.5, 0.5, 0.25, 0.125, 0.0625, 0.03125, 0.03125]


def test_cosine_falls_from_the_full_rate_to_nothing() -> None:
    config = TrainConfig(schedule="cosine", lr=2.0, epochs=4)
    assert learning_rate(config, 0, 0, batches=10, users=128) == 2.0
    assert learning_rate(config, 2, 0, batches=10, users=128) == pytest.approx(1.0)
    assert learning_rate(config, 3, 9, batches=10, users=128) == pytest.approx(
        1 + math.cos(math.pi * 39 / 40)
    )


def test_warmup_rises_linearly_over_the_updates() -> None:
    config = TrainConfig(lr=1.0, warmup=20)
    assert [
        learning_rate(config, epoch, batch, batches=10, users=128)
        for epoch, batch in ((0, 0), (0, 9), (1, 9), (5, 3))
    ] == [
        0.05,
        0.5,
        1.0,
        1.0,
    ]


def test_the_rate_grows_with_the_batch_and_adamw_s_with_its_root() -> None:
    sgd, adamw = (TrainConfig(optimizer=name, lr=0.01, lr_for_batch=128) for name in ("sgd", "adamw"))
    assert [base_rate(sgd, users) for users in (64, 128, 512)] == [0.005, 0.01, 0.04]
    assert [base_rate(adamw, users) for users in (32, 128, 512)] == [0.005, 0.01, 0.02]
    assert base_rate(TrainConfig(lr=0.01), 4096) == 0.01


def test_warmup_rises_to_the_scaled_rate() -> None:
    config = TrainConfig(lr=0.01, lr_for_batch=128, warmup=4)
    rates = [learning_rate(config, 0, batch, batches=10, users=256) for batch in (0, 1, 3, 4)]
    assert rates == [0.005, 0.01, 0.02, 0.02]
