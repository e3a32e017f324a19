"""When a training starts again at a lower rate."""

import pytest

from refeed.config import Config, MeanConfig, RidgeConfig, TrainConfig
from refeed.training.checkpoint import Place
from refeed.training.too_fast import is_too_fast, lower_rate

RIDGE = Config(model=RidgeConfig(), train=TrainConfig(lr=0.009))


def after(epoch: int, *, best: int, times: int = 0, rmse: float = 0.9) -> Place:
    return Place(epoch=epoch, best_epoch=best, best_rmse=rmse, lowered=times)


@pytest.mark.parametrize(("epoch", "too_fast"), [(1, False), (4, False), (5, True), (15, True)])
def test_a_third_of_the_epochs_without_a_better_one_than_the_first_is_too_fast(
    epoch: int, *, too_fast: bool
) -> None:
    assert is_too_fast(RIDGE, after(epoch, best=1), 15) is too_fast


def test_a_training_that_got_better_or_has_nothing_to_be_judged_by_goes_on() -> None:
    assert not is_too_fast(RIDGE, after(15, best=2), 15)
    assert not is_too_fast(RIDGE, after(15, best=1, rmse=float("inf")), 15)


def test_two_epochs_say_too_little() -> None:
    assert not is_too_fast(RIDGE, after(2, best=1), 3)


def test_the_rate_is_lowered_three_times_at_most() -> None:
    rates = [lower_rate(RIDGE, after(5, best=1, times=times)).train.lr for times in range(4)]
    assert rates == pytest.approx([0.009, 0.003, 0.001, 0.001 / 3])
    assert is_too_fast(RIDGE, after(5, best=1, times=2), 15)
    assert not is_too_fast(RIDGE, after(5, best=1, times=3), 15)


def test_other_models_are_trained_as_they_are_configured() -> None:
    assert not is_too_fast(Config(model=MeanConfig(), train=TrainConfig()), after(15, best=1), 15)
