"""How far a trained model's codes trust the ratings."""

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch

from refeed.config import RidgeConfig
from refeed.models.ridge.model import RidgeAutoencoder
from refeed.models.ridge.temper import scale_priors, temper
from refeed.ratings.ids import Ids
from refeed.ratings.pairs import Aligned, align_to
from refeed.ratings.store import Ratings


def planted(noise: float) -> tuple[RidgeAutoencoder, Ratings, Aligned]:
    """Ratings made of a model's own vectors and codes of variance 1; and that model."""
    rng, people, items, width = np.random.default_rng(0), 200, 40, 3
    model = RidgeAutoencoder(RidgeConfig(width=width, shrinkage=0.7), items).double()
    vectors, codes = rng.normal(size=(items, width)), rng.normal(size=(people, width))
    who, what = np.nonzero(rng.random((people, items)) < 0.4)
    ratings = (vectors @ codes.T)[what, who] + noise * rng.normal(size=len(who))
    user_ids, item_ids = Ids(f"u{n}" for n in range(people)), Ids(f"i{n}" for n in range(items))
    every = Ratings.from_arrays(who, what, ratings, user_ids=user_ids, item_ids=item_ids)
    held_out = rng.random(len(every)) < 0.3
    train = every.select(~held_out)
    model.vectors.copy_(torch.from_numpy(vectors))
    model.implicit.copy_(torch.from_numpy(0.1 * rng.normal(size=(items, width + 1))))
    model.scale.fill_(0.1)
    model.doubt.fill_(0.3)
    model.counts.copy_(torch.from_numpy(train.item_counts))
    return model, train, align_to(every.select(held_out), train)


@pytest.mark.parametrize("shrinkage", [0.5, 3.0])
def test_scaling_all_against_lambda_is_another_lambda(shrinkage: float) -> None:
    model, train, pairs = planted(noise=1.0)
    other = copy.deepcopy(model)
    other.config = other.config.model_copy(update={"shrinkage": 0.7 * shrinkage})
    other.doubt.mul_(2)
    scale_priors(model, doubt=2.0, shrinkage=shrinkage)
    for name in ("predict", "predictive_std"):
        one, two = (getattr(each, name)(train, pairs.users, pairs.items) for each in (model, other))
        np.testing.assert_allclose(one, two, rtol=1e-9, atol=1e-9)
    (level, parts), (its, others) = (each.explain(train, 0, 3) for each in (model, other))
    assert level == pytest.approx(its)
    np.testing.assert_allclose(parts, others, atol=1e-9)


def test_codes_that_trust_ratings_too_little_are_told_by_validation() -> None:
    model, train, pairs = planted(noise=0.1)  # with so little noise λ should be .01
    before = copy.deepcopy(model)
    said = temper(model, train, pairs)
    assert said is not None
    assert said.startswith("a × 0.25, λ × 1:")
    assert said.endswith("kept")
    errors = [
        np.square(each.predict(train, pairs.users, pairs.items) - pairs.values).mean()
        for each in (before, model)
    ]
    assert errors[1] < errors[0]


def test_what_may_be_chance_changes_nothing() -> None:
    model, train, pairs = planted(noise=0.8)
    right = model.predict(train, pairs.users, pairs.items)  # its own predictions, but for chance
    held_out = replace(
        pairs, values=(right + np.random.default_rng(1).normal(size=len(pairs))).astype(np.float32)
    )
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    said = temper(model, train, held_out)
    assert said is None or said.endswith("left out")
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


def test_without_validation_ratings_nothing_is_tried() -> None:
    model, train, _ = planted(noise=1.0)
    assert temper(model, train, None) is None
