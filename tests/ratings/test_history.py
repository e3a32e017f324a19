"""One person's history, in whatever form it is given."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refeed.errors import DataError
from refeed.ratings.history import History, person_history

pd = pytest.importorskip("pandas")
pl = pytest.importorskip("polars")
pa = pytest.importorskip("pyarrow")

Pairs = list[tuple[Any, float]]
RATED: dict[str, Callable[[Pairs], Any]] = {
    "a mapping": dict,
    "pairs": list,
    "a generator of pairs": iter,
    "lists of two": lambda pairs: [list(pair) for pair in pairs],
    "dicts": lambda pairs: [{"item": item, "rating": rating} for item, rating in pairs],
    "a Series": lambda pairs: pd.Series([r for _, r in pairs], index=[i for i, _ in pairs], dtype=float),
    "pandas": lambda pairs: pd.DataFrame(pairs, columns=["item", "rating"]),
    "polars": lambda pairs: pl.DataFrame(pairs, schema=["item", "rating"], orient="row"),
    "a reader": lambda pairs: pa.table(
        {"item": [item for item, _ in pairs], "rating": [rating for _, rating in pairs]}
    ).to_reader(),
}


@pytest.mark.parametrize("kind", RATED)
@pytest.mark.parametrize("items", [("a", "b b"), (7, 12)])
def test_every_form_of_ratings_gives_the_same_history(kind: str, items: tuple[Any, Any]) -> None:
    given_ = RATED[kind]([(items[0], 4.5), (items[1], 0.0)])

    assert person_history(given_) == History((str(items[0]), str(items[1])), (4.5, 0.0))


@pytest.mark.parametrize(
    "given_",
    [
        ["a", 7],
        ("a", "7"),
        iter(["a", np.int64(7)]),
        np.array(["a", "7"]),
        pl.Series(["a", "7"]),
        pl.DataFrame({"anything": ["a", "7"]}),
        pd.DataFrame({"item": ["a", "7"]}),
    ],
)
def test_items_alone_are_interactions(given_: object) -> None:
    assert person_history(given_) == History(("a", "7"), None)


@pytest.mark.parametrize("given_", [{}, [], ()])
def test_nothing_is_somebody_of_whom_nothing_is_known(given_: object) -> None:
    assert len(person_history(given_)) == 0


@pytest.mark.parametrize(
    ("given_", "message"),
    [
        ("15", "'15' is no history; give a mapping from items to ratings"),
        (15, "15 is no history"),
        (None, "None is no history"),
        ([("a", 5), ("a", 3)], "'a' is there twice"),
        ({1: 3, "1": 4}, "'1' is there twice"),
        (["a", "a"], "'a' is there twice"),
        ({"a": "five"}, "the rating 'five' for 'a' is no finite number"),
        ({"a": None}, "the rating None for 'a'"),
        ({"a": float("nan")}, "the rating nan for 'a'"),
        ({"a": True}, "the rating True for 'a'"),
        ([("a", 5), "b"], r"a history holds \('a', 5\), which is no item"),
        ({None: 5}, "a history holds None, which is no item"),
        (pl.DataFrame({"item": ["a"], "x": [3]}), "no column for the rating"),
        (pl.DataFrame({"item": ["a"], "rating": [None]}), "row 1: there is no rating"),
    ],
)
def test_what_is_no_history_is_refused(given_: object, message: str) -> None:
    with pytest.raises(DataError, match=message):
        person_history(given_)


@given(st.dictionaries(st.text(min_size=1) | st.integers(), st.floats(-10, 10), max_size=5))
def test_any_mapping_keeps_its_order(ratings: dict[str | int, float]) -> None:
    if len(set(map(str, ratings))) == len(ratings):
        assert person_history(ratings) == History(tuple(map(str, ratings)), tuple(ratings.values()))
