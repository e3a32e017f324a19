"""Ratings and ids from arrays: what is no rating is refused; duplicates are treated as `prepare` does."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from refeed.errors import DataError
from refeed.ratings.build import write_store
from refeed.ratings.ids import Ids, id_text
from refeed.ratings.read import open_ratings, prepare
from refeed.ratings.store import Ratings, is_store


def arrays(**changes: Any) -> Ratings:
    """Two users and three items, with a change."""
    given: dict[str, Any] = {
        "users": [0, 1, 1],
        "items": [2, 0, 1],
        "values": [1.0, 2.0, 3.0],
        "user_ids": ["u", "v"],
        "item_ids": ["a", "b", "c"],
    }
    return Ratings.from_arrays(**{**given, **changes})


def test_lists_and_ids_as_numbers_will_do() -> None:
    ratings = arrays(user_ids=[15, np.int32(16)], item_ids=["a", 2, 3.0])

    assert list(ratings.user_ids) == ["15", "16"]
    assert list(ratings.item_ids) == ["a", "2", "3"]
    assert ratings.values.tolist() == [1, 2, 3]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"values": [1.0, np.nan, 3.0]}, "values: row 1 is nan, one of 1 that are not finite"),
        ({"values": [1.0, np.inf, np.nan]}, "values: row 1 is inf, one of 2 that are not finite"),
        ({"values": [1e39, 1.0, 1.0]}, "values: row 0 is 1e\\+39"),
        ({"values": ["a", "b", "c"]}, "expected numbers"),
        ({"users": [0, -1, 1]}, "row 1: there is no user position -1; with 2 user ids they are 0 to 1"),
        ({"items": [0, 3, 1]}, "row 1: there is no item position 3; with 3 item ids they are 0 to 2"),
        ({"users": [0, 0.5, 1]}, "user positions: row 1 is 0.5, which is no whole number"),
        ({"users": [0, np.nan, 1]}, "user positions: row 1 is nan"),
        ({"users": ["u", "v", "v"]}, "user positions are of type <U1; expected whole numbers"),
        ({"users": [0, 1]}, "2 users, 3 items, 3 values: .* the same length"),
        ({"times": [1, 2]}, "3 users, 3 items, 3 values, 2 times"),
        ({"times": [1, 2, np.nan]}, "times: row 2 is nan"),
        ({"users": [[0, 1, 1]]}, "shape \\(1, 3\\); expected one number for each row"),
        ({"user_ids": ["u", "u"]}, "an id occurs twice in a table of ids \\('u'\\)"),
        ({"user_ids": [1, "1"]}, "an id occurs twice in a table of ids \\('1'\\)"),
        ({"user_ids": ["u", 2.5]}, "2.5 is no id; ids are text or whole numbers"),
        ({"user_ids": ["u", None]}, "None is no id"),
        ({"user_ids": "uv"}, "'uv' is no sequence of ids"),
        ({"titles": ["A"]}, "1 titles for 3 items"),
    ],
)
def test_what_is_no_rating_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        arrays(**changes)


def test_the_latest_of_a_pair_stays_and_the_others_are_counted() -> None:
    ratings = arrays(users=[1, 1, 1], items=[0, 0, 0], times=[5, 9, 7], source={"from": "a test"})

    assert ratings.values.tolist() == [2]
    assert ratings.source == {"from": "a test", "duplicates": 2}


def test_without_times_the_last_row_of_a_pair_stays() -> None:
    assert arrays(users=[1, 1, 1], items=[0, 0, 0]).values.tolist() == [3]


@settings(max_examples=30)
@given(
    st.lists(
        st.tuples(st.integers(0, 2), st.integers(0, 2), st.integers(0, 9), st.integers(0, 2)), min_size=1
    ),
    st.booleans(),
)
def test_duplicates_are_treated_as_a_store_is_written(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[int, int, int, int]], timed: bool
) -> None:
    out = tmp_path_factory.mktemp("stores") / "store"
    with duckdb.connect() as db:
        db.execute(
            'CREATE TABLE rows ("user" VARCHAR, item VARCHAR, rating DOUBLE, time BIGINT, line BIGINT)'
        )
        db.executemany(
            "INSERT INTO rows VALUES (?, ?, ?, ?, ?)",
            [[str(u), str(i), v, t if timed else None, at] for at, (u, i, v, t) in enumerate(rows)],
        )
        write_store(db, "rows", out, titles=None, source={})
    expected = Ratings.load(out)

    u, i, v, t = (np.array(column) for column in zip(*rows, strict=True))
    ratings = Ratings.from_arrays(
        u, i, v, times=t if timed else None, user_ids=range(3), item_ids=range(3)
    ).compact()

    assert ratings.source.get("duplicates", 0) == expected.source["duplicates"]
    assert (ratings.user_ids, ratings.item_ids) == (expected.user_ids, expected.item_ids)
    assert (ratings.items.tolist(), ratings.values.tolist()) == (
        expected.items.tolist(),
        expected.values.tolist(),
    )
    assert ratings.indptr.tolist() == expected.indptr.tolist()
    if timed:
        assert ratings.times is not None
        assert expected.times is not None
        assert ratings.times.tolist() == expected.times.tolist()


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("0104257", "0104257"),
        (np.str_("x"), "x"),
        (7, "7"),
        (np.uint64(2**64 - 1), "18446744073709551615"),
        (-1.0, "-1"),
        (np.float32(3), "3"),
        (b"caf\xc3\xa9", "café"),
    ],
)
def test_an_id_is_text_or_a_whole_number(value: object, text: str) -> None:
    assert id_text(value) == text
    assert Ids([value]).position(value) == 0
    assert value in Ids([text])


@pytest.mark.parametrize("value", [True, 1.5, float("nan"), float("inf"), 2.0**53, None, ["a"], b"\xff"])
def test_anything_else_is_no_id(value: object) -> None:
    assert value not in Ids(["1"])
    with pytest.raises(DataError, match="id"):
        id_text(value)


def test_numbers_find_their_decimals() -> None:
    assert Ids(["1", "01", "2"]).positions([1, "01", np.int8(2), 3]).tolist() == [0, 1, 2, -1]


def test_a_path_as_text_is_a_path(tmp_path: Path) -> None:
    arrays().save(str(tmp_path / "st"))

    assert is_store(str(tmp_path / "st"))
    assert len(Ratings.load(str(tmp_path / "st"))) == 3
    (tmp_path / "r.csv").write_text("user,item,rating\nu,a,3\nu,b,4\n")
    assert prepare(str(tmp_path / "r.csv"), str(tmp_path / "prepared")).ratings == 2
    assert len(open_ratings(str(tmp_path / "r.csv"))) == 2


def test_wrong_types_end_in_errors_of_ours() -> None:
    # In a process of its own: here the types are checked at run time, and beartype would be first.
    program = """
