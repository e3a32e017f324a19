"""What a person hands to a trained model."""

import bz2
import csv
import gzip
import json
from dataclasses import replace
from pathlib import Path

import duckdb
import numpy as np
import pytest

from refeed.baselines.bias import BiasModel
from refeed.config import BiasConfig, Config
from refeed.errors import DataError, UnknownIdError
from refeed.inference.recommender import Recommender
from refeed.inference.tables import parse_ratings, predict_table, read_history, read_users
from refeed.model_items import Items
from refeed.ratings.ids import Ids
from refeed.ratings.options import ReadOptions
from refeed.ratings.store import Ratings
from refeed.trained_model import TrainedModel


def recommender(*, private: bool = False) -> Recommender:
    train = Ratings.from_arrays(
        np.array([0, 0, 1]),
        np.array([0, 1, 1]),
        np.array([5.0, 3.0, 1.0]),
        user_ids=Ids(["u1", "01"]),
        item_ids=Ids(["a", "b"]),
        titles=["Alien, the first (1979)", "Brazil (1985)"],
    )
    model = BiasModel(BiasConfig(damping=[1.0, 1.0]), 2)
    model.fit(train)
    return Recommender(
        TrainedModel(
            config=Config(model=BiasConfig()),
            model=model,
            items=Items.of(train),
            scale=train.scale,
            n_users=train.n_users,
            histories=None if private else train,
        )
    )


def test_ratings_by_hand_split_at_the_last_equals_sign() -> None:
    assert parse_ratings(["Alien (1979)=4.5", "x = y (2001)=3", " 7 =1e0"]) == {
        "Alien (1979)": 4.5,
        "x = y (2001)": 3.0,
        "7": 1.0,
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("Alien", "not of the form ITEM=VALUE"),
        ("=4", "not of the form ITEM=VALUE"),
        ("Alien=", "'' is no number"),
        ("Alien=four", "'four' is no number"),
    ],
)
def test_what_is_no_rating_by_hand_is_refused(text: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        parse_ratings([text])


def test_an_item_given_twice_is_refused() -> None:
    with pytest.raises(DataError, match="'a' is there twice"):
        parse_ratings(["a=4", "b=3", "a=4"])


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("h.csv", 'item,rating\n"Alien, the first (1979)",4.5\n007,3\n'),
        ("h.csv", 'rating;item;why\n4.5;"Alien, the first (1979)";x\n3;007;\n'),
        ("h.csv", 'movieId,rating\n"Alien, the first (1979)",4.5\n007,3\n'),
        ("h.tsv", "item\trating\nAlien, the first (1979)\t4.5\n007\t3\n"),
        ("h.jsonl", '{"item": "Alien, the first (1979)", "rating": 4.5}\n{"item": "007", "rating": 3}\n'),
    ],
)
def test_a_history_is_read_with_its_ids_verbatim(tmp_path: Path, name: str, text: str) -> None:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    assert read_history(path) == {"Alien, the first (1979)": 4.5, "007": 3.0}


