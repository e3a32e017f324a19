"""Which column is which, ratings or interactions, wide, in parts: what `prepare` takes a table for."""

import csv
from collections.abc import Sequence
from pathlib import Path

import duckdb
import numpy as np
import pytest

from refeed.errors import DataError
from refeed.ratings.columns import looks_like_header
from refeed.ratings.options import ReadOptions
from refeed.ratings.read import open_ratings, prepare
from refeed.ratings.store import Ratings


def as_dict(ratings: Ratings) -> dict[tuple[str, str], float]:
    rows = zip(ratings.users.tolist(), ratings.items.tolist(), ratings.values.tolist(), strict=True)
    return {(ratings.user_ids[u], ratings.item_ids[i]): value for u, i, value in rows}


def opened(path: Path, text: str, **options: object) -> Ratings:
    path.write_text(text, encoding="utf-8")
    return open_ratings(path, ReadOptions(**options))  # type: ignore[arg-type]


def test_ids_win_over_names_and_the_report_says_so(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("user_id,movie_id,movie,rating\n1,10,Hamlet,4\n1,11,Hamlet,3\n")

    report = prepare([tmp_path / "a.csv"], tmp_path / "store")

    assert as_dict(Ratings.load(tmp_path / "store")) == {("1", "10"): 4.0, ("1", "11"): 3.0}
    assert report.duplicates == 0
    assert "the item is 'movie_id', not 'movie'; --columns item=… takes another column" in str(report)


@pytest.mark.parametrize(
    ("header", "taken", "left"),
    [
        ("username,user_id,item_id,rating", "user is 'user_id'", "'username'"),
        ("movie,rating,score,user,movieId", "rating is 'rating'", "'score'"),
        ("user,item,rating,date,timestamp", "timestamp is 'timestamp'", "'date'"),
        ("user,item,rating,title,movie", "item is 'item'", "'movie'"),
    ],
)
def test_what_else_could_have_been_meant_is_reported(
    tmp_path: Path, header: str, taken: str, left: str
) -> None:
    cells = {"date": "2005-12-31", "timestamp": "100", "rating": "4", "score": "3"}
    row = ",".join(cells.get(name, "x") for name in header.split(","))
    (tmp_path / "a.csv").write_text(f"{header}\n{row}\n")

    report = prepare([tmp_path / "a.csv"], tmp_path / "store")

    assert f"the {taken}, not {left}" in str(report)


@pytest.mark.parametrize(
    ("header", "field", "advice"),
    [
        ("user_id,movie_id,item_id,rating", "item", "item=item_id"),
        ("user_id,customer_id,item,rating", "user", "user=user_id"),
        ("user,item,item,rating", "item", "item=2"),
        ("user,item,stars,score", "rating", "rating=score"),
    ],
)
def test_two_columns_that_fit_equally_well_are_asked_about(
    tmp_path: Path, header: str, field: str, advice: str
) -> None:
    with pytest.raises(DataError, match=rf"2 columns could be the {field}: .*such as --columns {advice}$"):
        opened(tmp_path / "a.csv", f"{header}\n1,2,3,4\n")


def test_a_name_that_two_columns_have_needs_a_number(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"several columns are called 'who'; give a number, such as user=1"):
        opened(tmp_path / "a.csv", "who,who,item,rating\n1,2,3,4\n", columns="user=who")
    assert as_dict(opened(tmp_path / "b.csv", "who,who,item,rating\n1,2,3,4\n", columns="user=2")) == {
        ("2", "3"): 4.0
    }


@pytest.mark.parametrize(
    ("text", "values", "times"),
    [
        ("user,item\nann,x\nbob,y\nann,x\n", {("ann", "x"): 2.0, ("bob", "y"): 1.0}, None),
        ("ann,x\nbob,y\nann,x\n", {("ann", "x"): 2.0, ("bob", "y"): 1.0}, None),
        ("user,item,ts\nann,x,9\nann,x,7\nbob,y,5\n", {("ann", "x"): 2.0, ("bob", "y"): 1.0}, [9, 5]),
        ("ann,x,1217897793\nbob,y,1217897795\n", {("ann", "x"): 1.0, ("bob", "y"): 1.0}, [1217897793,
        1217897795]),
        ("ann,x,2005-12-31\nbob,y,2005-12-31\n", {("ann", "x"): 1.0, ("bob", "y"): 1.0}, [1135987200] * 2),
        ("user,item,plays\nann,x,30\nbob,y,4\nann,x,0.5\n", {("ann", "x"): 30.5, ("bob", "y"): 4.0}, None),
        ("userID\tartistID\tweight\nann\tx\t3\n", {("ann", "x"): 3.0}, None),
        ("timestamp,visitorid,event,itemid,transactionid\n5,ann,view,x,\n7,bob,view,y,\n",
         {("ann", "x"): 1.0, ("bob", "y"): 1.0}, [5, 7]),
        (",user,item\n0,ann,x\n1,bob,y\n", {("ann", "x"): 1.0, ("bob", "y"): 1.0}, None),
        ('{"user": "ann", "item": "x"}\n{"user": "ann", "item": "x"}\n', {("ann", "x"): 2.0}, None),
        ("user,item,rating\nann,x,5\nbob,y,5\nann,x,5\n", {("ann", "x"): 2.0, ("bob", "y"): 1.0}, None),
    ],
)  # fmt: skip
def test_a_table_without_ratings_holds_interactions(
    tmp_path: Path, text: str, values: dict[tuple[str, str], float], times: list[int] | None
) -> None:
    name = "a.jsonl" if text.startswith("{") else "a.csv"
    ratings = opened(tmp_path / name, text)

    assert ratings.kind == "interactions"
    assert as_dict(ratings) == values
    assert (None if ratings.times is None else ratings.times.tolist()) == times


def test_interactions_of_parquet_are_those_of_text(tmp_path: Path) -> None:
    text = "user,item,time,plays\nann,x,5,2\nann,x,9,1\nbob,y,7,3\n"
    (tmp_path / "a.csv").write_text(text)
    with duckdb.connect() as db:
        db.execute(f"COPY (FROM '{tmp_path / 'a.csv'}') TO '{tmp_path / 'a.parquet'}'")

    for columns in (None, "rating=none", "rating=plays", "count=4"):
        text_, parquet = (
            open_ratings(tmp_path / f"a.{name}", ReadOptions(columns=columns)) for name in ("csv", "parquet")
        )
        assert (text_.kind, as_dict(text_)) == (parquet.kind, as_dict(parquet))
        assert np.asarray(text_.times).tolist() == np.asarray(parquet.times).tolist() == [9, 7]


def test_the_report_of_interactions_accounts_for_every_row(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("user,item\na,x\na,x\na,x\n,y\nb,y\n")

    report = prepare([tmp_path / "a.csv"], tmp_path / "store", skip_bad=True)

    assert (report.read, report.ratings, report.duplicates, report.bad) == (5, 2, 2, 1)
    lines = str(report).splitlines()
    assert lines[1] == "  interactions 2, 50 % of 2 users × 2 items"
    assert "  values     1 to 3" in lines
    assert "  repeated   2 rows; the values of each user and item are added up" in lines
    assert any("there is no column of ratings, so each row is an interaction" in line for line in lines)


def test_an_interaction_of_before_has_the_time_of_the_latest(tmp_path: Path) -> None:
    ratings = opened(
        tmp_path / "a.csv", "user,item,count,time\na,x,1,9\na,x,2,3\na,x,4,\n", columns="timestamp=none"
    )
    assert as_dict(ratings) == {("a", "x"): 7.0}
    timed = opened(tmp_path / "b.csv", "user,item,count,time\na,x,1,9\na,x,2,3\n")
    assert (as_dict(timed), np.asarray(timed.times).tolist()) == ({("a", "x"): 3.0}, [9])


@pytest.mark.parametrize("count", ["0", "-1", "many", ""])
def test_a_count_is_positive(tmp_path: Path, count: str) -> None:
    cause = {"many": "the count is no number: 'many'", "": "there is no count"}.get(
        count, f"the count is not positive: '{count}'"
    )
    with pytest.raises(DataError, match=rf"a\.csv:3: {cause}"):
        opened(tmp_path / "a.csv", f"user,item,count\na,x,1\nb,y,{count}\n")


def test_a_column_of_numbers_that_could_be_the_rating_is_asked_about(tmp_path: Path) -> None:
    text = "user,item,opinion,note\na,x,4,good\nb,y,2,bad\n"

    with pytest.raises(
        DataError, match=r"no column for the rating; .*such as rating=opinion or count=opinion"
    ):
        opened(tmp_path / "a.csv", text)
    assert opened(tmp_path / "a.csv", text, columns="rating=none").kind == "interactions"
    assert as_dict(opened(tmp_path / "a.csv", text, columns="rating=opinion")) == {
        ("a", "x"): 4.0,
        ("b", "y"): 2.0,
    }


def test_what_the_user_says_of_the_kind_decides(tmp_path: Path) -> None:
    equal = "user,item,rating\na,x,5\nb,y,5\n"

    assert opened(tmp_path / "a.csv", equal).kind == "interactions"
    assert as_dict(opened(tmp_path / "a.csv", equal, columns="rating=rating")) == {
        ("a", "x"): 5.0,
        ("b", "y"): 5.0,
    }
    assert as_dict(opened(tmp_path / "a.csv", equal, kind="ratings")) == {("a", "x"): 5.0, ("b", "y"): 5.0}
    assert (
        opened(tmp_path / "a.csv", "user,item,rating\na,x,5\nb,y,4\n", kind="interactions").kind
        == "interactions"
    )
    assert as_dict(opened(tmp_path / "a.csv", "1,2,3,4\n5,6,7,8\n", columns="rating=none")) == {
        ("1", "2"): 1.0,
        ("5", "6"): 1.0,
    }
    assert as_dict(opened(tmp_path / "a.csv", "user,item,rating\na,x,5\n")) == {
        ("a", "x"): 5.0
    }  # one says nothing
    with pytest.raises(DataError, match="a table has ratings or counts"):
        ReadOptions(columns="rating=a,count=b")


def test_tables_of_two_kinds_are_not_one(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("user,item,rating\na,x,4\nb,x,3\n")
    (tmp_path / "b.csv").write_text("user,item\na,x\n")

    with pytest.raises(DataError, match=r"b\.csv has no column of ratings, and .*a\.csv has ratings"):
        prepare([tmp_path / "a.csv", tmp_path / "b.csv"], tmp_path / "store")


@pytest.mark.parametrize("code", ["-1", "-1.0", "NA", "", "nan"])
def test_codes_for_not_rated_are_left_out_and_counted(tmp_path: Path, code: str) -> None:
    cell = {"-1.0": "-1"}.get(code, code)
    rows = f"user,item,rating\na,x,4\na,y,{cell}\nb,x,{cell} \nb,y,0\n"
    (tmp_path / "a.csv").write_text(rows)

    report = prepare([tmp_path / "a.csv"], tmp_path / "store", missing=[code])

    assert as_dict(Ratings.load(tmp_path / "store")) == {("a", "x"): 4.0, ("b", "y"): 0.0}
    assert (report.read, report.ratings, report.missing, report.bad) == (4, 2, 2, 0)
    assert "  not rated  2 left out" in str(report).splitlines()


def test_codes_for_not_rated_are_no_bad_rows_beside_others(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("user,item,rating\na,x,4\na,y,-1\n\nb,x,bad\nb,y,99\n")

    report = prepare([tmp_path / "a.csv"], tmp_path / "store", missing=["-1", "99"], skip_bad=True)

    assert (report.read, report.ratings, report.missing, report.bad) == (5 - 1 + 0, 1, 2, 1)
    assert report.bad_file is not None
    with report.bad_file.open() as file:
        assert [row["line"] for row in csv.DictReader(file)] == ["5"]


def test_numbers_of_parquet_may_be_codes(tmp_path: Path) -> None:
    with duckdb.connect() as db:
        rows = """FROM (VALUES (1, 1, 4.0), (1, 2, -1), (2, 1, NULL)) t("user", item, rating)"""
        db.execute(f"COPY ({rows}) TO '{tmp_path / 'a.parquet'}'")

    report = prepare([tmp_path / "a.parquet"], tmp_path / "store", missing=["-1", ""])

    assert (report.read, report.ratings, report.missing) == (3, 1, 2)


def test_nothing_but_codes_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("a,x,99\nb,x,99\n")
    with pytest.raises(DataError, match="no row is a rating; --missing leaves all of them out"):
        prepare([tmp_path / "a.csv"], tmp_path / "store", missing=["99"])


def notes(path: Path, values: Sequence[float]) -> str:
    path.write_text(
        "user,item,rating\n" + "".join(f"u{n},i{n % 7},{value}\n" for n, value in enumerate(values))
    )
    return " ".join(prepare([path], path.with_suffix(".store")).notes)


def test_a_value_at_the_end_of_the_scale_that_looks_like_a_code_is_hinted_at(tmp_path: Path) -> None:
    stars = [n % 10 + 1 for n in range(400)]

    anime = notes(tmp_path / "anime.csv", stars + [-1] * 90)
    books = notes(tmp_path / "books.csv", stars + [0] * 600)
    jokes = notes(tmp_path / "jokes.csv", [(n * 7919) % 2000 / 100 - 10 for n in range(500)] + [99] * 300)

    assert '90 ratings (18%) are -1, below all others; if that means "not rated"' in anime
    assert "leave them out with --missing -1" in anime
    assert "600 ratings (60%) are 0" in books
    assert "300 ratings (38%) are 99, above all others" in jokes
    assert "--missing 99" in jokes


@pytest.mark.parametrize(
    "values",
    [
        [1, 2, 3, 4, 5] * 40 + [5] * 400,
        [0, 1] * 200,
        [0.5 * n for n in range(1, 11)] * 20,
        [n % 11 for n in range(330)],
        [-1, 1, 2, 3] * 3,
    ],
)
def test_usual_scales_are_not_hinted_at(tmp_path: Path, values: list[float]) -> None:
    assert notes(tmp_path / "a.csv", values) == ""


WIDE = {("ann", "A"): 1.0, ("ann", "C"): 3.0, ("bob", "B"): 2.0, ("bob", "C"): -5.0}


@pytest.mark.parametrize("corner", ["", "user", "Person", "userId"])
@pytest.mark.parametrize("blank", ["", " "])
def test_a_spreadsheet_of_users_and_items_is_read(tmp_path: Path, corner: str, blank: str) -> None:
    text = f"{corner};A;B;C\nann;1;{blank};3\nbob;;2;-5\n"

    assert as_dict(opened(tmp_path / "a.csv", text, wide=True)) == WIDE


def test_a_wide_table_without_header_starts_with_counts_users_or_ratings(tmp_path: Path) -> None:
    jester = opened(tmp_path / "a.csv", "2,1.5,99,3\n3,4,2,-5\n1,99,99,2\n", wide=True, missing=("99",))
    users = opened(tmp_path / "b.csv", "101,1.5,,3\n102,4,2,-5\n", wide=True)
    bare = opened(tmp_path / "c.csv", "1.5,,3\n4,2,-5\n", wide=True)
    said = opened(tmp_path / "d.csv", "1.5,7,3\n4,8,-5\n", wide=True, columns="user=2")

    row = {"1": 1.5, "3": 3.0}
    assert as_dict(jester) == {("1", i): v for i, v in row.items()} | {
        ("2", "1"): 4.0, ("2", "2"): 2.0, ("2", "3"): -5.0, ("3", "3"): 2.0}  # fmt: skip
    other = {"1": 4.0, "2": 2.0, "3": -5.0}
    for ratings, (one, two) in ((users, ("101", "102")), (bare, ("1", "2"))):
        expected = {(one, i): v for i, v in row.items()} | {(two, i): v for i, v in other.items()}
        assert as_dict(ratings) == expected
    assert as_dict(said) == {("7", "1"): 1.5, ("7", "2"): 3.0, ("8", "1"): 4.0, ("8", "2"): -5.0}


def test_a_wide_parquet_is_read(tmp_path: Path) -> None:
    with duckdb.connect() as db:
        rows = 'FROM (VALUES (\'ann\', 1, NULL, 3.0::DOUBLE), (\'bob\', NULL, 2, -5)) t(who, "A", "B", "C")'
        db.execute(f"COPY ({rows}) TO '{tmp_path / 'a.parquet'}'")

    assert as_dict(open_ratings(tmp_path / "a.parquet", ReadOptions(wide=True))) == WIDE


def test_bad_cells_of_a_wide_table_are_named(tmp_path: Path) -> None:
    text = ",A,B,C\nann,1,,3\n\nbob,,bad,-5\n,1,,\ncid,1\n"
    with pytest.raises(DataError) as caught:
        opened(tmp_path / "a.csv", text, wide=True)

    assert str(caught.value).replace(f"{tmp_path}/", "").splitlines()[:4] == [
        "3 of 6 rows can't be read as ratings:",
        "  a.csv:4: the rating is no number: 'bad'",
        "  a.csv:5: there is no user id",
        "  a.csv:6: 2 fields where 4 were expected: 'cid,1'",
    ]


@pytest.mark.parametrize(
    ("header", "message"), [(",A,A", "columns 2 and 3 are both called 'A'"), (",A, ", "no name")]
)
def test_items_of_a_wide_table_have_a_name_each(tmp_path: Path, header: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        opened(tmp_path / "a.csv", f"{header}\nann,1,2\n", wide=True)


def parts(folder: Path, files: dict[str, str]) -> Path:
    folder.mkdir()
    for name, text in files.items():
        (folder / name).write_text(text)
    return folder


SPARK = {
    "_SUCCESS": "",
    ".part-00000-c0.csv.crc": "crc",
    "part-00000-c0.csv": "user,item,rating\nann,x,4\n",
    "part-00001-c0.csv": "",
    "part-00002-c0.csv": "user,item,rating\n",
    "part-00003-c0.csv": 'user,item,rating\nbob,"y \\"z\\"",3\nann,x,5\n',
}


def test_a_folder_of_parts_is_one_table(tmp_path: Path) -> None:
    report = prepare([parts(tmp_path / "spark", SPARK)], tmp_path / "store")

    assert as_dict(Ratings.load(tmp_path / "store")) == {("ann", "x"): 5.0, ("bob", 'y "z"'): 3.0}
    assert (report.read, report.duplicates) == (3, 1)
    assert "2 of 4 files are empty" in report.notes


def test_parts_of_parquet_are_one_table(tmp_path: Path) -> None:
    folder = parts(tmp_path / "spark", {"_SUCCESS": "", "_metadata": "x"})
    with duckdb.connect() as db:
        for number, rows in enumerate(("(1, 2, 3.0), (1, 3, 4)", "(1, 2, 5.0)")):
            values = f"""FROM (VALUES {rows}) t("user", item, rating)"""
            empty = " WHERE false" if number == 2 else ""
            db.execute(f"COPY ({values}{empty}) TO '{folder}/part-0000{number}-c0.snappy.parquet'")
        none = """SELECT 1 AS "user", 1 AS item, 1.5 AS rating WHERE false"""
        db.execute(f"COPY ({none}) TO '{folder}/part-00002-c0.snappy.parquet'")

    assert as_dict(open_ratings(folder)) == {("1", "2"): 5.0, ("1", "3"): 4.0}


def test_parts_that_are_all_empty_are_refused(tmp_path: Path) -> None:
    folder = parts(tmp_path / "spark", {"part-00000": "", "part-00001": "user,item,rating\n"})
    with pytest.raises(DataError, match="all 2 files are empty; expected ratings"):
        open_ratings(folder)
    with pytest.raises(DataError, match="with no part in it"):
        open_ratings(parts(tmp_path / "none", {"_SUCCESS": ""}))


def test_a_pattern_stands_for_the_files_that_match(tmp_path: Path) -> None:
    parts(
        tmp_path / "d",
        {"a.csv": "ann,x,4\n", "b.csv": "bob,y,3\n", "c.txt": "cid,z,2\n", "[d].csv": "dan,w,1\n"},
    )

    assert as_dict(open_ratings(tmp_path / "d" / "[ab].csv")) == {("ann", "x"): 4.0, ("bob", "y"): 3.0}
    assert as_dict(open_ratings(tmp_path / "d" / "[d].csv")) == {("dan", "w"): 1.0}  # a file that is there
    with pytest.raises(DataError, match=r"\*\.tsv: no file matches this pattern"):
        open_ratings(tmp_path / "d" / "*.tsv")


def test_bad_rows_of_parts_are_named_by_their_file(tmp_path: Path) -> None:
    folder = parts(tmp_path / "d", {"part-0": "ann,x,4\n", "part-1": "bob,y,3\n\ncid,z,bad\n"})
    with pytest.raises(DataError, match=r"1 of 3 rows .*\n\s+\S*/d/part-1:3: the rating is no number: 'bad'"):
        open_ratings(folder)


@pytest.mark.parametrize(
    ("rows", "header"),
    [
        ([["ann", "x", "4"]], False),
        ([["who", "what", "stars"]], True),
        ([["user", "item"], ["a", "x"]], True),
        ([["a", "x"], ["b", "y"]], False),
        ([["who", "what"], ["1", "2"]], True),
        ([["a", "x", "2005-12-31"]], False),
        ([["a", "x", "2005-12-31 00:00:01"]], False),
    ],
)
def test_a_header_is_told_from_a_row(rows: list[list[str]], header: bool) -> None:
    assert looks_like_header(rows, {}) is header


TITLES = "movieId,title,year,genre,price,isbn\nx,Ex,1999,Drama,2.5,007\ny,Why,,Comedy,3,010\n"


def test_further_columns_of_titles_become_attributes(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("ann,x,1\nann,y,2\nann,z,3\n")
    (tmp_path / "titles.csv").write_text(TITLES)

    prepare([tmp_path / "a.csv"], tmp_path / "store", titles=tmp_path / "titles.csv")

    loaded = Ratings.load(tmp_path / "store")
    assert loaded.titles == ("Ex", "Why", "")
    assert dict(loaded.attributes) == {
        "year": (1999.0, None, None),
        "genre": ("Drama", "Comedy", None),
        "price": (2.5, 3.0, None),
        "isbn": ("007", "010", None),
    }


def test_attributes_of_json_may_be_lists(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("ann,x,1\nann,y,2\n")
    (tmp_path / "t.json").write_text(
        '[{"id": "x", "name": "Ex", "genres": ["A", "B"], "on": true}, {"id": "y", "name": "Why"}]'
    )

    prepare([tmp_path / "a.csv"], tmp_path / "store", titles=tmp_path / "t.json")

    loaded = Ratings.load(tmp_path / "store")
    assert loaded.titles == ("Ex", "Why")
    assert loaded.attributes["genres"] == ("A|B", None)
    assert loaded.attributes["on"] == ("true", None)


def test_titles_may_be_escaped_encoded_and_packed(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("ann,x,1\nann,y,2\n")
    text = '"ISBN";"Book-Title";"Publisher"\n"x";"The \\"Best\\"";"A & B"\n"y";"Caf\xe9";"C"\n'
    (tmp_path / "books.csv").write_bytes(text.encode("latin-1"))

    prepare([tmp_path / "a.csv"], tmp_path / "store", titles=tmp_path / "books.csv")

    loaded = Ratings.load(tmp_path / "store")
    assert loaded.titles == ('The "Best"', "Café")
    assert dict(loaded.attributes) == {"Publisher": ("A & B", "C")}
