"""From files of ratings to a store."""

import csv
import gzip
import io
import json
from pathlib import Path

import duckdb
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from refeed.errors import DataError, StoreError
from refeed.ratings.read import open_ratings, prepare
from refeed.ratings.store import Ratings

Rated = dict[tuple[str, str], float]


def as_dict(ratings: Ratings) -> Rated:
    users, items, values = ratings.users.tolist(), ratings.items.tolist(), ratings.values.tolist()
    return {
        (ratings.user_ids[u], ratings.item_ids[i]): value
        for u, i, value in zip(users, items, values, strict=True)
    }


def read(path: Path, text: str | bytes, columns: str | None = None) -> Ratings:
    """Write a file and read it as a store."""
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    out = path.with_name(f"{path.name}.store")
    prepare([path], out, columns=columns)
    return Ratings.load(out)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.csv", "userId,movieId,rating,timestamp\nann,x,4.5,100\nbob,y,-2,200\n"),
        ("a.csv", "ann,x,4.5,100\nbob,y,-2,200\n"),
        ("a.csv", "ann,x,4.5,100\r\nbob,y,-2,200"),
        ("a.csv", "\n\nann,x,4.5,100\n\n\r\nbob,y,-2,200\n   \n"),
        ("a.csv", "user;item;rating;time\nann;x;4.5;100\nbob;y;-2;200\n"),
        ("a.txt", "ann|x|4.5|100\nbob|y|-2|200\n"),
        ("a.csv", "Timestamp,Stars,Product_ID,Customer ID\n100,4.5,x,ann\n200,-2,y,bob\n"),
        ("a.csv", "ann,x,4.5,100,\nbob,y,-2,200,\n"),
        ("a.csv", '"ann","x","4.5","100"\n"bob","y","-2","200"\n'),
        ("a.csv", "\N{ZERO WIDTH NO-BREAK SPACE}user,item,rating,ts\nann,x,4.5,100\nbob,y,-2,200\n"),
        ("a.tsv", "ann\tx\t4.5\t100\nbob\ty\t-2\t200\n"),
        ("a.dat", "ann::x::4.5::100\nbob::y::-2::200\n"),
        ("a.dat", "user::item::rating::timestamp\nann::x::4.5::100\nbob::y::-2::200\n"),
        ("noending", "ann\tx\t4.5\t100\nbob\ty\t-2\t200\n"),
        (
            "a.jsonl",
            """{"user": "ann", "item": "x", "rating": 4.5, "ts": 100}

            {"ts": 200, "rating": -2, "item": "y", "user": "bob"}""",
        ),
        ("a.csv.gz", gzip.compress(b"ann,x,4.5,100\nbob,y,-2,200\n", mtime=0)),
        ("a[1]*.csv", "ann,x,4.5,100\nbob,y,-2,200\n"),
        ("it's.csv", "ann,x,4.5,100\nbob,y,-2,200\n"),
    ],
)
def test_a_table_is_recognised(tmp_path: Path, name: str, text: str | bytes) -> None:
    ratings = read(tmp_path / name, text)

    assert as_dict(ratings) == {("ann", "x"): 4.5, ("bob", "y"): -2.0}
    assert ratings.times is not None
    assert ratings.times.tolist() == [100, 200]


def test_a_table_without_times_has_none(tmp_path: Path) -> None:
    ratings = read(tmp_path / "a.csv", "ann,x,4.5\nbob,y,-2\n")

    assert ratings.times is None
    assert as_dict(ratings) == {("ann", "x"): 4.5, ("bob", "y"): -2.0}


@pytest.mark.parametrize(
    "columns", ["user=who,item=what,rating=how,timestamp=when", "user=3,item=1,rating=how,timestamp=when"]
)
def test_columns_are_mapped_by_name_and_number(tmp_path: Path, columns: str) -> None:
    ratings = read(tmp_path / "a.csv", "what,how,who,when,rating\nx,1,ann,5,9\n", columns)

    assert as_dict(ratings) == {("ann", "x"): 1.0}
    assert ratings.times is not None
    assert ratings.times.tolist() == [5]


