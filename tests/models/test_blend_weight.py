"""How much a network counts in a blend, and how surely."""

from typing import Any, Literal

import numpy as np
import pytest
import torch

from refeed.config import AutoencoderConfig, RidgeConfig
from refeed.models.autoencoder.network import Autoencoder
from refeed.models.blend.model import Blend
from refeed.models.blend.weight import least_squares, weigh, will_weigh_nothing
from refeed.models.ridge.model import RidgeAutoencoder
from refeed.ratings.ids import Ids
from refeed.ratings.pairs import Aligned, align_to
from refeed.ratings.store import Ratings


def test_least_squares_are_numpys_and_the_error_is_that_of_repeated_draws() -> None:
    rng = np.random.default_rng(0)
    apart = rng.normal(size=400)
    found = []
    for _ in range(300):
        errors = 0.3 * apart + rng.normal(size=400) * (1 + np.abs(apart))  # noisier where they differ more
        (weight,), (deviation,) = least_squares(apart[:, None], errors)
        assert weight == pytest.approx(float(np.linalg.lstsq(apart[:, None], errors)[0][0]))
        found.append((weight, deviation))
    weights, deviations = np.array(found).T
    assert weights.mean() == pytest.approx(0.3, abs=0.03)
    assert deviations.mean() == pytest.approx(weights.std(), rel=0.15)


def test_errors_of_groups_are_those_of_repeated_draws() -> None:
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(80), 5)
    columns = rng.normal(size=(80, 2))[groups] + 0.2 * rng.normal(size=(400, 2))
    found = [
        least_squares(columns, columns @ [0.3, -0.2] + rng.normal(size=80)[groups], groups)
        for _ in range(300)
    ]
    least, deviations = (np.array(each) for each in zip(*found, strict=True))
    np.testing.assert_allclose(least.mean(axis=0), [0.3, -0.2], atol=0.03)
    np.testing.assert_allclose(deviations.mean(axis=0), least.std(axis=0), rtol=0.15)


def test_a_network_that_is_right_of_people_of_few_ratings_alone_weighs_more_there() -> None:
    rng = np.random.default_rng(0)
    rated = rng.random((200, 60)) < np.repeat([0.05, 0.8], 100)[:, None]
    who, what = np.nonzero(rated)
    user_ids, item_ids = Ids(f"u{n}" for n in range(200)), Ids(f"i{n}" for n in range(60))
    ratings = Ratings.from_arrays(
        who, what, rng.integers(1, 6, len(who)).astype(float), user_ids=user_ids, item_ids=item_ids
    )
    pairs = align_to(ratings, ratings)
    blend = blend_at_its_start(60)
    right = pairs.values + rng.normal(0, 0.3, len(pairs))
    wrong = pairs.values + rng.normal(0, 0.6, len(pairs))
    thin = ratings.user_counts[pairs.users] < 20
    blend.ridge, blend.network = Fixed(np.where(thin, wrong, right)), Fixed(np.where(thin, right, wrong))  # type: ignore[assignment]
    said = weigh(blend, ratings, pairs)
    few, many = blend.weights(np.array([3, 48]))
    assert few == pytest.approx(0.8, abs=0.1)  # inverse variances: .36 / (.36 + .09)
    assert many == pytest.approx(0.2, abs=0.1)
    assert "for people of few ratings" in said


@pytest.mark.parametrize("likes", ["few people", "histories of one length"])
def test_where_nothing_tells_thin_histories_apart_there_is_one_weight(likes: str) -> None:
    rng = np.random.default_rng(0)
    if likes == "few people":
        who, what = np.nonzero(rng.random((6, 60)) < np.linspace(0.1, 0.9, 6)[:, None])
    else:
        who, what = np.divmod(np.arange(400), 10)
    user_ids, item_ids = Ids(f"u{n}" for n in range(40)), Ids(f"i{n}" for n in range(60))
    ratings = Ratings.from_arrays(
        who, what, rng.integers(1, 6, len(who)).astype(float), user_ids=user_ids, item_ids=item_ids
    )
    pairs, blend = align_to(ratings, ratings), blend_at_its_start(60)
    blend.ridge, blend.network = (Fixed(pairs.values + rng.normal(0, 0.5, len(pairs))) for _ in "12")  # type: ignore[assignment]
    weigh(blend, ratings, pairs)
    assert float(blend.weight) == pytest.approx(0.5, abs=0.15)
    assert float(blend.weight_if_thin) == 0


@pytest.mark.parametrize(("weight", "if_thin", "idle"), [(0, 0, True), (-0.2, 0.1, True), (-0.2, 0.3, False)])
def test_a_network_is_idle_if_it_weighs_nothing_whatever_the_history(
    weight: float, if_thin: float, *, idle: bool
) -> None:
    blend = blend_at_its_start(5)
    blend.weight.fill_(weight)
    blend.weight_if_thin.fill_(if_thin)
    assert blend.idle is idle


def test_a_blend_of_before_weights_by_history_is_read() -> None:
    old = blend_at_its_start(5)
    old.weight.fill_(0.4)
    weights = {name: tensor for name, tensor in old.state_dict().items() if name != "weight_if_thin"}
    read = blend_at_its_start(5)
    read.load_state_dict(weights)
    assert read.weights(np.array([0, 10])).tolist() == pytest.approx([0.4, 0.4])


def blend_at_its_start(items: int) -> Blend:
    network = AutoencoderConfig(encoder=[3], target="residual")
    return Blend([RidgeAutoencoder(RidgeConfig(width=2), items)], [Autoencoder(network, items)])


class Fixed(torch.nn.Module):
    """Predicts what it was given for each validation pair."""

    axis: Literal["user", "item"] = "user"
    folds_in = True

    def __init__(self, predicted: np.ndarray) -> None:
        super().__init__()
        self.predicted = predicted

    def predict(self, *_: Any) -> np.ndarray:
        return self.predicted

    def predict_all(self, *_: Any) -> np.ndarray:
        return self.predicted[None].astype(np.float32)

    def item_vectors(self) -> None:
        return None


def held_out() -> tuple[Ratings, Aligned]:
    rng = np.random.default_rng(0)
    who, what = np.nonzero(rng.random((40, 20)) < 0.5)
    user_ids, item_ids = Ids(f"u{n}" for n in range(40)), Ids(f"i{n}" for n in range(20))
    ratings = Ratings.from_arrays(
        who, what, rng.integers(1, 6, len(who)).astype(float), user_ids=user_ids, item_ids=item_ids
    )
    return ratings, align_to(ratings, ratings)


@pytest.mark.parametrize(("of_error", "nothing"), [(-0.8, True), (0.0, False), (0.5, False)])
def test_a_network_weighs_nothing_if_it_errs_where_the_ridge_errs_and_more(
    of_error: float, *, nothing: bool
) -> None:
    train, pairs = held_out()
    rng = np.random.default_rng(1)
    ridge = pairs.values + rng.normal(0, 0.5, len(pairs))
    network = ridge + of_error * (pairs.values - ridge) + rng.normal(0, 0.3, len(pairs))
    found = will_weigh_nothing(Fixed(ridge), Fixed(network), train, pairs)
    assert found is nothing
