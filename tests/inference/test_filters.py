"""Which items may be in a list."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from refeed.config import BiasConfig, Config
from refeed.errors import ConfigError, DataError, UnknownIdError
from refeed.inference.recommender import Recommender
from refeed.ratings.ids import Ids
from refeed.ratings.store import Ratings
from refeed.training.fit import fit

COUNTS = (8, 4, 2, 1, 1)  # ratings of the items a to e
"""Of 16 ratings a has half, a and b three quarters."""


@pytest.fixture(scope="module")
def recommender() -> Recommender:
    users = np.concatenate([np.arange(count) for count in COUNTS])
    items = np.repeat(np.arange(5), COUNTS)
    train = Ratings.from_arrays(
        users,
        items,
        1 + (users + items) % 5,
        user_ids=Ids(f"u{n}" for n in range(8)),
        item_ids=Ids("abcde"),
        titles=["Alien", "Brazil", "Clue", "It's", ""],
    )
    genres, years = ("Horror", "Comedy", "Comedy", None, "Drama"), (1979.0, 1985.0, 1985.0, None, 2001.0)
    train = replace(train, attributes={"genre": genres, "year": years})
    return Recommender(fit(train, None, Config(model=BiasConfig())))


def listed(recommender: Recommender, **wish: Any) -> str:
    return "".join(sorted(line.item for line in recommender.recommend({}, 5, **wish)))


@pytest.mark.parametrize(
    ("condition", "fits"),
    [
        ("genre = 'Comedy'", "bc"),
        ("genre = 'Comedy' and ratings > 2", "b"),
        ("year < 1990", "abc"),
        ("genre is null", "d"),
        ("title like '%li%' or item = 'e'", "ae"),
        ("title is null", "e"),
        ("title = 'It''s'", "d"),
        ("ratings between 1 and 2", "cde"),
        ("false", ""),
    ],
)
def test_a_condition_chooses_by_what_is_known_of_the_items(
    condition: str, fits: str, recommender: Recommender
) -> None:
    assert listed(recommender, where=condition) == fits


@pytest.mark.parametrize(
    "condition",
    [
        "genre = ",
        "colour = 'red'",
        "ratings",
        "1; DROP TABLE known",
        "item in (select * from read_csv('/etc/passwd'))",
        "",
    ],
)
def test_what_is_no_condition_is_refused_with_the_columns(condition: str, recommender: Recommender) -> None:
    with pytest.raises(DataError, match="where"):
        recommender.recommend({}, where=condition)


@pytest.mark.parametrize(
    ("share", "left"), [(0, "abcde"), (0.49, "abcde"), (0.5, "bcde"), (0.75, "cde"), (0.99, "e")]
)
def test_the_most_popular_items_are_passed_over(share: float, left: str, recommender: Recommender) -> None:
    assert listed(recommender, novelty=share) == left


@pytest.mark.parametrize("share", [1, 1.5, -0.1, "half", True])
def test_a_share_that_is_none_is_refused(share: Any, recommender: Recommender) -> None:
    with pytest.raises(ConfigError, match="novelty"):
        recommender.recommend({}, novelty=share)


def test_filters_go_together(recommender: Recommender) -> None:
    assert listed(recommender, only=["a", "Brazil", "c", "d"], exclude="clue", novelty=0.5) == "bd"
    assert listed(recommender, only="c") == "c"
    assert listed(recommender, only=[]) == ""


def test_an_unknown_item_in_a_filter_is_named(recommender: Recommender) -> None:
    wishes: list[dict[str, Any]] = [{"only": ["nothing"]}, {"exclude": ["nothing"]}]
    for wish in wishes:
        with pytest.raises(UnknownIdError, match="'nothing'"):
            recommender.recommend({}, **wish)
