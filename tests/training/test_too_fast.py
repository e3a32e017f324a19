"""When a training starts again at a lower rate."""

from typing import Any, Literal

import numpy as np
import pytest

from refeed.config import Config, MeanConfig, RidgeConfig, TrainConfig
from refeed.ratings.ids import Ids
from refeed.ratings.pairs import align_to
from refeed.ratings.store import Ratings
from refeed.training.checkpoint import Place
from refeed.training.too_fast import is_too_fast, is_worse_than_trials, lower_rate

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


def trial_ended_at(error: float, *, lowered: int = 0) -> bool:
    """Whether a model that is wrong by 0.5 everywhere is worse than a trial of that error."""
    who, what = np.nonzero(np.random.default_rng(0).random((30, 12)) < 0.6)
    user_ids, item_ids = Ids(f"u{n}" for n in range(30)), Ids(f"i{n}" for n in range(12))
    train = Ratings.from_arrays(who, what, 1.0 + (who + what) % 5, user_ids=user_ids, item_ids=item_ids)
    held_out = align_to(train, train)
    place = Place(epoch=15, best_epoch=15, tried=error, lowered=lowered)
    return is_worse_than_trials(place, Off(), train, held_out, seed=0)


class Off:
    """Predicts half a rating too near to the middle of the scale."""

    axis: Literal["user", "item"] = "user"
    folds_in = True

    def predict(self, _: Ratings, users: np.ndarray, items: np.ndarray) -> np.ndarray:
        ratings = 1.0 + (users + items) % 5
        predicted: np.ndarray = ratings + np.where(ratings < 3, 0.5, -0.5)
        return predicted

    def predict_all(self, *_: Any) -> np.ndarray:
        raise NotImplementedError

    def item_vectors(self) -> None:
        return None


def test_a_training_that_ends_worse_than_its_trials_starts_again_once() -> None:
    assert trial_ended_at(0.49)
    assert not trial_ended_at(0.4995)  # as good, but for a little
    assert not trial_ended_at(0.51)
    assert not trial_ended_at(0.4, lowered=1)
    assert not trial_ended_at(float("inf"))
