"""The ridge autoencoder at work, against the formulas written out for one user at a time."""

import copy
from typing import Any

import numpy as np
import pytest
import torch

from refeed.config import RidgeConfig
from refeed.models.ridge.model import RidgeAutoencoder
from refeed.ratings.ids import Ids
from refeed.ratings.store import Ratings

USERS, ITEMS, WIDTH, SHRINKAGE = 25, 14, 3, 0.6
SILENT = 4


@pytest.fixture(scope="module")
def histories() -> Ratings:
    rng = np.random.default_rng(0)
    rated = rng.random((USERS, ITEMS)) < 0.5
    rated[SILENT] = False
    users, items = np.nonzero(rated)
    return Ratings.from_arrays(
        users,
        items,
        rng.integers(1, 6, len(users)).astype(float),
        user_ids=Ids(f"u{n}" for n in range(USERS)),
        item_ids=Ids(f"i{n}" for n in range(ITEMS)),
    )


@pytest.fixture(scope="module")
def model(histories: Ratings) -> RidgeAutoencoder:
    """Of random parameters, in float64."""
    model = RidgeAutoencoder(RidgeConfig(width=WIDTH, shrinkage=SHRINKAGE), ITEMS).double()
    random = torch.Generator().manual_seed(0)
    for buffer in (model.vectors, model.bias, model.drift, model.implicit):
        buffer.copy_(torch.randn(buffer.shape, generator=random, dtype=torch.float64))
    model.mean.fill_(3.2)
    model.deviation.fill_(1.1)
    model.scale.fill_(0.4)
    model.doubt.fill_(0.3)
    model.counts.copy_(torch.from_numpy(histories.item_counts))
    for positive in (model.rating_weights, model.rating_noise):
        positive.copy_(0.5 + torch.rand(ITEMS, generator=random, dtype=torch.float64))
    model.knots = torch.tensor([1.0, 2.0, 3.5, 5.0], dtype=torch.float64)
    model.spacing = torch.tensor([0.3, -0.2, 0.1, 0.4], dtype=torch.float64)
    return model


def by_hand(model: RidgeAutoencoder, histories: Ratings, user: int) -> tuple[Any, Any, Any]:
    """Predictions of all items, and A⁻¹, straight from the formulas at the head of models/ridge/model.py."""
    _, items, values = histories.rows(np.array([user]))
    x = np.column_stack([model.vectors.numpy(), np.full(ITEMS, 0.4)])
    bias, implicit, weights = (each.numpy() for each in (model.bias, model.implicit, model.rating_weights))
    matrix = SHRINKAGE * np.eye(WIDTH + 1)
    right = np.zeros(WIDTH + 1)
    for item, value in zip(items, values, strict=True):
        matrix += weights[item] * np.outer(x[item], x[item])
        matrix += 0.3 / (histories.item_counts[item] + 5) * np.diag([1] * WIDTH + [0])
        shift = np.interp(value, model.knots, model.spacing)
        right += weights[item] * x[item] * ((value - 3.2) / 1.1 + shift - bias[item])
        right += SHRINKAGE * implicit[item] / np.sqrt(len(items))
    inverse = np.linalg.inv(matrix)
    levels = bias + model.drift.numpy()
    return 3.2 + 1.1 * (levels + x @ inverse @ right), inverse, x


def test_predictions_are_the_formulas(model: RidgeAutoencoder, histories: Ratings) -> None:
    everything = model.predict_all(histories, np.arange(USERS))
    for user in range(USERS):
        expected, _, _ = by_hand(model, histories, user)
        pairs = model.predict(histories, np.full(ITEMS, user), np.arange(ITEMS))
        np.testing.assert_allclose(pairs, expected, atol=1e-10)
        np.testing.assert_allclose(everything[user], expected, atol=1e-5)


