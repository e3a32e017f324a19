"""What a person hands to a trained model."""

from dataclasses import replace
from pathlib import Path

import duckdb
import numpy as np
import pytest

from refeed.baselines.bias import BiasModel
from refeed.config import BiasConfig, Config
from refeed.errors import DataError, UnknownIdError
from refeed.inference.recommender import Recommender
from refeed.inference.tables import parse_ratings, predict_table, read_history
from refeed.model_folder import Items
from refeed.ratings.ids import Ids
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
        ("", "needs a header with the columns item and rating"),
        ("item,stars2\n1,2\n", "needs a header .* there are item, stars2"),
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
    with pytest.raises(DataError, match=r"a table is one of \.csv"):
        read_history(tmp_path / "h.doc")
    (tmp_path / "h.parquet").write_text("no Parquet at all")
    with pytest.raises(DataError, match="can't be read as a table"):
        read_history(tmp_path / "h.parquet")


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
