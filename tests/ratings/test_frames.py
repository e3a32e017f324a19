"""Ratings and pairs from tables in memory: whatever the library, the same rows give the same ratings."""

import datetime as dt
import logging
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from refeed.errors import DataError
from refeed.ratings.frames import read_pairs
from refeed.ratings.read import prepare
from refeed.ratings.store import Ratings

pd = pytest.importorskip("pandas")
pl = pytest.importorskip("polars")
pa = pytest.importorskip("pyarrow")
sparse = pytest.importorskip("scipy.sparse")

Row = tuple[int, str, float, int]
NAMES = ("user", "item", "rating", "timestamp")


def columns(rows: list[Row]) -> dict[str, list[Any]]:
    return {name: [row[at] for row in rows] for at, name in enumerate(NAMES)}


def relation(rows: list[Row]) -> duckdb.DuckDBPyRelation:
    db = duckdb.connect()
    db.execute('CREATE TABLE t ("user" BIGINT, item VARCHAR, rating DOUBLE, "timestamp" BIGINT)')
    db.executemany("INSERT INTO t VALUES (?, ?, ?, ?)", rows)
    return db.table("t")


def moments(rows: list[Row], zone: dt.tzinfo) -> list[dt.datetime]:
    return [dt.datetime.fromtimestamp(row[3], zone) for row in rows]


INDIA = dt.timezone(dt.timedelta(hours=5, minutes=30))
TYPES = [("user", "i4"), ("item", "U20"), ("rating", "f8"), ("timestamp", "i8")]
KINDS: dict[str, Callable[[list[Row]], Any]] = {
    "tuples": lambda rows: rows,
    "lists": lambda rows: [list(row) for row in rows],
    "dicts": lambda rows: [dict(zip(NAMES, row, strict=True)) for row in rows],
    "a generator of tuples": iter,
    "a generator of dicts": lambda rows: (dict(zip(NAMES, row, strict=True)) for row in rows),
    "ids as text": lambda rows: [(str(u), i, r, t) for u, i, r, t in rows],
    "users as floats": lambda rows: [(float(u), i, r, t) for u, i, r, t in rows],
    "everything as text": lambda rows: [tuple(map(str, row)) for row in rows],
    "datetimes of Python": lambda rows: [
        (*row[:3], when) for row, when in zip(rows, moments(rows, INDIA), strict=True)
    ],
    "ISO dates": lambda rows: [
        (*row[:3], when.isoformat()) for row, when in zip(rows, moments(rows, dt.UTC), strict=True)
    ],
    "a mapping of columns": columns,
    "pandas": lambda rows: pd.DataFrame(columns(rows)),
    "pandas, sliced": lambda rows: pd.DataFrame(columns([r for row in rows for r in (row, row)]))[::2],
    "pandas, nullable": lambda rows: pd.DataFrame(columns(rows)).convert_dtypes(),
    "pandas, nullable and sliced": lambda rows: pd.DataFrame(
        columns([r for row in rows for r in (row, row)])
    ).convert_dtypes()[::2],
    "pandas, Arrow": lambda rows: pd.DataFrame(columns(rows)).convert_dtypes(dtype_backend="pyarrow"),
    "pandas, floats": lambda rows: pd.DataFrame(columns(rows)).astype({"user": float, "timestamp": float}),
    "pandas, categories": lambda rows: pd.DataFrame(columns(rows)).astype(
        {"user": "category", "item": "category"}
    ),
    "pandas, objects": lambda rows: pd.DataFrame(columns(rows), dtype=object),
    "pandas, zones": lambda rows: pd.DataFrame(
        {**columns(rows), "timestamp": pd.to_datetime(columns(rows)["timestamp"], unit="s", utc=True)}
    ).assign(timestamp=lambda frame: frame["timestamp"].dt.tz_convert("America/New_York")),
    "pandas, an index": lambda rows: pd.DataFrame(columns(rows)).set_index("user"),
    "polars": lambda rows: pl.DataFrame(columns(rows)),
    "polars, categories": lambda rows: pl.DataFrame(columns(rows)).with_columns(
        pl.col("item").cast(pl.Categorical), pl.col("rating").cast(pl.Decimal(9, 2))
    ),
    "polars, zones": lambda rows: pl.DataFrame(columns(rows)).with_columns(
        pl.from_epoch("timestamp").dt.replace_time_zone("UTC").dt.convert_time_zone("Asia/Kolkata")
    ),
    "polars, naive times": lambda rows: pl.DataFrame(columns(rows)).with_columns(pl.from_epoch("timestamp")),
    "polars, other types beside": lambda rows: pl.DataFrame(columns(rows)).with_columns(
        pl.lit(1).cast(pl.Int128).alias("huge"), pl.lit("x").alias("review")
    ),
    "pyarrow": lambda rows: pa.table(columns(rows)),
    "a pyarrow batch": lambda rows: pa.record_batch(columns(rows)),
    "a pyarrow reader": lambda rows: pa.table(columns(rows)).to_reader(),
    "DuckDB": relation,
    "numpy, structured": lambda rows: np.array(rows, dtype=TYPES),
    "numpy, big-endian": lambda rows: np.array(
        rows, dtype=[("user", ">i4"), ("item", "U20"), ("rating", ">f8"), ("timestamp", ">i8")]
    ),
    "numpy, bytes": lambda rows: np.array(
        rows, dtype=[(name, "S20" if name == "item" else kind) for name, kind in TYPES]
    ),
    "numpy, objects": lambda rows: np.array([tuple(row) for row in rows], dtype=object),
    "numpy, dates": lambda rows: {
        **columns(rows),
        "timestamp": np.array(columns(rows)["timestamp"]).astype("datetime64[s]"),
    },
}