def test_somebody_without_ratings_gets_the_items_levels(model: RidgeAutoencoder, histories: Ratings) -> None:
    levels = 3.2 + 1.1 * (model.bias + model.drift).numpy()
    np.testing.assert_allclose(
        model.predict(histories, np.full(ITEMS, SILENT), np.arange(ITEMS)), levels, atol=1e-12
    )


def test_spreads_are_those_of_the_posterior(model: RidgeAutoencoder, histories: Ratings) -> None:
    rng = np.random.default_rng(1)
    users, items = rng.integers(USERS, size=200), rng.integers(ITEMS, size=200)
    predictive_std = model.predictive_std(histories, users, items)
    for user, item, spread in zip(users, items, predictive_std, strict=True):
        _, inverse, x = by_hand(model, histories, int(user))
        noise = float(model.rating_noise[item])
        assert spread == pytest.approx(np.sqrt(noise + x[item] @ inverse @ x[item]), abs=1e-10)


def test_more_ratings_make_a_prediction_surer(model: RidgeAutoencoder, histories: Ratings) -> None:
    few = histories.select(np.arange(len(histories)) % 2 == 0)
    users = np.repeat(np.arange(USERS), ITEMS)
    items = np.tile(np.arange(ITEMS), USERS)
    assert (
        model.predictive_std(histories, users, items) <= model.predictive_std(few, users, items) + 1e-12
    ).all()


def test_the_parts_of_an_explanation_add_up_to_the_prediction(
    model: RidgeAutoencoder, histories: Ratings
) -> None:
    for user in (0, 7, SILENT):
        for item in range(ITEMS):
            level, parts = model.explain(histories, user, item)
            assert len(parts) == histories.user_counts[user]
            predicted = model.predict(histories, np.array([user]), np.array([item]))[0]
            assert level + parts.sum() == pytest.approx(predicted, abs=1e-10)


def test_a_part_is_what_its_rating_adds(model: RidgeAutoencoder, histories: Ratings) -> None:
    # A rating moved by one, all else as it is, moves the prediction by its weight in the part.
    user, item, place = 0, 3, 2
    at = int(histories.indptr[user]) + place
    values = np.array(histories.values)
    values[at] += 1
    moved = Ratings.from_arrays(
        histories.users,
        histories.items.astype(np.int64),
        values,
        user_ids=histories.user_ids,
        item_ids=histories.item_ids,
    )
    (_, before), (_, after) = (model.explain(known, user, item) for known in (histories, moved))
    assert np.delete(after - before, place) == pytest.approx(0, abs=1e-12)
    gained = model.predict(moved, np.array([user]), np.array([item])) - model.predict(
        histories, np.array([user]), np.array([item])
    )
    assert (after - before)[place] == pytest.approx(gained[0], abs=1e-10)


def test_leave_one_out_errors_are_those_of_histories_without_the_rating(
    model: RidgeAutoencoder, histories: Ratings
) -> None:
    model = copy.deepcopy(model)
    model.doubt.zero_()  # the precision of the prior stays that of the whole history
    errors, leverages = np.full(len(histories), np.nan), np.full(len(histories), np.nan)
    for some in model.leave_one_out(histories):
        errors[some.at], leverages[some.at] = some.errors, some.leverages
    drift = 1.1 * model.drift.numpy()
    for at in range(len(histories)):
        user, item = histories.users[[at]].astype(np.int64), histories.items[[at]].astype(np.int64)
        without = copy.deepcopy(model)
        count = histories.user_counts[user[0]]
        without.implicit *= np.sqrt((count - 1) / count)  # the others keep the weight that they had
        predicted = without.predict(histories.select(np.arange(len(histories)) != at), user, item)
        expected = histories.values[at] - (predicted[0] - drift[item[0]])
        assert errors[at] == pytest.approx(expected, abs=1e-6)  # ratings are float32
        spread = without.predictive_std(histories.select(np.arange(len(histories)) != at), user, item)[0]
        noise = float(model.rating_noise[item[0]])
        assert np.sqrt(noise + leverages[at]) == pytest.approx(spread, abs=1e-9)
