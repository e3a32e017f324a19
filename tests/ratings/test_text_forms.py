"""Delimited text and JSON as other programs write them: escapes, encodings, headers, arrays."""

import json
from pathlib import Path

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from refeed.errors import DataError
from refeed.ratings.options import ReadOptions
from refeed.ratings.read import open_ratings, prepare
from refeed.ratings.store import Ratings

Rated = dict[tuple[str, str], float]


def as_dict(ratings: Ratings) -> Rated:
    rows = zip(ratings.users.tolist(), ratings.items.tolist(), ratings.values.tolist(), strict=True)
    return {(ratings.user_ids[u], ratings.item_ids[i]): value for u, i, value in rows}


def rated(path: Path, text: str | bytes, **options: object) -> Rated:
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return as_dict(open_ratings(path, ReadOptions(**options)))  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["#3", ";x", "'Til Dawn", "Dancin'", "%", "--", '5" disc', "a#b", "\\N"])
def test_ids_may_hold_what_other_readers_take_for_comments_or_quotes(tmp_path: Path, name: str) -> None:
    cell = '"' + name.replace('"', '""') + '"' if '"' in name else name
    text = f"user,item,rating\n15,A,4\n{cell},{cell},1\n16,B,2\n"

    assert rated(tmp_path / "a.csv", text) == {("15", "A"): 4.0, (name, name): 1.0, ("16", "B"): 2.0}


@pytest.mark.parametrize("late", ['"a, b"', '"a ""b"""', '"a \\"b\\""'])
def test_the_first_quoted_field_may_come_late(tmp_path: Path, late: str) -> None:
    rows = [f"u{n},i{n % 9},{n % 5}\n" for n in range(25_000)]
    found = rated(tmp_path / "a.csv", "user,item,rating\n" + "".join(rows) + f"ann,{late},5\n")

    assert len(found) == 25_001
    assert [item for user, item in found if user == "ann"] in (["a, b"], ['a "b"'])


def test_quotation_marks_escaped_by_backslashes_are_read(tmp_path: Path) -> None:
    text = (
        '"User-ID";"ISBN";"Book-Rating";"Book-Title"\n"1";"x";"4";"The \\"Best\\" of; it"\n'
        '"2";"y \\"z\\"";"3";"\\"";\n"3";"w";"2";"C:\\dir"\n'
    )

    assert rated(tmp_path / "a.csv", text) == {("1", "x"): 4.0, ("2", 'y "z"'): 3.0, ("3", "w"): 2.0}
    report = prepare([tmp_path / "a.csv"], tmp_path / "store")
    assert report.format == "';'-separated, with header, quotation marks escaped by backslashes"


def test_a_backslash_before_a_closing_quotation_mark_is_a_letter_where_that_fits(tmp_path: Path) -> None:
    assert rated(tmp_path / "a.csv", 'user,item,rating\nann,"C:\\",4\nbob,"x",2\n') == {
        ("ann", "C:\\"): 4.0,
        ("bob", "x"): 2.0,
    }