def content(ratings: Ratings) -> tuple[object, ...]:
    return (
        list(ratings.user_ids),
        list(ratings.item_ids),
        ratings.indptr.tolist(),
        ratings.items.tolist(),
        ratings.values.tolist(),
        None if ratings.times is None else ratings.times.tolist(),
        ratings.titles,
    )


ROWS: list[Row] = [(15, "b", 4.5, 100), (9, "a", 3.0, 200), (15, "a", 1.0, 50), (15, "a", 2.0, 60)]


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_table_gives_the_same_ratings(kind: str) -> None:
    ratings = Ratings.from_frame(KINDS[kind](ROWS))

    assert content(ratings) == (
        ["9", "15"],
        ["a", "b"],
        [0, 1, 3],
        [0, 0, 1],
        [3.0, 2.0, 4.5],
        [200, 60, 100],
        None,
    )
    assert ratings.source["duplicates"] == 1


rows_of_anything = st.lists(
    st.tuples(
        st.integers(-(2**31), 2**31 - 1) | st.integers(0, 3),
        st.sampled_from(["a", "b", "007", "7", "é"])
        | st.text("ab'\",;#x\n -", min_size=1, max_size=5).filter(str.strip),
        st.floats(-1e6, 1e6, width=32),
        st.integers(0, 2**32),
    ),
    min_size=1,
    max_size=20,
)


