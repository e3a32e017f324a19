"""What can be wrong with a file of ratings: each gets a message that says where, or the right answer."""

import csv
import gzip
import re
from pathlib import Path

import duckdb
import pytest

from refeed.errors import DataError
from refeed.ratings.read import open_ratings, prepare
from refeed.ratings.store import Ratings


def refusal(path: Path, text: str | bytes, columns: str | None = None) -> str:
    """Write a file, and say how reading it is refused; nothing may be left of the attempt."""
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(DataError) as caught:
        prepare([path], path.with_name("store"), columns=columns)
    assert [left.name for left in path.parent.iterdir()] == [path.name]
    return str(caught.value).replace(f"{path.parent}/", "")


def as_dict(ratings: Ratings) -> dict[tuple[str, str], float]:
    rows = zip(ratings.users.tolist(), ratings.items.tolist(), ratings.values.tolist(), strict=True)
    return {(ratings.user_ids[u], ratings.item_ids[i]): value for u, i, value in rows}


@pytest.mark.parametrize("text", ["", "\n\n", "  \n", "\N{ZERO WIDTH NO-BREAK SPACE}"])
@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.dat", "a.jsonl"])
def test_an_empty_file(tmp_path: Path, name: str, text: str) -> None:
    assert refusal(tmp_path / name, text) == f"{name} is empty; expected a table of ratings"


@pytest.mark.parametrize("text", ["user,item,rating", "userId,movieId,rating,timestamp\n\n"])
def test_a_header_only(tmp_path: Path, text: str) -> None:
    message = refusal(tmp_path / "a.csv", text)

    assert message == "a.csv has no ratings, at most a header; expected a row for each rating"


def test_an_empty_parquet(tmp_path: Path) -> None:
    with duckdb.connect() as db:
        db.execute(
            f"COPY (SELECT 1 AS user, 2 AS item, 3 AS rating WHERE false) TO '{tmp_path / 'x'}'"
            " (FORMAT parquet)"
        )
    content = (tmp_path / "x").read_bytes()
    (tmp_path / "x").unlink()

    assert "a.parquet has no ratings" in refusal(tmp_path / "a.parquet", content)


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"nowhere\.csv: there is no such file or folder"):
        prepare([tmp_path / "nowhere.csv"], tmp_path / "store")
    with pytest.raises(DataError, match=r"nowhere\.csv: there is no such file or folder"):
        open_ratings(tmp_path / "nowhere.csv")


def test_no_source_at_all(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no source was given"):
        prepare([], tmp_path / "store")


def test_a_missing_column_lists_those_there_are(tmp_path: Path) -> None:
    message = refusal(tmp_path / "a.csv", "user,thing,rating\nann,x,4\n")

    assert "a.csv:1: no column for the item; the table has 'user', 'thing', 'rating'. Name them" in message


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (
            "item=film",
            "a.csv:1: there is no column 'film' for the item; the table has 'user', 'item', 'rating'",
        ),
        ("item=4", "a.csv:1: there is no column 4 for the item; the table has 'user', 'item', 'rating'"),
        ("item=0", "a.csv:1: there is no column 0 for the item; the table has 'user', 'item', 'rating'"),
        ("item=user", "a.csv:1: no column for the user; the table has 'user', 'item', 'rating'"),
        ("item=user,user=1", "a.csv:1: --columns gives one column to two fields"),
    ],
)
def test_a_mapped_column_that_is_not_there(tmp_path: Path, columns: str, message: str) -> None:
    assert refusal(tmp_path / "a.csv", "user,item,rating\nann,x,4\n", columns).startswith(message)


@pytest.mark.parametrize("columns", ["user", "user=", "film=2", "user=1,user=2", "user=1,,item=2"])
def test_a_mapping_that_is_none(tmp_path: Path, columns: str) -> None:
    message = refusal(tmp_path / "a.csv", "ann,x,4\n", columns)

    assert message.startswith(f"--columns {columns!r}:")
    assert "such as user=userId,item=2,rating=stars,timestamp=ts" in message