def test_columns_are_mapped_by_number_without_a_header(tmp_path: Path) -> None:
    ratings = read(tmp_path / "a.csv", "7,x,1,ann,5\n8,y,2,bob,6\n", "user=4,item=2,rating=5")

    assert as_dict(ratings) == {("ann", "x"): 5.0, ("bob", "y"): 6.0}


def test_times_can_be_left_out(tmp_path: Path) -> None:
    assert read(tmp_path / "a.csv", "user,item,rating,time\na,x,1,\n", "timestamp=none").times is None


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        ("0", 0),
        ("-5", -5),
        ("1217897793", 1217897793),
        ("1217897793.9", 1217897793),
        ("1217897793123", 1217897793),
        ("2005-12-31", 1135987200),
        ("2005-12-31 00:00", 1135987200),
        ("2005-12-31T00:00:01Z", 1135987201),
        ("2005-12-31T02:30:00.25+02:30", 1135987200),
        ("2005-12-30 19:00:00-05", 1135987200),
        ("1969-12-31", -86400),
    ],
)
def test_a_time_is_unix_seconds_or_an_iso_date(tmp_path: Path, written: str, seconds: int) -> None:
    ratings = read(tmp_path / "a.csv", f"a,x,1,{written}\n")

    assert ratings.times is not None
    assert ratings.times.tolist() == [seconds]