from refeed.errors import UserError
from refeed.ratings.read import open_ratings, prepare
from refeed.ratings.store import Ratings
for wrong in (
    lambda: Ratings.load(3),
    lambda: Ratings.from_arrays(0, 0, 0, user_ids=["u"], item_ids=["i"]),
    lambda: Ratings.from_arrays([0], [0], [0], user_ids=None, item_ids=["i"]),
):
    try:
        wrong()
    except UserError as error:
        print(error)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [
        "3 is no path; give one as text, such as 'ratings.csv', or as pathlib's Path",
        "user positions have shape (); expected one number for each row",
        "None is no sequence of ids; give a list such as ['u15', 'u16']",
    ]


def test_ratings_are_shown_in_a_few_lines() -> None:
    ratings = arrays(times=[0, 86_400, 86_400], titles=["A", "", "C"])

    assert repr(ratings) == (
        "Ratings (ratings): 3, 50 % of 2 users × 3 items\n"
        "  scale   1 to 3\n"
        "  times   1970-01-01 to 1970-01-02\n"
        "  titles  2 of 3 items"
    )


def test_no_ratings_are_shown_too() -> None:
    nothing = Ratings.from_arrays([], [], [], user_ids=[], item_ids=[])

    assert repr(nothing) == "Ratings (ratings): 0 of 0 users × 0 items\n  times   none\n  titles  none"


def test_ids_are_shown_in_one_line() -> None:
    assert repr(Ids(["a", 2, "c" * 60, "d"])) == f"Ids(4: 'a', '2', '{'c' * 39}…', …)"
    assert repr(Ids([])) == "Ids(0: )"