@settings(max_examples=15)
@given(rows_of_anything, st.data())
def test_any_rows_give_the_ratings_of_prepare(
    tmp_path_factory: pytest.TempPathFactory, rows: list[Row], data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("prepared")
    pl.DataFrame(columns(rows), schema_overrides={"timestamp": pl.Int64}).write_parquet(folder / "r.parquet")
    prepare([folder / "r.parquet"], folder / "store")
    expected = Ratings.load(folder / "store")

    # Bytes end at the first zero, and numbers as text are rounded as they are written.
    kinds = [kind for kind in KINDS if kind not in ("numpy, bytes", "polars, categories")]
    kind = data.draw(st.sampled_from(kinds))
    ratings = Ratings.from_frame(KINDS[kind](rows))

    assert content(ratings) == content(expected), kind
    assert ratings.source["duplicates"] == expected.source["duplicates"]


@pytest.mark.parametrize("rows", [[], ROWS[:0]])
def test_no_rows_are_refused(rows: list[Row]) -> None:
    with pytest.raises(DataError, match="no rows"):
        Ratings.from_frame(rows)
    with pytest.raises(DataError, match="has 0 rows, and none is a rating"):
        Ratings.from_frame(pl.DataFrame({"user": [], "item": [], "rating": []}))


def test_columns_of_other_names_are_named() -> None:
    frame = pl.DataFrame({"u": [1], "i": [2], "r": [3.0], "t": [4], "rating": ["no number"]})

    ratings = Ratings.from_frame(frame, user="u", item="i", rating="r", timestamp="t")

    assert content(ratings)[:6] == (["1"], ["2"], [0, 1], [0], [3.0], [4])


def test_columns_without_names_go_by_place_from_0() -> None:
    array = np.array([[7, 3.5, 1, 99], [7, 4.5, 2, 99]])

    ratings = Ratings.from_frame(array, user=0, item=2, rating=1, timestamp="none")

    assert content(ratings)[:6] == (["7"], ["1", "2"], [0, 2], [0, 1], [3.5, 4.5], None)


def test_usual_names_are_recognised() -> None:
    frame = pd.DataFrame({"userId": [1], "movieId": [2], "rating": [3.0]})

    assert len(Ratings.from_frame(frame)) == 1


def test_a_missing_column_is_named_with_the_columns_that_are_there() -> None:
    with pytest.raises(
        DataError, match=r"no column for the item; the table has 'user', 'rating'\. .* user=…"
    ):
        Ratings.from_frame(pl.DataFrame({"user": [1], "rating": [1]}))
    with pytest.raises(DataError, match="there is no column 'x' for the user"):
        Ratings.from_frame(pl.DataFrame({"user": [1], "item": [1], "rating": [1]}), user="x")


def test_a_lazy_frame_is_to_be_collected() -> None:
    with pytest.raises(DataError, match=r"LazyFrame holds no rows yet; collect it first: frame.collect\(\)"):
        Ratings.from_frame(pl.LazyFrame(columns(ROWS)))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("ratings.csv", "no table in memory; a file is read by refeed.read"),
        (Path("ratings.csv"), "a file is read by refeed.read"),
        (3, "int is no table; expected a frame of polars, pandas"),
        (None, "NoneType is no table"),
        ([1, 2], "1 is no row of a table"),
        (["ab"], "'ab' is no row of a table"),
        ([{"user": 1, "item": 2, "rating": 3}, (1, 2, 3)], "is no dict, though the first row is one"),
        (np.zeros(3), r"shape \(3,\) is no table"),
        (np.zeros((2, 6)), "6 columns without names; say which is which by place"),
        ({"user": [1], "item": [1, 2], "rating": [1]}, "equally long: 'user' has 1, 'item' has 2"),
        ({"user": 1, "item": 2, "rating": 3}, "a mapping is read as columns by name, .* 'user' holds 1"),
    ],
)
def test_what_is_no_table_is_refused(data: object, message: str) -> None:
    with pytest.raises(DataError, match=message):
        Ratings.from_frame(data)


def test_a_series_is_no_table() -> None:
    with pytest.raises(DataError, match=r"series.reset_index\(\)"):
        Ratings.from_frame(pd.Series([1]))


@pytest.mark.parametrize(
    "ids",
    [
        pl.Series([1.5, 2.0]),
        pl.Series([1.0, float("inf")]),
        pl.Series([2.0**53, 1]),
        pl.Series([True, False]),
        pl.Series([[1], [2]]),
        pl.Series([dt.date(2020, 1, 1), dt.date(2020, 1, 2)]),
    ],
)
@pytest.mark.parametrize("skip_bad", [True, False])
def test_ids_that_are_neither_text_nor_whole_are_refused(ids: Any, skip_bad: bool) -> None:
    frame = pl.DataFrame({"user": ids, "item": [1, 2], "rating": [1, 2]})

    for table in (frame, frame.to_pandas(), frame.rows()):
        with pytest.raises(DataError, match="ids are text or whole numbers"):
            Ratings.from_frame(table, skip_bad=skip_bad)