def test_too_few_columns(tmp_path: Path) -> None:
    message = refusal(tmp_path / "a.csv", "ann\nbob\n")

    assert message == (
        "a.csv: can't tell at least 2 columns in 'ann'; expected them to be separated by a comma, tab, "
        "'::', ';' or '|'"
    )


def test_many_columns_without_a_header(tmp_path: Path) -> None:
    message = refusal(tmp_path / "a.csv", "1,2,3,4,5\n")

    assert message.startswith(
        "a.csv has 5 columns and no header; say which is which by number, such as --columns"
    )


def test_text_as_the_first_rating_reads_as_a_header(tmp_path: Path) -> None:
    message = refusal(tmp_path / "a.csv", "ann,x,five\nbob,y,4\n")

    assert (
        "a.csv:1: no column for the user and the item and the rating; the table has 'ann', 'x', 'five'"
        in message
    )


NO_TIME = "the time is neither Unix seconds nor an ISO date (2005-12-31 or 2005-12-31T23:59:59Z)"
BAD_CELLS = [
    ("bob,y,five,7", "the rating is no number: 'five'"),
    ('bob,y,"4,5",7', "the rating is no number: '4,5'"),
    ("bob,y,1_000,7", "the rating is no number: '1_000'"),
    ("bob,y,0x1F,7", "the rating is no number: '0x1F'"),
    ("bob,y,nan,7", "the rating is not finite: 'nan'"),
    ("bob,y,NaN,7", "the rating is not finite: 'NaN'"),
    ("bob,y,inf,7", "the rating is not finite: 'inf'"),
    ("bob,y,-Infinity,7", "the rating is not finite: '-Infinity'"),
    ("bob,y,1e39,7", "the rating is beyond the range of float32: '1e39'"),
    ("bob,y,,7", "there is no rating"),
    (",y,4,7", "there is no user id"),
    ('"",y,4,7', "there is no user id"),
    ("  ,y,4,7", "there is no user id"),
    ("bob,,4,7", "there is no item id"),
    ("bob,y,4,", "there is no time (--columns timestamp=none reads none)"),
    ("bob,y,4", "3 fields where 4 were expected: 'bob,y,4'"),
    ("bob", "1 fields where 4 were expected: 'bob'"),
    ("bob,y,4,7,8", "5 fields where 4 were expected: 'bob,y,4,7,8'"),
    *(
        (
            f"bob,y,4,{time}",
            f"{NO_TIME}: {time!r}",
        )
        for time in (
            "05/11/2004",
            "2005-02-30",
            "2005-13-01",
            "11.05.2004",
            "May 11 2004",
            "epoch",
            "2005-1-1",
        )
    ),
    ("bob,y,4,1e15", "the time is out of range: '1e15'"),
    ("bob,y,4,inf", "the time is out of range: 'inf'"),
    ("bob,y,4,nan", "the time is out of range: 'nan'"),
]


@pytest.mark.parametrize(("row", "cause"), BAD_CELLS)
def test_a_bad_row_is_named_by_file_line_value_and_cause(tmp_path: Path, row: str, cause: str) -> None:
    message = refusal(tmp_path / "a.csv", f"user,item,rating,time\nann,x,4,6\n\n{row}\n")

    assert message.splitlines() == [
        "1 of 2 rows can't be read as ratings:",
        f"  a.csv:4: {cause}",
        "Put them right, or leave them out with --skip-bad (from Python: skip_bad=True)",
    ]


