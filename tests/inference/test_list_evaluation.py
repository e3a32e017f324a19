"""Lists of trained models, measured against `score` and against what a random order would get."""

from collections.abc import Mapping
from pathlib import Path

import duckdb
import numpy as np
import pytest

from refeed.config import AutoencoderConfig, BiasConfig, Config, MeanConfig, TrainConfig
from refeed.errors import ConfigError, DataError, ModelError
from refeed.inference.list_evaluation import evaluate_lists
from refeed.inference.recommender import Recommender
from refeed.inference.scoring import score
from refeed.ratings.ids import Ids
from refeed.ratings.split import Split, split_random
from refeed.ratings.split_users import split_users
from refeed.ratings.store import Ratings
from refeed.training.fit import fit

SHORT = TrainConfig(optimizer="adamw", lr=0.01, batch=16, epochs=2)
USER_BASED = Config(model=AutoencoderConfig(encoder=[8]), train=SHORT)


def ratings_of(users: int = 60, items: int = 25) -> Ratings:
    rng = np.random.default_rng(0)
    at_users, at_items = np.nonzero(rng.random((users, items)) < 0.1 + 0.5 * rng.random(items))
    return Ratings.from_arrays(
        at_users,
        at_items,
        rng.integers(1, 6, len(at_users)).astype(float),
        user_ids=Ids(f"user-{n}" for n in range(users)),
        item_ids=Ids(f"{n:03}" for n in range(items)),
    )


def trained(split: Split, config: Config, folder: Path) -> Recommender:
    fit(split.train, None, config, folder)
    return Recommender.load(folder)


def rows_of(ratings: Ratings) -> Mapping[str, set[str]]:
    users, items = ratings.user_ids.as_array()[ratings.users], ratings.item_ids.as_array()[ratings.items]
    rows: dict[str, set[str]] = {}
    for user, item in zip(users.tolist(), items.tolist(), strict=True):
        rows.setdefault(user, set()).add(item)
    return rows


@pytest.mark.parametrize("config", [Config(model=BiasConfig()), USER_BASED], ids=["bias", "autoencoder"])
def test_the_lists_measured_are_those_that_score_writes(config: Config, tmp_path: Path) -> None:
    split = split_random(ratings_of(), 0.3)
    recommender = trained(split, config, tmp_path / "run")
    score(recommender, tmp_path / "lists.parquet", k=5)
    with duckdb.connect() as db:
        lines = db.execute(f"SELECT \"user\", item FROM '{tmp_path / 'lists.parquet'}'").fetchall()
    relevant = rows_of(split.test)
    hits = sum(item in relevant.get(user, ()) for user, item in lines)
    result = evaluate_lists(recommender.people, split.test, k=[5])
    assert result.users == len(relevant)
    assert result["precision@5"].value == pytest.approx(hits / 5 / len(relevant))


def test_a_model_that_predicts_the_mean_gets_what_a_random_order_gets(tmp_path: Path) -> None:
    split = split_random(ratings_of(), 0.3, valid=0.0)
    recommender = trained(split, Config(model=MeanConfig()), tmp_path / "run")
    result = evaluate_lists(recommender.people, split.test, k=[1])
    seen = {user: len(items) for user, items in rows_of(split.train).items()}
    chances = [len(items) / (split.train.n_items - seen[user]) for user, items in rows_of(split.test).items()]
    assert result["precision@1"].value == pytest.approx(np.mean(chances))


def test_people_held_out_whole_are_folded_in(tmp_path: Path) -> None:
    split = split_users(ratings_of(), 0.4)
    recommender = trained(split, USER_BASED, tmp_path / "run")
    result = evaluate_lists(recommender.people, split.test, given=split.test_given, k=[3])
    assert (result.users, result.relevant) == (split.test.n_users, len(split.test))
    assert split.test_given is not None
    assert result.seen == len(split.test_given)
    with pytest.raises(DataError, match="none has a user with a history"):
        evaluate_lists(recommender.people, split.test, k=[3])


def test_people_are_not_folded_in_by_a_model_that_can_not(tmp_path: Path) -> None:
    split = split_users(ratings_of(), 0.4)
    item_based = Config(model=AutoencoderConfig(axis="item", encoder=[8]), train=SHORT)
    fit(split.train, None, item_based, tmp_path / "run")
    with pytest.raises(ModelError, match="can't fold in"):
        evaluate_lists(Recommender.load(tmp_path / "run").people, split.test, given=split.test_given)


def test_given_ratings_of_other_items_are_a_mistake(tmp_path: Path) -> None:
    split = split_users(ratings_of(), 0.4)
    recommender = trained(split, USER_BASED, tmp_path / "run")
    other = Ratings.from_arrays(
        np.array([0]), np.array([0]), np.array([3.0]), user_ids=Ids(["user-1"]), item_ids=Ids(["unheard"])
    )
    with pytest.raises(DataError, match="none of the 1 given ratings"):
        evaluate_lists(recommender.people, split.test, given=other)


def test_a_negative_shrink_is_refused(tmp_path: Path) -> None:
    split = split_random(ratings_of(), 0.3)
    recommender = trained(split, Config(model=BiasConfig()), tmp_path / "run")
    with pytest.raises(ConfigError, match="shrink"):
        evaluate_lists(recommender.people, split.test, shrink=-1.0)