def test_milliseconds_are_told_in_the_report(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("a,x,1,1217897793123\na,y,1,1217897793\n")

    report = prepare([tmp_path / "a.csv"], tmp_path / "store")

    assert report.span == (1217897793, 1217897793)
    assert "1 times are beyond 10^11 and were read as milliseconds" in str(report)


def test_ids_with_line_breaks_and_quotes_are_verbatim(tmp_path: Path) -> None:
    ratings = read(tmp_path / "a.csv", 'user,item,rating\n"a\nb","say ""x""",1\n" c ",0104257,2\n')

    assert as_dict(ratings) == {("a\nb", 'say "x"'): 1.0, (" c ", "0104257"): 2.0}


def test_parquet_keeps_integer_ids_as_decimals_and_reads_its_own_times(tmp_path: Path) -> None:
    with duckdb.connect() as db:
        place = tmp_path / "a.parquet"
        db.execute(f"""COPY (SELECT 12345678901 AS user_id, '007' AS item, 3.5::FLOAT AS rating,
            TIMESTAMPTZ '2005-12-31 01:00:00+01' AS date) TO '{place}'""")

    prepare([place], tmp_path / "store")

    ratings = Ratings.load(tmp_path / "store")
    assert as_dict(ratings) == {("12345678901", "007"): 3.5}
    assert ratings.times is not None
    assert ratings.times.tolist() == [1135987200]


def test_two_tables_are_one_and_the_second_is_the_later(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("a,x,1\na,y,2\n")
    (tmp_path / "b.tsv").write_text("\n\na\tx\t5\n")

    report = prepare([tmp_path / "a.csv", tmp_path / "b.tsv"], tmp_path / "store")

    assert as_dict(Ratings.load(tmp_path / "store")) == {("a", "x"): 5.0, ("a", "y"): 2.0}
    assert (report.read, report.ratings, report.duplicates) == (3, 2, 1)


def test_a_later_table_wins_whether_it_is_parquet_or_text(tmp_path: Path) -> None:
    with duckdb.connect() as db:
        values = "(1, 7, 1), (1, 8, 2), (1, 8, 3), (2, NULL, 4)"
        place = tmp_path / "a.parquet"
        db.execute(f"""COPY (FROM (VALUES {values}) t("user", item, rating)) TO '{place}'""")
    (tmp_path / "b.csv").write_text("1,7,5\n2,7,x\n")

    for order, kept in ((["a.parquet", "b.csv"], 5.0), (["b.csv", "a.parquet"], 1.0)):
        out = tmp_path / order[0].replace(".", "_")
        report = prepare([tmp_path / name for name in order], out, skip_bad=True)

        assert as_dict(Ratings.load(out)) == {("1", "7"): kept, ("1", "8"): 3.0}
        assert (report.read, report.ratings, report.duplicates, report.bad) == (6, 2, 2, 2)
        assert report.bad_file is not None
        bad_rows = csv.DictReader(io.StringIO(report.bad_file.read_text()))
        bad = {(row["file"], row["line"]) for row in bad_rows}
        assert bad == {(str(tmp_path / "a.parquet"), "4"), (str(tmp_path / "b.csv"), "2")}


@pytest.mark.parametrize(
    ("rating", "time", "text_of_time"),
    [
        ("TINYINT", "INTEGER", "100"),
        ("FLOAT", "BIGINT", "1133308800000"),
        ("DOUBLE", "DOUBLE", "100.9"),
        ("DECIMAL(4, 2)", "UBIGINT", "7"),
        ("UHUGEINT", "TIMESTAMP", "2005-12-31 01:00:00"),
    ],
)
def test_numbers_of_a_parquet_are_read_as_their_texts_are(
    tmp_path: Path, rating: str, time: str, text_of_time: str
) -> None:
    row = f"""SELECT 'a' AS "user", 'x' AS item, 3::{rating} AS rating, '{text_of_time}'::{time} AS time"""
    with duckdb.connect() as db:
        db.execute(f"COPY ({row}) TO '{tmp_path / 'typed.parquet'}'")
        db.execute(f"COPY (SELECT COLUMNS(*)::VARCHAR FROM ({row})) TO '{tmp_path / 'text.parquet'}'")

    typed, text = (open_ratings(tmp_path / f"{name}.parquet") for name in ("typed", "text"))

    assert as_dict(typed) == as_dict(text) == {("a", "x"): 3.0}
    assert typed.times is not None
    assert text.times is not None
    assert typed.times.tolist() == text.times.tolist()


def test_the_report_accounts_for_every_row(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("user,item,rating\na,x,1\na,x,2\na,y,one\nb,y,0\n")

    report = prepare([tmp_path / "a.csv"], tmp_path / "store", skip_bad=True)

    assert report.read == report.ratings + report.duplicates + report.bad == 4
    assert str(report).splitlines() == [
        str(tmp_path / "store"),
        "  ratings    2, 50 % of 2 users × 2 items",
        "  read as    comma-separated, with header: 4 rows",
        "  scale      0 to 2",
        "  times      none",
        "  titles     none",
        "  duplicates 1 rows left out; the latest of each user and item stays",
        f"  bad rows   1 left out, see {tmp_path / 'store.bad.csv'}",
    ]


def test_a_table_and_its_store_open_alike(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("a,x,1,5\nb,y,2,6\n")
    prepare([tmp_path / "a.csv"], tmp_path / "store")

    table, store = open_ratings(tmp_path / "a.csv"), open_ratings(tmp_path / "store")

    assert as_dict(table) == as_dict(store) == {("a", "x"): 1.0, ("b", "y"): 2.0}
    assert np.array_equal(np.asarray(table.times), [5, 6])


def test_nothing_but_the_store_is_left(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("a,x,1\n")
    (tmp_path / "bad.csv").write_text("a,x,one\n")

    prepare([tmp_path / "a.csv"], tmp_path / "store")
    with pytest.raises(DataError):
        prepare([tmp_path / "bad.csv"], tmp_path / "other")

    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.csv", "bad.csv", "store"]


def test_an_existing_output_is_refused_before_reading(tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "mine").touch()

    with pytest.raises(StoreError, match="exists already; choose another path"):
        prepare([tmp_path / "nowhere.csv"], tmp_path / "store")


@pytest.mark.parametrize("memory", ["much", "-1GB", ""])
def test_a_memory_that_is_no_size_is_refused(tmp_path: Path, memory: str) -> None:
    (tmp_path / "a.csv").write_text("a,x,1\n")

    with pytest.raises(DataError, match="no size; expected one such as 2GB"):
        prepare([tmp_path / "a.csv"], tmp_path / "store", memory=memory)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("t.csv", "movieId,title,genres\nx,\"Ex, The\",Drama\ny,'Why',Drama\n"),
        ("t.csv", "x,\"Ex, The\"\ny,'Why'\n"),
        ("t.dat", "x::Ex, The::Drama\ny::'Why'::Drama\n"),
        ("t.item", "x|Ex, The|1995||\ny|'Why'|1996||\n"),
        ("t.tsv", "title\titem\nEx, The\tx\n'Why'\ty\n"),
        ("t.jsonl", '{"item": "x", "title": "Ex, The"}\n{"item": "y", "title": "\'Why\'"}\n'),
    ],
)
def test_titles_come_from_any_table(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / "a.csv").write_text("a,x,1\na,y,2\n")
    (tmp_path / name).write_text(text)

    report = prepare([tmp_path / "a.csv"], tmp_path / "store", titles=tmp_path / name)

    assert Ratings.load(tmp_path / "store").titles == ("Ex, The", "'Why'")
    assert report.titled == 2


def test_netflix_titles_may_have_commas_quotes_and_latin_1(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("a,1,1\na,2,2\na,3,3\n")
    titles = '1,2003,"Quoted", with, commas\n2,NULL,Amélie\n3,1999,Plain\n'
    (tmp_path / "movie_titles.txt").write_bytes(titles.encode("latin-1"))

    prepare([tmp_path / "a.csv"], tmp_path / "store", titles=tmp_path / "movie_titles.txt")

    assert Ratings.load(tmp_path / "store").titles == ('"Quoted", with, commas', "Amélie", "Plain")


def test_titles_in_parquet_are_read(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("a,1,1\n")
    with duckdb.connect() as db:
        db.execute(f"COPY (SELECT 1 AS movie_id, 'One' AS name) TO '{tmp_path / 't.parquet'}'")

    prepare([tmp_path / "a.csv"], tmp_path / "store", titles=tmp_path / "t.parquet")

    assert Ratings.load(tmp_path / "store").titles == ("One",)


# No surrogates: they are no text. No line breaks or tabs: "::" has no quotation marks that could keep them.
LETTERS = st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"])
ID = st.one_of(
    st.integers(-5, 1500).map(str),
    st.integers(0, 99).map("{:07}".format),
    st.text(st.sampled_from("a,;|\"' é:"), min_size=1, max_size=4),
    st.text(LETTERS, min_size=1, max_size=6),
).filter(lambda text: text.strip() != "" and "::" not in text and ":" not in (text[0], text[-1]))
VALUE = st.one_of(st.integers(-20, 20).map(lambda n: n / 2), st.floats(-(2.0**99), 2.0**99, width=32))
TABLE = st.lists(st.tuples(ID, ID, VALUE, st.integers(0, 2**31)), min_size=1, max_size=20)


def write(path: Path, rows: list[tuple[str, str, float, int]]) -> None:
    names = ("user", "item", "rating", "timestamp")
    if path.suffix == ".parquet":
        columns = {}
        for name, cells in zip(names, zip(*rows, strict=True), strict=True):
            columns[name] = np.empty(
                len(cells), dtype=np.object_ if isinstance(cells[0], str) else type(cells[0])
            )
            columns[name][:] = cells
        with duckdb.connect() as db:
            db.execute(f"COPY columns TO '{path}'")
    elif path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(dict(zip(names, row, strict=True))) + "\n" for row in rows))
    elif path.suffix == ".dat":
        path.write_text("".join("::".join(map(str, row)) + "\n" for row in rows), encoding="utf-8")
    else:
        text = io.StringIO()
        delimiter = "\t" if path.suffix == ".tsv" else ","
        csv.writer(text, delimiter=delimiter).writerows([names, *rows])
        path.write_text(text.getvalue(), encoding="utf-8", newline="")


@settings(max_examples=8, deadline=None)
@given(rows=TABLE)
def test_every_format_gives_the_same_ratings(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str, float, int]]
) -> None:
    folder = tmp_path_factory.mktemp("formats")
    expected: Rated = {}
    for user, item, rating, _ in sorted(rows, key=lambda row: row[3]):
        expected[user, item] = float(np.float32(rating))

    for name in ("a.csv", "a.tsv", "a.dat", "a.jsonl", "a.parquet"):
        write(folder / name, rows)
        assert as_dict(open_ratings(folder / name)) == expected, name