@pytest.mark.parametrize(
    ("row", "cause"),
    [
        ('{"user": "bob", "item": "y", "rating": NaN}', "the rating is not finite: 'NaN'"),
        ('{"user": "bob", "item": "y", "rating": -Infinity}', "the rating is not finite: '-Infinity'"),
        ('{"user": "bob", "item": "y", "rating": "good"}', "the rating is no number: 'good'"),
        ('{"user": "bob", "item": "y", "rating": null}', "there is no rating"),
        ('{"user": "bob", "item": "y"}', "there is no rating"),
        ('{"user": null, "item": "y", "rating": 4}', "there is no user id"),
        (
            '{"user": "bob", "item": "y", "rating": 4',
            'it is no JSON: \'{"user": "bob", "item": "y", "rating": 4\'',
        ),
        ('["bob", "y", 4]', 'it is no JSON object: \'["bob", "y", 4]\''),
        ('{"user": ["b"], "item": 1, "rating": 4}', "a field is neither text nor a number: "),
        ('{"user": "b", "item": 1, "rating": true}', "a field is neither text nor a number: "),
    ],
)
def test_a_bad_json_line_is_named(tmp_path: Path, row: str, cause: str) -> None:
    message = refusal(tmp_path / "a.jsonl", f'{{"user": "ann", "item": "x", "rating": 4}}\n\n{row}\n')

    assert message.splitlines()[0] == "1 of 2 rows can't be read as ratings:"
    assert message.splitlines()[1].startswith(f"  a.jsonl:3: {cause}")


def test_a_numeric_time_of_a_parquet_may_not_be_missing_or_out_of_range(tmp_path: Path) -> None:
    with duckdb.connect() as db:
        db.execute(f"""COPY (FROM (VALUES (1, 1, 4, 100.0::DOUBLE), (1, 2, 4, NULL), (1, 3, 4, 'nan'),
            (1, 4, 4, 1e15)) t("user", item, rating, time)) TO '{tmp_path / "a.parquet"}'""")

    with pytest.raises(DataError) as caught:
        prepare([tmp_path / "a.parquet"], tmp_path / "store")

    assert str(caught.value).replace(f"{tmp_path}/", "").splitlines()[:4] == [
        "3 of 4 rows can't be read as ratings:",
        "  a.parquet:2: there is no time (--columns timestamp=none reads none)",
        "  a.parquet:3: the time is out of range: 'nan'",
        "  a.parquet:4: the time is out of range: '1000000000000000.0'",
    ]


def test_bad_rows_of_a_parquet_are_named_by_row(tmp_path: Path) -> None:
    with duckdb.connect() as db:
        db.execute(f"""COPY (FROM (VALUES (1, 'a', 4.0::DOUBLE), (2, 'b', 'nan'), (NULL, 'c', 1),
            (4, NULL, 2), (5, 'e', NULL)) t("user", item, rating)) TO '{tmp_path / "a.parquet"}'""")

    with pytest.raises(DataError) as caught:
        prepare([tmp_path / "a.parquet"], tmp_path / "store")

    assert str(caught.value).replace(f"{tmp_path}/", "").splitlines()[:5] == [
        "4 of 5 rows can't be read as ratings:",
        "  a.parquet:2: the rating is not finite: 'nan'",
        "  a.parquet:3: there is no user id",
        "  a.parquet:4: there is no item id",
        "  a.parquet:5: there is no rating",
    ]


def test_line_numbers_count_line_breaks_in_quotes(tmp_path: Path) -> None:
    message = refusal(
        tmp_path / "a.csv", 'user,item,rating\n"a\r\nb",x,1\r\n\r\nann,"y\nz\n",bad\nann,y,worse\n'
    )

    assert message.splitlines()[1:3] == [
        "  a.csv:5: the rating is no number: 'bad'",
        "  a.csv:8: the rating is no number: 'worse'",
    ]


def test_the_first_20_bad_rows_are_listed_and_all_are_counted(tmp_path: Path) -> None:
    rows = "".join(f"ann,{n},{'x' if n % 2 else n}\n" for n in range(60))

    lines = refusal(tmp_path / "a.csv", rows).splitlines()

    assert lines[0] == "30 of 60 rows can't be read as ratings:"
    assert [line.split(":")[1] for line in lines[1:21]] == [str(n) for n in range(2, 42, 2)]
    assert lines[21] == "  … and 10 more"