def test_a_history_in_parquet_is_read(tmp_path: Path) -> None:
    path = tmp_path / "his*tory's.parquet"
    with duckdb.connect() as db:
        target = str(path).replace("'", "''")
        db.execute(f"COPY (SELECT 7 AS item, 4.5 AS rating) TO '{target}' (FORMAT parquet)")
    assert read_history(path) == {"7": 4.5}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"h\.csv is empty"),
        ("item,stars2\n1,2\n", "no column for the rating; the table has 'item', 'stars2'"),
        ("item,rating\n1,\n", "row 1 has no rating"),
        ("item,rating\n1,2\n,3\n", "row 2 has no item"),
        ("item,rating\n1,good\n", "row 1: 'good' is no number"),
        ("item,rating\n1,2\n1,3\n", "row 2: '1' is there twice"),
    ],
)
def test_what_is_no_history_is_refused(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "h.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=message):
        read_history(path)


def test_a_file_that_can_not_be_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none\.csv: there is no such file"):
        read_history(tmp_path / "none.csv")
    (tmp_path / "h.doc").write_text("x")
    with pytest.raises(DataError, match="can't tell at least 2 columns in 'x'"):
        read_history(tmp_path / "h.doc")
    (tmp_path / "h.parquet").write_text("no Parquet at all")
    with pytest.raises(DataError, match="can't be read as Parquet"):
        read_history(tmp_path / "h.parquet")


ROWS = [("#3", "a"), ("15", "'Til Dawn"), ("16", "Dancin'"), (";x", "b;c"), ('"q"', "5, 6")]


def quoted(cells: tuple[str, ...]) -> str:
    return ",".join('"' + cell.replace('"', '""') + '"' if set(cell) & set(',"') else cell for cell in cells)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("p.csv", "user,item\n" + "\n".join(map(quoted, ROWS))),
        ("p.csv", "userId;movieId;why\n" + "\n".join(";".join(f'"{c.replace(chr(34), 2 * chr(34))}"' for c in
        (*row, "x")) for row in ROWS)),
        ("p.tsv", "customer_id\tasin\n" + "\n".join("\t".join((quoted((u, "")).removesuffix(","), i)) for u,
        i in ROWS)),
        ("p.txt", "item,user\n" + "\n".join(quoted(row[::-1]) for row in ROWS)),
        ("p.csv", "\n".join(map(quoted, ROWS))),
        ("p.csv", "sep=,\nuser,item\n" + "\n".join(map(quoted, ROWS))),
        ("p.csv.gz", gzip.compress(("user,item\n" + "\n".join(map(quoted, ROWS))).encode(), mtime=0)),
        ("p.csv", bz2.compress(("user,item\n" + "\n".join(map(quoted, ROWS))).encode())),
        ("p.jsonl", "\n".join(json.dumps({"reviewerID": u, "asin": i, "ok": True}) for u, i in ROWS)),
        ("p.json", json.dumps([{"user_id": u, "item_id": i, "l": [1]} for u, i in ROWS], indent=1)),
    ],
)  # fmt: skip
def test_pairs_come_in_every_shape_and_none_is_lost(tmp_path: Path, name: str, content: str | bytes) -> None:
    (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())

    done = predict_table(recommender(), tmp_path / name, tmp_path / "out.csv")

    with (tmp_path / "out.csv").open(encoding="utf-8") as file:
        written = [(row["user"], row["item"]) for row in csv.DictReader(file)]
    assert written == ROWS
    assert done.pairs == len(ROWS)


def test_a_first_quoted_pair_may_come_late(tmp_path: Path) -> None:
    rows = "".join(f"u{n},i{n}\n" for n in range(21_000))
    (tmp_path / "p.csv").write_text(f'user,item\n{rows}"#, 3","a"\n')

    assert predict_table(recommender(), tmp_path / "p.csv", tmp_path / "out.csv").pairs == 21_001


def test_pairs_in_parts_are_one_table(tmp_path: Path) -> None:
    (tmp_path / "p").mkdir()
    for name, text in (
        ("part-0", "user,item\nu1,a\n"),
        ("part-1", ""),
        ("part-2", "user,item\n01,b\n"),
        ("_SUCCESS", ""),
    ):
        (tmp_path / "p" / name).write_text(text)

    assert predict_table(recommender(), tmp_path / "p", tmp_path / "out.csv").pairs == 2


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            b"user,item\nu1,a\n\nu1\nu1,a,b\n",
            r"2 of 3 rows can't be read:\n  .*p\.csv:4: 1 fields where 2 were",
        ),
        (b"user,item\nu1,a\nu\xe9,a\n", r"1 of 2 rows can't be read:\n  .*p\.csv:3: it is not UTF-8"),
        (b'user,item\nu1,a\n"u1" x,a\n', r"1 of 2 rows can't be read:\n  .*p\.csv:3: it can't be split"),
        (b'user,item\nu1,a\n"u1,a\n', r"p\.csv:3: a quotation mark opens a field"),
        (b"user,thing\nu1,a\n", r"no column for the item; the table has 'user', 'thing'"),
        (b"user,item_id,movie_id\nu1,a,b\n", r"2 columns could be the item"),
    ],
)
def test_pairs_that_can_not_be_read_are_named_and_nothing_is_written(
    tmp_path: Path, text: bytes, message: str
) -> None:
    (tmp_path / "p.csv").write_bytes(text)

    with pytest.raises(DataError, match=message):
        predict_table(recommender(), tmp_path / "p.csv", tmp_path / "out.csv")
    assert not (tmp_path / "out.csv").exists()


def test_columns_and_encoding_of_pairs_can_be_said(tmp_path: Path) -> None:
    (tmp_path / "p.csv").write_bytes("what,who\na,é\n".encode("cp1252"))
    options = ReadOptions(columns="user=who,item=1", encoding="auto")

    done = predict_table(recommender(), tmp_path / "p.csv", tmp_path / "out.csv", options=options)

    assert done.examples == ("row 1: user 'é'",)