BAD: list[tuple[Any, ...]] = [
    ("u", "a", 3.0, 5),
    ("u", "b", None, 5),
    (None, "b", 1.0, 5),
    ("u", " ", 1.0, 5),
    ("u", "c", 1e39, 5),
    ("u", "d", 1.0, None),
    ("u", "e", float("inf"), 5),
]
CAUSES = [
    "row 2: there is no rating",
    "row 3: there is no user id",
    "row 4: there is no item id",
    "row 5: the rating is beyond the range of float32: '1e+39'",
    "row 6: there is no time (timestamp=none reads none)",
    "row 7: the rating is not finite: 'inf'",
]


@pytest.mark.parametrize("kind", ["tuples", "pandas", "polars"])
def test_bad_rows_are_named_by_row_value_and_cause(kind: str) -> None:
    with pytest.raises(DataError) as caught:
        Ratings.from_frame(KINDS[kind](BAD))

    first, *lines, last = str(caught.value).splitlines()
    assert first == "6 of 7 rows can't be read as ratings (rows are counted from 1):"
    assert [line.strip() for line in lines] == CAUSES
    assert "skip_bad=True" in last


@pytest.mark.parametrize("kind", ["tuples", "pandas", "polars"])
def test_bad_rows_are_left_out_counted_and_logged(kind: str, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger="refeed"):
        ratings = Ratings.from_frame(KINDS[kind](BAD), skip_bad=True)

    assert content(ratings)[:5] == (["u"], ["a"], [0, 1], [0], [3.0])
    assert ratings.source["bad"] == 6
    assert "6 of 7 rows are no ratings and were left out" in caplog.text


def test_the_first_20_bad_rows_are_named_and_all_counted() -> None:
    with pytest.raises(DataError, match="30 of 31 rows") as caught:
        Ratings.from_frame([("u", "a", 1.0), *[("u", "b", "x")] * 30])

    assert str(caught.value).count("the rating is no number: 'x'") == 20
    assert "… and 10 more" in str(caught.value)


def test_rows_of_another_width_are_bad() -> None:
    with pytest.raises(DataError, match=r"row 2: 2 fields where 3 were expected: \('u', 'b'\)"):
        Ratings.from_frame([("u", "a", 1.0), ("u", "b")])


def test_nothing_but_bad_rows_is_refused() -> None:
    with pytest.raises(DataError, match="has 1 rows, and none is a rating"):
        Ratings.from_frame([("u", "a", None)], skip_bad=True)


def test_codes_that_mean_not_rated_are_left_out_and_counted() -> None:
    rows = [("u", "a", 3.0), ("u", "b", -1.0), ("u", "c", float("nan")), ("v", "b", 99)]

    ratings = Ratings.from_frame(rows, missing=[-1, 99, float("nan")])

    assert content(ratings)[:5] == (["u"], ["a"], [0, 1], [0], [3.0])
    assert (ratings.source["missing"], ratings.source["bad"]) == (3, 0)
    assert len(Ratings.from_frame(rows[:2], missing=-1)) == 1


def test_milliseconds_are_recognised_and_datetimes_are_never_taken_for_them() -> None:
    times = [1_600_000_000_000, 1_600_000_000]
    ratings = Ratings.from_frame([("u", "a", 1.0, times[0]), ("u", "b", 1.0, times[1])])
    assert ratings.times is not None
    assert ratings.times.tolist() == [1_600_000_000] * 2

    late = dt.datetime(6000, 1, 1, tzinfo=dt.UTC)
    in_python = Ratings.from_frame([("u", "a", 1.0, late)])
    assert in_python.times is not None
    assert in_python.times.tolist() == [int(late.timestamp())]
    with pytest.raises(DataError, match=r"the time 6000-01-01 00:00:00.* is out of range"):
        Ratings.from_frame(pl.DataFrame({"user": [1], "item": [1], "rating": [1], "timestamp": [late]}))


