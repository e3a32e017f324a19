"""What "auto" comes to, with trainings whose error is a known function of the priors."""

from typing import Any

import numpy as np
import pytest

import refeed.models.ridge.auto as auto_module
from refeed.config import Config, RidgeConfig, TrainConfig
from refeed.models.ridge.auto import resolve_auto
from refeed.progress import silent
from refeed.ratings.ids import Ids
from refeed.ratings.pairs import Aligned, align_to
from refeed.ratings.store import Ratings
from refeed.seeds import seed_of_member


class Off:
    """Predicts every held-out rating wrong by so much."""

    def __init__(self, held_out: Aligned, error: float) -> None:
        self.held_out, self.error = held_out, error

    def predict(self, *_: Any) -> np.ndarray:
        return self.held_out.values - self.error


class Constant:
    """Predicts 14 of every pair."""

    def predict(self, train: Ratings, users: np.ndarray, items: np.ndarray) -> np.ndarray:
        del train, items
        return np.full(len(users), 14.0)


def ratings(users: int = 60, items: int = 30) -> tuple[Ratings, Aligned]:
    rng = np.random.default_rng(0)
    who, what = np.nonzero(rng.random((users, items)) < 0.5)
    every = Ratings.from_arrays(
        who,
        what,
        rng.integers(1, 6, len(who)).astype(float) + 10,
        user_ids=Ids(f"u{n}" for n in range(users)),
        item_ids=Ids(f"i{n}" for n in range(items)),
    )
    held_out = (rng.random(len(who)) < 0.2) & (
        every.values > 12
    )  # predictions a little lower stay on the scale
    train = every.select(~held_out)
    return train, align_to(every.select(held_out), train)


def resolved(
    best: tuple[float, float], model: RidgeConfig, *, users: int = 60
) -> tuple[RidgeConfig, list[Config]]:
    """With an error that is a parabola in the logarithms of both priors."""
    train, held_out = ratings(users)
    tried: list[Config] = []

    def trained(config: Config, _: Ratings) -> Any:
        tried.append(config)
        found: Any = config.model
        distance = np.log([found.prior_users / best[0], found.prior_vectors / best[1]])
        return Off(held_out, 0.5 + 0.01 * float(np.square(distance).sum()))

    config = Config(model=model, train=TrainConfig(steps=300, warmup=50))
    settled = resolve_auto(config, train, held_out, silent, trained)[0].model
    assert isinstance(settled, RidgeConfig)
    return settled, tried


@pytest.mark.parametrize("scale", [0.2, 0.5, 1.0, 2.0, 9.0])
def test_the_best_priors_are_found_between_the_trials_and_made_stronger_for_a_whole_training(
    scale: float,
) -> None:
    train, _ = ratings()
    start = 500 * np.sqrt(len(train) / 100_000)
    settled, tried = resolved((scale * start, 2 * scale * start), RidgeConfig())
    assert settled.prior_users == pytest.approx(1.5 * scale * start, rel=0.07)  # two digits are kept
    assert settled.prior_vectors == pytest.approx(3 * scale * start, rel=0.07)
    assert len(tried) <= 6


def test_an_ensemble_takes_the_geometric_mean_of_a_search_by_each_of_its_seeds() -> None:
    train, held_out = ratings()
    start = 500 * np.sqrt(len(train) / 100_000)
    seeds = [seed_of_member(7, member) for member in range(3)]
    best = dict(zip(seeds, (0.3, 1.0, 2.0), strict=True))  # each finds something else

    def trained(config: Config, _: Ratings) -> Any:
        found: Any = config.model
        of_users = best[config.train.seed] * start
        distance = np.log([found.prior_users / of_users, found.prior_vectors / (2 * of_users)])
        return Off(held_out, 0.5 + 0.01 * float(np.square(distance).sum()))

    train_config = TrainConfig(steps=300, warmup=50, seed=7, ensemble=3)
    config = Config(model=RidgeConfig(), train=train_config)
    settled: Any = resolve_auto(config, train, held_out, silent, trained)[0]
    mean = (0.3 * 1.0 * 2.0) ** (1 / 3)
    assert settled.model.prior_users == pytest.approx(1.5 * mean * start, rel=0.07)
    assert settled.model.prior_vectors == pytest.approx(3 * mean * start, rel=0.07)
    assert settled.train == train_config


def test_that_of_users_gets_stronger_alone_where_who_rated_an_item_says_little() -> None:
    train, _ = ratings()
    start = 500 * np.sqrt(len(train) / 100_000)
    settled, _ = resolved((27 * start, 2 * start), RidgeConfig())
    assert settled.prior_users != "auto"
    assert settled.prior_vectors != "auto"
    assert settled.prior_users / settled.prior_vectors > 1.2  # at the start .5


@pytest.mark.parametrize(("users", "lengths"), [(60, (100, 16)), (10_000, (33, 5))])
def test_a_trial_is_the_training_in_a_ninth_of_the_updates_and_a_third_where_ratings_are_few(
    users: int, lengths: tuple[int, int]
) -> None:
    _, tried = resolved((50.0, 100.0), RidgeConfig(), users=users)
    assert {(config.train.steps, config.train.warmup) for config in tried} == {lengths}


@pytest.mark.parametrize(("scale", "steps"), [(0.3, [0, -1, -2, -1]), (1.0, [0, -1, 1, 0])])
def test_where_weaker_priors_are_better_stronger_ones_are_not_tried(scale: float, steps: list[int]) -> None:
    train, _ = ratings()
    start = 500 * np.sqrt(len(train) / 100_000)
    _, tried = resolved((scale * start, 2 * scale * start), RidgeConfig())
    of_vectors = [config.model.prior_vectors for config in tried]  # type: ignore[union-attr]
    assert [round(np.log(float(prior) / (2 * start)) / np.log(3)) for prior in of_vectors] == steps


def test_what_is_given_is_kept_and_no_trial_is_made_twice() -> None:
    settled, tried = resolved((50.0, 100.0), RidgeConfig(prior_users=77.0))
    assert settled.prior_users == 77
    priors = [(config.model.prior_users, config.model.prior_vectors) for config in tried]  # type: ignore[union-attr]
    assert len(priors) == len(set(priors))


def test_few_ratings_of_each_user_and_item_make_a_narrow_code() -> None:
    assert resolved((50.0, 100.0), RidgeConfig())[0].width == 24
    train, held_out = ratings(users=40, items=9)
    thin = train.select(np.arange(len(train)) % 2 == 0)
    config = Config(model=RidgeConfig(), train=TrainConfig())
    settled = resolve_auto(config, thin, None, silent, lambda *_: Off(held_out, 0.0))[0].model  # type: ignore[arg-type]
    assert isinstance(settled, RidgeConfig)
    assert settled.width == 16


@pytest.mark.parametrize(("enough", "share"), [(10**9, 0.2), (1_500, 0.05)])
def test_priors_of_many_ratings_are_tried_on_a_fifth_of_them_and_on_no_more_than_enough(
    enough: int, share: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (("_MOST", 100), ("_SCARCE", 0), ("_ENOUGH", enough)):
        monkeypatch.setattr(auto_module, name, value)
    train, held_out = ratings(users=2_500)
    tried: list[int] = []

    def trained(_: Config, some: Ratings) -> Any:
        tried.append(len(some))
        return Constant()

    resolve_auto(
        Config(model=RidgeConfig(width=2), train=TrainConfig(steps=9)), train, held_out, silent, trained
    )
    assert len(set(tried)) == 1
    assert tried[0] / len(train) == pytest.approx(share, rel=0.15)