def test_skip_bad_keeps_the_rest_and_writes_the_bad_rows_with_their_cause(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text('ann,x,4\nann,y,"4,5"\n,x,4\nann,z\nbob,x,0\n')

    report = prepare([tmp_path / "a.csv"], tmp_path / "store", skip_bad=True)

    assert as_dict(Ratings.load(tmp_path / "store")) == {("ann", "x"): 4.0, ("bob", "x"): 0.0}
    assert (report.ratings, report.bad, report.bad_file) == (2, 3, tmp_path / "store.bad.csv")
    with (tmp_path / "store.bad.csv").open() as file:
        assert list(csv.reader(file)) == [
            ["file", "line", "value", "cause"],
            [str(tmp_path / "a.csv"), "2", "4,5", "the rating is no number"],
            [str(tmp_path / "a.csv"), "3", "", "there is no user id"],
            [str(tmp_path / "a.csv"), "4", "", "2 fields where 3 were expected: 'ann,z'"],
        ]


def test_skip_bad_writes_no_file_when_nothing_is_bad(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("ann,x,4\n")

    assert prepare([tmp_path / "a.csv"], tmp_path / "store", skip_bad=True).bad_file is None
    assert not (tmp_path / "store.bad.csv").exists()


def test_skip_bad_with_nothing_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("ann,x,nan\nbob,y,inf\n")

    with pytest.raises(DataError, match=r"no row is a rating; see .*store\.bad\.csv for why"):
        prepare([tmp_path / "a.csv"], tmp_path / "store", skip_bad=True)
    assert not (tmp_path / "store").exists()


def test_bytes_that_are_no_utf_8_are_named(tmp_path: Path) -> None:
    message = refusal(tmp_path / "a.csv", b"ann,x,4\nann,caf\xe9,5\n")

    assert "1 of 2 rows" in message
    assert re.search(r"a\.csv:2: it is not UTF-8, or damaged: .*caf", message)


def test_utf_16_that_is_cut_off_or_has_no_mark_is_named(tmp_path: Path) -> None:
    text = "ann,x,4\nbob,y,3\n"

    assert "a.csv is UTF-16 text, truncated" in refusal(tmp_path / "a.csv", text.encode("utf-16")[:-1])
    assert "a.csv is no text" in refusal(tmp_path / "a.csv", text.encode("utf-16-le"))


@pytest.mark.parametrize("text", ['ann,x,4\nbob,"y,5\ncid,z,3\n', 'ann,x,4\nbob,"y,5\ncid,z"z,3\n'])
def test_a_quotation_mark_that_never_closes_hides_no_rows(tmp_path: Path, text: str) -> None:
    assert refusal(tmp_path / "a.csv", text).startswith(
        "a.csv:2: a quotation mark opens a field that does not end properly before line 4; close it"
    )


def test_a_stray_quotation_mark_is_a_bad_row(tmp_path: Path) -> None:
    message = refusal(tmp_path / "a.csv", 'ann,x,4\n"bob" b,y,5\ncid,z,3\n')

    assert "  a.csv:2: it can't be split into fields" in message


@pytest.mark.parametrize("kept", [4, 100, -1])
def test_a_truncated_parquet(tmp_path: Path, kept: int) -> None:
    with duckdb.connect() as db:
        db.execute(
            f"COPY (SELECT n AS user, n AS item, n AS rating FROM range(1000) t(n)) TO '{tmp_path / 'x'}'"
            " (FORMAT parquet)"
        )
    content = (tmp_path / "x").read_bytes()
    (tmp_path / "x").unlink()

    message = refusal(tmp_path / "a.parquet", content[:kept])

    assert message.startswith("a.parquet can't be read as Parquet; it may be truncated or damaged: ")


@pytest.mark.parametrize("kept", [12, -1, -9])
def test_a_truncated_gzip(tmp_path: Path, kept: int) -> None:
    content = gzip.compress("".join(f"{n},{n},{n % 5}\n" for n in range(20000)).encode())[:kept]

    assert "a.csv.gz is truncated or damaged" in refusal(tmp_path / "a.csv.gz", content)


@pytest.mark.parametrize("name", ["ml-1m.zip", "training_set.tar", "nf_prize_dataset.tar.gz"])
def test_an_archive_that_is_none(tmp_path: Path, name: str) -> None:
    assert name in refusal(tmp_path / name, b"PK\x03\x04 and then the line broke")


def test_a_folder_with_nothing_recognisable(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "notes.txt").write_text("nothing\n")

    with pytest.raises(DataError, match="data is a folder without ratings that are recognised"):
        prepare([tmp_path / "data"], tmp_path / "store")


def test_a_store_as_the_source(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("ann,x,4\n")
    prepare([tmp_path / "a.csv"], tmp_path / "store")

    with pytest.raises(DataError, match="store is a store already; it can be used as it is"):
        prepare([tmp_path / "store"], tmp_path / "other")


def test_columns_for_a_folder_of_its_own_format(tmp_path: Path) -> None:
    (tmp_path / "ml").mkdir()
    (tmp_path / "ml" / "u.data").write_text("1\t2\t3\t4\n")

    with pytest.raises(DataError, match=r"--columns is for tables; .*ml was taken for movielens"):
        prepare([tmp_path / "ml"], tmp_path / "store", columns="user=1")


def test_one_table_with_times_and_one_without(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("ann,x,4,7\n")
    (tmp_path / "b.csv").write_text("bob,x,4\n")

    with pytest.raises(
        DataError, match=r"a\.csv has times and .*b\.csv has none; name the column with --columns"
    ):
        prepare([tmp_path / "a.csv", tmp_path / "b.csv"], tmp_path / "store")


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ("ann,x,4,9\nann,x,5,7\n", 4.0),
        ("ann,x,4,7\nann,x,5,9\n", 5.0),
        ("ann,x,4,7\nann,x,5,7\n", 5.0),
        ("ann,x,4\nann,x,5\n", 5.0),
    ],
)
def test_of_duplicate_pairs_the_latest_stays(tmp_path: Path, rows: str, expected: float) -> None:
    (tmp_path / "a.csv").write_text(rows)

    report = prepare([tmp_path / "a.csv"], tmp_path / "store")

    assert as_dict(Ratings.load(tmp_path / "store")) == {("ann", "x"): expected}
    assert (report.read, report.ratings, report.duplicates) == (2, 1, 1)


@pytest.mark.parametrize(
    ("written", "value"),
    [("0", 0.0), ("-3", -3.0), ("3.5", 3.5), ("-0.5", -0.5), ("+2", 2.0), (" 4 ", 4.0), ("1e2", 100.0)],
)
def test_any_finite_number_is_a_rating(tmp_path: Path, written: str, value: float) -> None:
    (tmp_path / "a.csv").write_text(f"ann,x,1\nann,y,{written}\n")

    assert as_dict(open_ratings(tmp_path / "a.csv")) == {("ann", "x"): 1.0, ("ann", "y"): value}


@pytest.mark.parametrize(
    "name", ["0104257", "104257", "a b", " a", "a, b", "Amélie", "電影", "🎬", "-1", "1.0", "NULL", "#1"]
)
def test_an_id_is_verbatim(tmp_path: Path, name: str) -> None:
    (tmp_path / "a.csv").write_text(f'user,item,rating\n"{name}","{name}",1\n', encoding="utf-8")

    assert as_dict(open_ratings(tmp_path / "a.csv")) == {(name, name): 1.0}


def test_titles_that_can_not_be_read(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("ann,x,4\n")
    (tmp_path / "empty.csv").write_text("")
    (tmp_path / "short.csv").write_text("item,title\nx,Ex\ny\n")

    with pytest.raises(DataError, match=r"empty\.csv is empty; expected a table of items and their titles"):
        prepare([tmp_path / "a.csv"], tmp_path / "store", titles=tmp_path / "empty.csv")
    with pytest.raises(DataError, match=r"short\.csv:3: 1 fields where 2 were .*; expected item and title"):
        prepare([tmp_path / "a.csv"], tmp_path / "store", titles=tmp_path / "short.csv")
    with pytest.raises(DataError, match=r"none\.csv: there is no such file"):
        prepare([tmp_path / "a.csv"], tmp_path / "store", titles=tmp_path / "none.csv")