@pytest.mark.parametrize(
    ("name", "content", "ids"),
    [
        ("u.csv", b"user\n15\nx;y\n#3\n'z\n", ["15", "x;y", "#3", "'z"]),
        ("u.csv", b"15\nx;y\n", ["15", "x;y"]),
        ("u.csv", b'user,n\n"a, b",1\nc,2\n', ["a, b", "c"]),
        ("u.txt", b'Smith, John\n#3\n"x\n15', ["Smith, John", "#3", '"x', "15"]),
        ("u.txt", b"user_id\n15\n16\n", ["15", "16"]),
        ("u.txt.gz", gzip.compress(b"15\r\n16\r\n", mtime=0), ["15", "16"]),
        ("u.jsonl", b'{"reviewerID": 15}\n{"reviewerID": "x"}\n', ["15", "x"]),
    ],
)
def test_lists_of_users_come_in_every_shape(
    tmp_path: Path, name: str, content: bytes, ids: list[str]
) -> None:
    (tmp_path / name).write_bytes(content)

    assert read_users(tmp_path / name) == ids


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("h.csv.gz", gzip.compress(b"item,rating\n#7,4.5\n'8,-1\n", mtime=0)),
        ("h.json", b'[{"asin": "#7", "overall": 4.5, "x": {}}, {"asin": "\'8", "overall": -1}]'),
        ("h.txt", b"#7\t4.5\n'8\t-1\n"),
        ("h.csv", b"#7,4.5\n'8,-1\n"),
    ],
)
def test_a_history_comes_in_every_shape(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)

    assert read_history(tmp_path / name) == {"#7": 4.5, "'8": -1.0}
    assert read_history(tmp_path / name, ReadOptions(missing=("-1",))) == {"#7": 4.5}


def test_a_history_of_interactions_needs_no_rating(tmp_path: Path) -> None:
    (tmp_path / "h.csv").write_text("item\na\n#b\n")

    assert read_history(tmp_path / "h.csv", ReadOptions(kind="interactions")) == {"a": 1.0, "#b": 1.0}


PAIRS = "user,item,note\nu1,b,x\n01,Brazil (1985),\nnobody,a,\n1,nothing,\nu1,,\n,a,\nu1,a,\n"


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".parquet"])
def test_every_pair_is_written_and_unknown_ones_stay_empty(tmp_path: Path, suffix: str) -> None:
    (tmp_path / "pairs.csv").write_text(PAIRS, encoding="utf-8")
    model, out = recommender(), tmp_path / f"out{suffix}"
    done = predict_table(model, tmp_path / "pairs.csv", out)
    source = f"read_parquet('{out}')" if suffix == ".parquet" else f"read_csv('{out}', all_varchar = true)"
    with duckdb.connect() as db:
        rows = db.execute(f'SELECT "user", item, prediction::DOUBLE FROM {source}').fetchall()
    assert rows == [
        ("u1", "b", pytest.approx(model.predict("u1", "b"))),
        ("01", "Brazil (1985)", pytest.approx(model.predict("01", "b"))),
        ("nobody", "a", None),
        ("1", "nothing", None),
        ("u1", None, None),
        (None, "a", None),
        ("u1", "a", pytest.approx(model.predict("u1", "a"))),
    ]
    assert (done.pairs, done.unknown_users, done.unknown_items, done.unknown) == (7, 3, 2, 4)
    assert done.examples[:2] == ("row 3: user 'nobody'", "row 4: user '1'")
    assert done.examples[-1] == "row 5: item ''"


def test_pairs_are_clipped_unless_asked(tmp_path: Path) -> None:
    (tmp_path / "pairs.csv").write_text("user,item\nu1,a\n", encoding="utf-8")
    model = recommender()
    narrow = Recommender(replace(model.trained, scale=(1.0, 2.0)))
    for clip, expected in ((True, 2.0), (False, model.predict("u1", "a", clip=False))):
        predict_table(narrow, tmp_path / "pairs.csv", tmp_path / "out.csv", clip=clip)
        assert float((tmp_path / "out.csv").read_text().split(",")[-1]) == pytest.approx(expected)
    assert model.predict("u1", "a", clip=False) > 2.0


def test_a_header_only_gives_a_header_only(tmp_path: Path) -> None:
    (tmp_path / "pairs.csv").write_text("user,item\n", encoding="utf-8")
    done = predict_table(recommender(), tmp_path / "pairs.csv", tmp_path / "out.csv")
    assert done.pairs == 0
    assert (tmp_path / "out.csv").read_text().strip() == "user,item,prediction"


def test_another_suffix_is_refused_before_anything_is_done(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"written as one of \.csv, \.tsv, \.parquet"):
        predict_table(recommender(), tmp_path / "none.csv", tmp_path / "out.xlsx")


def test_without_histories_pairs_are_refused(tmp_path: Path) -> None:
    (tmp_path / "pairs.csv").write_text("user,item\nu1,a\n", encoding="utf-8")
    with pytest.raises(UnknownIdError, match="have been removed"):
        predict_table(recommender(private=True), tmp_path / "pairs.csv", tmp_path / "out.csv")
    assert not (tmp_path / "out.csv").exists()
