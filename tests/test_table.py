"""A table of columns leaves refeed for any library, and nothing in it changes."""

import csv
from pathlib import Path

import duckdb
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from refeed.errors import DataError
from refeed.table import Table

pd = pytest.importorskip("pandas")
pl = pytest.importorskip("polars")
pa = pytest.importorskip("pyarrow")


def predictions() -> Table:
    return Table(
        {
            "user": ["15", "007", None],
            "item": ["a", 'b,"b"', "ç"],
            "prediction": np.array([4.25, np.nan, 1.0]),
            "support": [3, 0, 7],
        }
    )


ROWS = [("15", "a", 4.25, 3), ("007", 'b,"b"', None, 0), (None, "ç", 1.0, 7)]


def test_rows_are_named_tuples_of_plain_python() -> None:
    table = predictions()

    assert [tuple(row) for row in table] == ROWS
    assert (len(table), table.columns) == (3, ("user", "item", "prediction", "support"))
    assert table[0].prediction == 4.25
    assert type(table[0].support) is int
    assert tuple(table[-1]) == ROWS[-1]
    assert table.to_dicts()[1] == {"user": "007", "item": 'b,"b"', "prediction": None, "support": 0}


def test_columns_are_arrays_or_tuples_and_slices_are_tables() -> None:
    table = predictions()

    assert table["support"].tolist() == [3, 0, 7]  # type: ignore[union-attr]
    assert table["item"] == ("a", 'b,"b"', "ç")
    assert [tuple(row) for row in table[1:]] == ROWS[1:]


def test_nothing_in_a_table_changes() -> None:
    scores = np.array([1.0, 2.0])
    table = Table({"score": scores})

    with pytest.raises(ValueError, match="read-only"):
        table["score"][0] = 5.0  # type: ignore[index]
    scores[0] = 5.0  # the caller's own stays theirs
    with pytest.raises(AttributeError):
        table.more = 1  # type: ignore[attr-defined]


def test_every_library_gets_the_same_rows() -> None:
    table = predictions()

    assert table.to_polars().rows() == ROWS
    assert table.to_arrow().to_pylist() == table.to_dicts()
    assert pl.DataFrame(table).rows() == ROWS
    assert pa.table(table).num_rows == 3
    frame = table.to_pandas()
    assert frame.columns.tolist() == list(table.columns)
    assert frame["prediction"].isna().tolist() == [False, True, False]
    assert frame["support"].dtype == np.int64
    with duckdb.connect() as db:
        db.register("t", table.to_arrow())
        assert db.execute("FROM t").fetchall() == ROWS


def test_a_table_without_rows_keeps_its_columns() -> None:
    nothing = predictions()[:0]

    assert nothing.to_polars().schema == predictions().to_polars().schema
    assert nothing.to_pandas().shape == (0, 4)
    assert repr(nothing) == "Table: 0 rows × 4 columns\nuser  item  prediction  support"


def test_names_that_differ_in_case_alone_are_two_columns() -> None:
    assert Table({"a": [1], "A": ["x"]}).to_polars().rows() == [(1, "x")]


@pytest.mark.parametrize(("suffix", "delimiter"), [(".csv", ","), (".tsv", "\t")])
def test_text_files_hold_the_rows_and_nothing_where_a_cell_is_empty(
    tmp_path: Path, suffix: str, delimiter: str
) -> None:
    predictions().save(str(tmp_path / f"it's{suffix}"))

    with (tmp_path / f"it's{suffix}").open(encoding="utf-8", newline="") as file:
        lines = list(csv.reader(file, delimiter=delimiter))
    assert lines == [
        ["user", "item", "prediction", "support"],
        ["15", "a", "4.25", "3"],
        ["007", 'b,"b"', "", "0"],
        ["", "ç", "1.0", "7"],
    ]


def test_parquet_is_replaced_as_a_whole(tmp_path: Path) -> None:
    path = tmp_path / "p.parquet"
    Table({"x": [1]}).save(path)

    predictions().save(path)

    assert pl.read_parquet(path).rows() == ROWS
    assert [file.name for file in tmp_path.iterdir()] == ["p.parquet"]


def test_another_suffix_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"predictions are written as one of \.csv, \.tsv, \.parquet"):
        predictions().save(tmp_path / "p.xlsx")


def test_a_table_is_shown_in_ten_lines() -> None:
    table = Table({"item": [f"{'long ' * 20}\x1b[0m{n}" for n in range(1000)], "score": np.arange(1000) / 7})

    lines = repr(table).splitlines()

    assert len(lines) == 10
    assert lines[0] == "Table: 1,000 rows × 2 columns"
    assert lines[-1] == "… 993 more"
    assert max(map(len, lines)) < 50
    assert "\x1b" not in repr(table)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({}, "needs a column"),
        ({"a": [1], "b": [1, 2]}, "equally long: 'a' has 1, 'b' has 2"),
        ({"a": [1, "x"]}, "the column 'a' is neither all text nor all numbers"),
    ],
)
def test_what_is_no_table_is_refused(columns: dict[str, list[int | str]], message: str) -> None:
    with pytest.raises(DataError, match=message):
        Table(columns)


def test_a_column_or_row_that_is_not_there_is_an_error() -> None:
    with pytest.raises(DataError, match="there is no column 'x'; there are 'user', 'item'"):
        predictions()["x"]
    with pytest.raises(IndexError, match="there is no row 3; there are 3"):
        predictions()[3]


@settings(max_examples=25)
@given(
    st.lists(
        st.tuples(
            st.none() | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")),
            st.floats(allow_nan=False, allow_infinity=False),
            st.integers(-(2**63), 2**63 - 1),
        )
    )
)
def test_any_rows_come_back_from_every_library(rows: list[tuple[str | None, float, int]]) -> None:
    table = Table(
        {
            "text": [row[0] for row in rows],
            "number": np.array([row[1] for row in rows], dtype=np.float64),
            "whole": np.array([row[2] for row in rows], dtype=np.int64),
        }
    )

    assert [tuple(row) for row in table] == rows
    assert table.to_polars().rows() == rows
    assert [tuple(row.values()) for row in table.to_arrow().to_pylist()] == rows
    assert list(table.to_pandas().itertuples(index=False, name=None)) == rows
