"""Writing a store from DuckDB rows."""

from collections.abc import Iterable
from pathlib import Path

import duckdb
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from refeed.errors import DataError, StoreError
from refeed.ratings import buckets
from refeed.ratings.buckets import _sorted
from refeed.ratings.build import write_store
from refeed.ratings.store import Ratings

Row = tuple[str, str, float, int | None]


def database(rows: Iterable[Row]) -> duckdb.DuckDBPyConnection:
    db = duckdb.connect()
    db.execute('CREATE TABLE rows ("user" VARCHAR, item VARCHAR, rating DOUBLE, time BIGINT, line BIGINT)')
    for line, row in enumerate(rows):
        db.execute("INSERT INTO rows VALUES (?, ?, ?, ?, ?)", [*row, line])
    return db


def as_dict(ratings: Ratings) -> dict[tuple[str, str], tuple[float, int | None]]:
    times = [None] * len(ratings) if ratings.times is None else ratings.times.tolist()
    return {
        (ratings.user_ids[u], ratings.item_ids[i]): (value, time)
        for u, i, value, time in zip(
            ratings.users.tolist(), ratings.items.tolist(), ratings.values.tolist(), times, strict=True
        )
    }


def test_whole_numbers_are_numbered_by_value_and_other_ids_after_them(tmp_path: Path) -> None:
    users = ["x", "10", "9", "é", "a b", "-3", "007", "7", "9" * 30]
    db = database((user, "i", 1.0, None) for user in users)

    write_store(db, "rows", tmp_path / "store", titles=None, source={})

    assert list(Ratings.load(tmp_path / "store").user_ids) == [
        *("-3", "007", "7", "9", "10"),
        *("9" * 30, "a b", "x", "é"),
    ]


def test_the_latest_of_a_pair_stays_whatever_its_line(tmp_path: Path) -> None:
    db = database([("u", "i", 5.0, 300), ("u", "j", 2.0, 1), ("u", "i", 4.0, 100)])

    counts = write_store(db, "rows", tmp_path / "store", titles=None, source={})

    assert as_dict(Ratings.load(tmp_path / "store")) == {("u", "i"): (5.0, 300), ("u", "j"): (2.0, 1)}
    assert (counts.ratings, counts.duplicates, counts.span) == (2, 1, (1, 300))


@pytest.mark.parametrize("time", [None, 7])
def test_the_later_line_of_a_pair_stays_when_times_do_not_tell(tmp_path: Path, time: int | None) -> None:
    db = database([("u", "i", 4.0, time), ("u", "i", 5.0, time), ("u", "i", -1.0, time)])

    counts = write_store(db, "rows", tmp_path / "store", titles=None, source={})

    assert as_dict(Ratings.load(tmp_path / "store")) == {("u", "i"): (-1.0, time)}
    assert (counts.duplicates, counts.scale) == (2, (-1.0, 5.0))


def test_titles_stand_at_their_items_and_unknown_ones_are_empty(tmp_path: Path) -> None:
    db = database([("u", "b", 1.0, None), ("u", "a", 2.0, None), ("u", "c", 2.0, None)])
    db.execute("CREATE TABLE names (item VARCHAR, title VARCHAR)")
    db.execute("INSERT INTO names VALUES ('c', 'Sea'), ('a', 'Ay'), ('z', 'Zed'), ('b', '')")

    counts = write_store(db, "rows", tmp_path / "store", titles="names", source={"from": "here"})

    ratings = Ratings.load(tmp_path / "store")
    assert list(ratings.item_ids) == ["a", "b", "c"]
    assert ratings.titles == ("Ay", "", "Sea")
    assert counts.titled == 2
    assert ratings.source == {"from": "here", "duplicates": 0}


def test_no_rows_are_refused_and_leave_nothing(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no ratings to write"):
        write_store(database([]), "rows", tmp_path / "store", titles=None, source={})
    assert list(tmp_path.iterdir()) == []


def test_an_existing_store_is_not_overwritten(tmp_path: Path) -> None:
    db = database([("u", "i", 1.0, None)])
    write_store(db, "rows", tmp_path / "store", titles=None, source={})

    with pytest.raises(StoreError, match="exists already"):
        write_store(db, "rows", tmp_path / "store", titles=None, source={})
    assert [path.name for path in tmp_path.iterdir()] == ["store"]


def test_more_users_than_a_row_group_keep_their_order(tmp_path: Path) -> None:
    # DuckDB writes Parquet in groups of 122,880 rows, and here it may write them in any order.
    with duckdb.connect() as db:
        db.execute("SET preserve_insertion_order = false")
        db.execute("""
            CREATE TABLE rows AS SELECT (hash(n) % 1000000007)::VARCHAR AS "user", 'i' AS item,
                (n % 5)::DOUBLE AS rating, NULL::BIGINT AS time, n AS line FROM range(300000) t(n)
        """)
        write_store(db, "rows", tmp_path / "store", titles=None, source={})
        expected = db.execute(
            'SELECT "user"::BIGINT AS u, max_by(rating, line) AS r FROM rows GROUP BY u ORDER BY u'
        ).fetchnumpy()

    ratings = Ratings.load(tmp_path / "store")
    assert np.array_equal(np.array(ratings.user_ids, dtype=np.int64), expected["u"])
    assert np.array_equal(ratings.values, expected["r"])


IDS = st.sampled_from(["1", "2", "10", "b", "ü"])


@settings(max_examples=20, deadline=None)
@given(
    rows=st.lists(st.tuples(IDS, IDS, st.integers(-9, 9).map(float), st.integers(0, 3)), min_size=1),
    bucket=st.integers(1, 12),
)
def test_any_size_of_bucket_gives_what_a_dict_gives(
    tmp_path_factory: pytest.TempPathFactory, rows: list[Row], bucket: int
) -> None:
    store = tmp_path_factory.mktemp("build") / "store"
    expected: dict[tuple[str, str], tuple[float, int | None]] = {}
    for user, item, rating, time in sorted(rows, key=lambda row: row[3] or 0):
        expected[user, item] = (rating, time)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(buckets, "_BUCKET", bucket)
        counts = write_store(database(rows), "rows", store, titles=None, source={})

    ratings = Ratings.load(store)
    assert as_dict(ratings) == expected
    assert counts.ratings + counts.duplicates == len(rows)
    pairs = ratings.users * ratings.n_items + ratings.items
    assert np.all(np.diff(pairs) > 0)


@pytest.mark.parametrize("largest", [1, 1_000, 1 << 40, 1 << 60])
def test_numbers_are_sorted_with_their_places_however_large_they_are(largest: int) -> None:
    numbers = np.random.default_rng(largest).permutation(np.linspace(0, largest, 1000).astype(np.int64))

    ordered, places = _sorted(numbers)

    np.testing.assert_array_equal(ordered, np.sort(numbers))
    np.testing.assert_array_equal(numbers[places], ordered)
    np.testing.assert_array_equal(np.sort(places), np.arange(1000))