def test_a_sparse_matrix_is_read_as_users_and_items() -> None:
    matrix = sparse.csr_array(np.array([[0, 2.0], [3, 0]]))

    assert content(Ratings.from_frame(matrix))[:5] == (["0", "1"], ["0", "1"], [0, 1, 2], [1, 0], [2.0, 3.0])
    named = Ratings.from_frame(matrix, user_ids=["u", "v"], item_ids=[20, 10])
    assert content(named)[:5] == (["u", "v"], ["10", "20"], [0, 1, 2], [0, 1], [2.0, 3.0])
    with pytest.raises(DataError, match="user_ids: 1 ids for 2 rows"):
        Ratings.from_frame(matrix, user_ids=["u"])
    with pytest.raises(DataError, match=r"of a scipy\.sparse matrix alone"):
        Ratings.from_frame(ROWS, user_ids=["u"])


@pytest.mark.parametrize("kind", ["csr_matrix", "csc_array", "coo_matrix", "lil_array", "dok_array"])
def test_every_sparse_format_will_do_and_stored_zeros_are_ratings(kind: str) -> None:
    matrix = getattr(sparse, kind)(np.array([[1, 0, 5], [0, 0, 2]]))

    assert len(Ratings.from_frame(matrix)) == 3
    stored = sparse.coo_array(([0.0, 4.0], ([0, 0], [0, 1])))
    assert Ratings.from_frame(stored).values.tolist() == [0.0, 4.0]


def titles_of(titles: object) -> object:
    return Ratings.from_frame([(1, 7, 2.0), (1, 8, 3.0)], titles=titles).titles


def test_titles_come_from_a_mapping_a_table_or_a_file(tmp_path: Path) -> None:
    (tmp_path / "titles.csv").write_text("item,title\n7,Heat\n")
    expected = ("Heat", "")

    assert titles_of({7: "Heat", 9: "x"}) == expected
    assert titles_of({"7": "Heat", "8": None}) == expected
    assert titles_of(pd.Series(["Heat"], index=[7])) == expected
    assert titles_of(pl.DataFrame({"item": [7], "title": ["Heat"]})) == expected
    assert titles_of({"movieId": [7.0], "title": ["Heat"]}) == expected
    assert titles_of([("7", "Heat")]) == expected
    assert titles_of(str(tmp_path / "titles.csv")) == expected
    assert titles_of({}) is None
    with pytest.raises(DataError, match=r"the item id 7\.5 is a fraction"):
        titles_of(pl.DataFrame({"item": [7.5], "title": ["Heat"]}))


def test_many_rows_of_a_generator_keep_their_order() -> None:
    rows = ((n % 7, n % 11, float(n)) for n in range(120_000))

    ratings = Ratings.from_frame(rows)

    assert len(ratings) == 77
    assert ratings.values.min() == 120_000 - 77


def test_pairs_keep_the_order_of_their_rows_and_look_at_nothing_else() -> None:
    frame = pl.DataFrame({"rating": ["x", None, "y"], "item": ["b", "a", "b"], "user": [3.0, 1.0, 3.0]})

    pairs = read_pairs(frame)

    assert pairs.users.tolist() == ["3", "1", "3"]
    assert pairs.items.tolist() == ["b", "a", "b"]
    assert (pairs.ratings, pairs.times, len(pairs)) == (None, None, 3)


def test_pairs_may_have_ratings_and_times() -> None:
    fields = ("user", "item", "rating", "timestamp")

    pairs = read_pairs(ROWS, fields=fields)

    assert pairs.ratings is not None
    assert pairs.times is not None
    assert list(zip(pairs.users, pairs.items, pairs.ratings, pairs.times, strict=True)) == [
        (str(u), i, r, t) for u, i, r, t in ROWS
    ]
    assert read_pairs([("u", "i", 3.0)], fields=fields).times is None


def test_a_pair_without_an_id_is_named() -> None:
    with pytest.raises(DataError, match="row 2: there is no item id"):
        read_pairs([("u", "a"), ("u", None)])


@settings(max_examples=20)
@given(rows_of_anything)
def test_pairs_of_any_rows_are_those_rows(rows: list[Row]) -> None:
    for kind in ("tuples", "pandas", "polars"):
        pairs = read_pairs(KINDS[kind](rows))
        assert pairs.users.tolist() == [str(row[0]) for row in rows]
        assert pairs.items.tolist() == [row[1] for row in rows]


