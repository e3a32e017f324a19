"""The second part of a model: fitted, saved, and on data whose right answer is known."""

from typing import Any

import numpy as np
import pytest

from refeed.config import (
    Config,
    LinearConfig,
    ListsConfig,
    LocalConfig,
    MeanConfig,
    MultinomialConfig,
    RidgeConfig,
    TrainConfig,
)
from refeed.errors import ConfigError, ModelError
from refeed.inference.recommender import Recommender
from refeed.models.list_part import ListPart
from refeed.ratings.ids import Ids
from refeed.ratings.store import Ratings
from refeed.training.fit import fit

USERS, ITEMS = 60, 20
RIDGE = RidgeConfig(width=3, prior_users=20.0, prior_vectors=40.0)
TRAIN = TrainConfig(optimizer="adam", lr=0.01, schedule="cosine", batch=16, steps=10)
PARTS = {
    "linear": LinearConfig(ridge=5.0),
    "local": LocalConfig(ridge=5.0, neighbours=6),
    "multinomial": MultinomialConfig(encoder=[8], epochs=20, batch=8, lr=0.02, popularity=0.01),
}


def camps(**more: Any) -> Ratings:
    """The first half of the users take the even items alone, the others the odd ones; all ratings are 1 to 5.

    Item 0 and item 1 are loved by whoever takes them, item 2 and item 3 are hated.
    """
    rng = np.random.default_rng(0)
    users, items = np.nonzero(rng.random((USERS, ITEMS)) < 0.5)
    own = (items % 2) == (users >= USERS // 2)
    users, items = users[own], items[own]
    values = np.where(items < 2, 5.0, np.where(items < 4, 1.0, rng.integers(2, 5, len(items))))
    return Ratings.from_arrays(
        users,
        items,
        values if "kind" not in more else np.ones(len(items)),
        user_ids=Ids(f"u{n}" for n in range(USERS)),
        item_ids=Ids(f"i{n}" for n in range(ITEMS)),
        **more,
    )


def config(part: Any, **lists: Any) -> Config:
    return Config(model=RIDGE, train=TRAIN, interactions=part, lists=ListsConfig(**lists))


@pytest.mark.parametrize("kind", PARTS)
def test_two_groups_who_take_disjoint_items_are_told_apart(kind: str) -> None:
    train = camps()
    model = Recommender(fit(train, None, config(PARTS[kind])))
    for by in ("both", "interaction"):
        for user in range(USERS):
            left = ITEMS // 2 - int(train.user_counts[user])  # of their own group's items
            lines = model.recommend(f"u{user}", min(3, max(left, 1)), by=by)[:left]
            assert all(int(line.item[1:]) % 2 == (user >= USERS // 2) for line in lines)
        for taken, own in (({"i4": 3, "i6": 3, "i8": 3}, 0), ({"i5": 3, "i7": 3, "i9": 3}, 1)):
            assert all(int(line.item[1:]) % 2 == own for line in model.recommend(taken, 3, by=by))


def test_of_what_a_group_takes_the_loved_is_likelier_liked_than_the_hated() -> None:
    model = Recommender(fit(camps(), None, config(PARTS["linear"])))
    loved, hated = (
        model.recommend({"i4": 3, "i6": 3, "i8": 3}, only=item, by="both")[0].p_liked for item in ("i0", "i2")
    )
    assert loved > 0.5 > hated


@pytest.mark.parametrize("kind", PARTS)
def test_interactions_without_ratings_make_lists_and_nothing_else(kind: str) -> None:
    trained = fit(camps(kind="interactions"), None, config(PARTS[kind]))
    assert isinstance(trained.config.model, MeanConfig)
    model = Recommender(trained)
    for user in range(0, USERS, 7):
        lines = model.recommend(f"u{user}", 3)
        assert all(int(line.item[1:]) % 2 == (user >= USERS // 2) for line in lines)
        assert {(line.rating, line.p_liked, line.low, line.high) for line in lines} == {(None,) * 4}
    for ask in (
        lambda: model.predict("u3"),
        lambda: model.predict([("u3", "i4")]),
        lambda: model.evaluate(camps()),
        lambda: model.recommend("u3", by="rating"),
    ):
        with pytest.raises(ModelError, match="interactions without ratings"):
            ask()


@pytest.mark.parametrize("kind", PARTS)
def test_its_tensors_make_the_same_part_again(kind: str) -> None:
    train = camps()
    part = fit(train, None, config(PARTS[kind], beta=0.7, floor=0.02)).lists
    assert part is not None
    again = ListPart.load(part.config, ITEMS, part.tensors())
    everybody = np.arange(USERS)
    np.testing.assert_array_equal(
        again.interactions.score_all(train, everybody), part.interactions.score_all(train, everybody)
    )
    assert again.weights == part.weights
    assert (part.weights.beta, part.weights.floor) == (0.7, 0.02)
    assert again.liking is not None
    assert part.liking is not None
    assert (again.liking.liked, again.liking.boundary) == (part.liking.liked, part.liking.boundary)
    np.testing.assert_array_equal(again.liking.quantiles, part.liking.quantiles)
    np.testing.assert_array_equal(again.values, np.unique(train.values))


def test_liked_is_the_upper_two_fifths_unless_somebody_says_otherwise() -> None:
    train = camps()
    part = fit(train, None, config(PARTS["linear"])).lists
    assert part is not None
    assert part.liking is not None
    assert np.mean(train.values >= part.liking.liked) >= 0.4
    assert np.mean(train.values > part.liking.liked) < 0.4
    said = fit(train, None, config(PARTS["linear"], liked=5)).lists
    assert said is not None
    assert said.liking is not None
    assert (said.liking.liked, said.liking.boundary) == (5.0, 4.5)
    assert said.liking_of(None) is said.liking
    other = said.liking_of(2)
    assert other is not None
    assert (other.liked, other.boundary) == (2.0, 1.5)
    lowest = said.liking_of(1)
    assert lowest is not None
    assert lowest.boundary == -np.inf
    with pytest.raises(ConfigError, match="the highest is 5"):
        said.liking_of(5.5)


def test_without_the_section_there_is_no_second_part() -> None:
    assert fit(camps(), None, Config(model=RIDGE, train=TRAIN)).lists is None


def test_values_of_very_many_kinds_are_thinned_out_with_both_ends_kept() -> None:
    rng = np.random.default_rng(0)
    train = Ratings.from_arrays(
        np.arange(3000) // 50,
        np.arange(3000) % 50,
        rng.random(3000),
        user_ids=Ids(f"u{n}" for n in range(60)),
        item_ids=Ids(f"i{n}" for n in range(50)),
    )
    part = fit(train, None, config(PARTS["linear"])).lists
    assert part is not None
    assert len(part.values) == 1000
    assert (part.values[0], part.values[-1]) == (train.values.min(), train.values.max())