def test_bad_rows_of_an_escaped_table_keep_their_lines(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text('user,item,rating\nann,"a \\"b\\"\nc",4\n\nbob,"x",bad\n')

    with pytest.raises(DataError, match=r"1 of 2 rows .*\n .*a\.csv:5: the rating is no number: 'bad'"):
        open_ratings(tmp_path / "a.csv")


ID = st.text(st.sampled_from('ab"\\,; é'), min_size=1, max_size=5).filter(lambda text: text.strip() != "")


@settings(max_examples=15, deadline=None)
@given(pairs=st.lists(st.tuples(ID, ID), min_size=1, max_size=8, unique=True))
def test_what_spark_writes_comes_back(
    tmp_path_factory: pytest.TempPathFactory, pairs: list[tuple[str, str]]
) -> None:
    folder = tmp_path_factory.mktemp("spark")
    # Of a field with backslashes before a quotation mark or its end Spark's form is not the only reading.
    pairs = [(user.replace("\\", "/"), item.replace("\\", "/")) for user, item in pairs]
    rows = [
        f'"{u}","{i}",{n}'
        for n, (u, i) in enumerate((u.replace('"', '\\"'), i.replace('"', '\\"')) for u, i in pairs)
    ]

    found = rated(folder / "a.csv", "user,item,rating\n" + "\n".join(rows) + "\n", kind="ratings")

    assert found == {pair: float(n) for n, pair in enumerate(pairs)}


@pytest.mark.parametrize("first", ["sep=;", '"sep=;"', "SEP=;"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_first_line_may_say_the_delimiter(tmp_path: Path, first: str, end: str) -> None:
    rows = [first, "user;item;rating", "ann;x,1;4", "bob;y,2;3"]

    assert rated(tmp_path / "a.csv", end.join(rows)) == {("ann", "x,1"): 4.0, ("bob", "y,2"): 3.0}
    with pytest.raises(DataError, match=r"a\.csv:5: the rating is no number: 'bad'"):
        rated(tmp_path / "a.csv", end.join([*rows, "cid;z;bad"]))


def test_recbole_names_its_columns_with_types(tmp_path: Path) -> None:
    header = "user_id:token\titem_id:token\trating:float\ttimestamp:float\n"

    assert rated(tmp_path / "ml.inter", header + "1\t2\t3\t881250949\n2\t2\t4.5\t881250949\n") == {
        ("1", "2"): 3.0,
        ("2", "2"): 4.5,
    }


@pytest.mark.parametrize(
    ("encoding", "written"),
    [
        ("latin-1", "latin-1"),
        ("cp1252", "cp1252"),
        ("auto", "utf-8"),
        ("auto", "latin-1"),
        ("auto", "cp1252"),
        ("latin-1", "utf-8-sig"),
        ("utf-8", "utf-16"),
        ("auto", "utf-16"),
    ],
)
def test_encodings_are_read(tmp_path: Path, encoding: str, written: str) -> None:
    item = "caf\u00e9" + "\u20ac" * (written != "latin-1")
    text = f"user,item,rating\nann,{item},4\nbob,y,3\n".encode(written)

    assert rated(tmp_path / "a.csv", text, encoding=encoding) == {("ann", item): 4.0, ("bob", "y"): 3.0}


def test_auto_tells_the_encoding_of_each_field(tmp_path: Path) -> None:
    text = b"user,item,rating\n" + "é,".encode() + "ü,4\n".encode("cp1252") + b"bob,\x81,3\n"

    assert rated(tmp_path / "a.csv", text, encoding="auto") == {("é", "ü"): 4.0, ("bob", "\x81"): 3.0}


def test_bytes_that_cp1252_does_not_know_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"a\.csv:3: it is not UTF-8, or damaged"):
        rated(tmp_path / "a.csv", b"user,item,rating\nann,\xe9,4\nbob,\x81,3\n", encoding="cp1252")


UNUSED = [
    '"verified": true',
    '"votes": [1, 2]',
    '"style": {"size": "M"}',
    '"text": "' + "long " * 100_000 + '"',
    '"none": null',
]


@pytest.mark.parametrize("unused", UNUSED)
@pytest.mark.parametrize("name", ["a.jsonl", "a.json", "a"])
def test_what_a_json_object_holds_besides_is_not_looked_at(tmp_path: Path, unused: str, name: str) -> None:
    text = f'{{"user": "a", "item": "x", "rating": 4, {unused}}}\n{{"user": "b", "item": "x", "rating": 3}}\n'

    assert rated(tmp_path / name, text) == {("a", "x"): 4.0, ("b", "x"): 3.0}


def test_a_long_text_in_a_column_that_is_not_used_refuses_no_row(tmp_path: Path) -> None:
    text = f'user,item,rating,text\nann,x,4,"{"long " * 500_000}"\nbob,y,bad,z\n'
    (tmp_path / "a.csv").write_text(text)

    report = prepare([tmp_path / "a.csv"], tmp_path / "store", skip_bad=True)

    assert (report.ratings, report.bad) == (1, 1)


def test_a_column_that_is_not_used_may_be_in_any_encoding(tmp_path: Path) -> None:
    good = "user,item,title,rating\nann,x,café,4\nbob,y,ü,3\n".encode("latin-1")
    (tmp_path / "a.csv").write_bytes(good + b"cid,z,\xe9,bad\n")

    report = prepare([tmp_path / "a.csv"], tmp_path / "store", skip_bad=True)

    assert rated(tmp_path / "b.csv", good) == as_dict(Ratings.load(tmp_path / "store"))
    assert (report.ratings, report.bad) == (2, 1)


def test_types_of_parquet_columns_that_are_not_used_do_not_matter(tmp_path: Path) -> None:
    place = tmp_path / "a.parquet"
    with duckdb.connect() as db:
        db.execute(f"""COPY (SELECT 15.0::DOUBLE AS user_id, 'x'::BLOB AS item, 4 AS rating, true AS verified,
            [1, 2] AS votes, {{'a': 1}} AS style) TO '{place}'""")

    assert as_dict(open_ratings(place)) == {("15", "x"): 4.0}


AMAZON = {"reviewerID": "A1", "asin": "007", "overall": 4.5, "unixReviewTime": 1217897793, "helpful": [0, 1]}


@pytest.mark.parametrize("indent", [None, 1])
def test_json_is_read_as_lines_or_as_an_array_of_objects(tmp_path: Path, indent: int | None) -> None:
    rows = [AMAZON, {**AMAZON, "reviewerID": "B2", "overall": 1}]
    for name, text in (
        ("lines.json", "\n".join(map(json.dumps, rows))),
        ("array.json", json.dumps(rows, indent=indent)),
        ("objects.json", "\n".join(json.dumps(row, indent=2) for row in rows)),
        ("spaced.json", "\n [\n" + ",\n".join(map(json.dumps, rows)) + "\n]\n"),
    ):
        assert rated(tmp_path / name, text) == {("A1", "007"): 4.5, ("B2", "007"): 1.0}, name


def test_bad_objects_of_an_array_are_named_by_their_line(tmp_path: Path) -> None:
    text = '[\n{"user": 1, "item": 2, "rating": 4},\n\n{"user": 1, "item": 3,\n "rating": "bad"}, 5]\n'
    (tmp_path / "a.json").write_text(text)

    with pytest.raises(DataError) as caught:
        open_ratings(tmp_path / "a.json")

    lines = str(caught.value).replace(f"{tmp_path}/", "").splitlines()
    assert lines[:3] == [
        "2 of 3 rows can't be read as ratings:",
        "  a.json:4: the rating is no number: 'bad'",
        "  a.json:5: it is no JSON object: '\"5\"'",
    ]


@pytest.mark.parametrize("cut", [10, 45, 60, -2])
def test_an_array_that_is_cut_off_is_refused(tmp_path: Path, cut: int) -> None:
    text = '[{"user": 1, "item": 2, "rating": 4},\n{"user": 1, "item": 3, "rating": 5}]'
    (tmp_path / "a.json").write_text(text[:cut])

    with pytest.raises(DataError, match=r"a\.json(:[12]: it|: expected a JSON object)"):
        open_ratings(tmp_path / "a.json")


@settings(max_examples=10, deadline=None)
@given(
    rows=st.lists(
        st.fixed_dictionaries(
            {"user": st.text('ab\u00e9"]},', min_size=1), "item": st.integers(), "rating": st.floats(-9, 9)}
        ),
        min_size=1,
        max_size=6,
        unique_by=lambda row: (row["user"], row["item"]),
    ),
    chunk=st.integers(1, 9),
)
def test_an_array_is_the_same_wherever_its_chunks_end(
    tmp_path_factory: pytest.TempPathFactory, rows: list[dict[str, object]], chunk: int
) -> None:
    from refeed.ratings import json_text  # noqa: PLC0415

    folder = tmp_path_factory.mktemp("json")
    lines = rated(folder / "a.jsonl", "\n".join(map(json.dumps, rows)), kind="ratings")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_text, "_CHUNK", chunk)
        assert rated(folder / "a.json", json.dumps(rows, indent=1), kind="ratings") == lines