def test_no_frame_needs_pyarrow_to_be_read_or_written() -> None:
    program = """
import sys
class NoPyarrow:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == "pyarrow":
            raise ModuleNotFoundError(name, name=name)
sys.meta_path.insert(0, NoPyarrow())
import duckdb, pandas, polars
from refeed.ratings.store import Ratings
from refeed.table import Table
columns = {"user": [1, 2], "item": ["a", "b"], "rating": [1.5, 2.5]}
frames = (
    polars.DataFrame(columns),
    pandas.DataFrame(columns),
    pandas.DataFrame(columns).convert_dtypes(),
    duckdb.connect().sql("SELECT 1 AS \\"user\\", 'a' AS item, 1.5 AS rating UNION ALL SELECT 2, 'b', 2.5"),
)
for frame in frames:
    print(Ratings.from_frame(frame).values.tolist())
table = Table({"item": ["a", None], "score": [1.5, float("nan")]})
print(polars.DataFrame(table).rows(), table.to_polars().rows())
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.stdout.splitlines() == [
        *["[1.5, 2.5]"] * 4,
        "[('a', 1.5), (None, None)] [('a', 1.5), (None, None)]",
    ], done.stderr


def test_nothing_is_imported_that_was_not_handed_over() -> None:
    program = """
import sys
from refeed.ratings.store import Ratings
Ratings.from_frame([("u", "a", 1.0)])
print(sorted({"pandas", "polars", "pyarrow", "scipy", "torch"} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_what_a_frame_gave_is_saved_and_loaded(tmp_path: Path) -> None:
    ratings = Ratings.from_frame(pl.DataFrame(columns(ROWS)), titles={"a": "Alien"})

    ratings.save(tmp_path / "store")

    assert content(Ratings.load(tmp_path / "store")) == content(ratings)
    assert Ratings.load(tmp_path / "store").source == ratings.source


def test_a_table_without_a_rating_holds_interactions_which_are_added_up() -> None:
    frame = pl.DataFrame({"user": [1, 1, 2], "item": ["a", "a", "b"], "timestamp": [5, 9, 7]})

    ratings = Ratings.from_frame(frame)

    assert ratings.kind == "interactions"
    assert content(ratings)[:6] == (["1", "2"], ["a", "b"], [0, 1, 2], [0, 1], [2.0, 1.0], [9, 7])
    assert ratings.source["duplicates"] == 1
    in_order = Ratings.from_frame([(1, "a", 1_600_000_000), (2, "b", 1_600_000_001)])
    assert (in_order.kind, in_order.times is None) == ("interactions", False)
    assert Ratings.from_frame([(1, "a"), (2, "b")]).kind == "interactions"


def test_counts_are_interactions() -> None:
    frame = pd.DataFrame({"user": [1, 1], "item": ["a", "a"], "listened": [3, 4]})

    assert Ratings.from_frame(frame, count="listened").values.tolist() == [7.0]
    with pytest.raises(DataError, match="the count is not positive: '0'"):
        Ratings.from_frame(frame.assign(listened=[0, 1]), count="listened")


def test_a_column_that_could_be_the_rating_is_asked_for() -> None:
    frame = pl.DataFrame({"user": [1], "item": ["a"], "liking": [3]})

    with pytest.raises(
        DataError, match=r"no column for the rating; .* such as rating=liking or count=liking"
    ):
        Ratings.from_frame(frame)
    assert Ratings.from_frame(frame, rating="liking").kind == "ratings"
    assert Ratings.from_frame(frame, rating="none").kind == "interactions"


def test_ratings_that_are_all_equal_are_interactions_unless_they_are_named() -> None:
    rows = [("u", "a", 5.0), ("u", "b", 5.0)]

    assert (Ratings.from_frame(rows).kind, Ratings.from_frame(rows).values.tolist()) == (
        "interactions",
        [1.0, 1.0],
    )
    assert Ratings.from_frame(rows, kind="ratings").values.tolist() == [5.0, 5.0]
    assert Ratings.from_frame(rows, user=0, item=1, rating=2).values.tolist() == [5.0, 5.0]
