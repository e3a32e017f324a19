"""The API in memory: every line of the promised block, with frames of pandas and polars; nothing on disk."""

import logging
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest

import refeed
from refeed.errors import ConfigError, DataError, ModelError, UnknownIdError

SETTINGS: dict[str, Any] = {
    "train.steps": 4,
    "model.width": 4,
    "model.prior_users": 100.0,
    "model.prior_vectors": 200.0,
}


def table(users: int = 40, items: int = 25) -> pd.DataFrame:
    """Ratings of whole stars, with days; users and items are whole numbers."""
    rng = np.random.default_rng(0)
    rows, columns = np.nonzero(rng.random((users, items)) < 0.5)
    stars = np.clip(np.round(3 + rng.normal(size=users)[rows] + rng.normal(size=items)[columns]), 1, 5)
    days = 1_000_000_000 + 86_400 * rng.permutation(len(rows))
    return pd.DataFrame({"u": rows, "i": columns, "r": stars, "t": days})


def ratings() -> refeed.Ratings:
    return refeed.Ratings.from_frame(
        table(), user="u", item="i", rating="r", timestamp="t", titles={"3": "Alien (1979)"}
    )


@pytest.fixture(scope="module")
def split() -> refeed.Split:
    return refeed.split(ratings(), last=0.2)


@pytest.fixture(scope="module")
def model(split: refeed.Split) -> refeed.Recommender:
    return refeed.fit(split.train, split.valid, **SETTINGS)


def test_a_file_is_read_without_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table().rename(columns={"u": "user", "i": "item", "r": "rating", "t": "timestamp"}).to_csv(
        tmp_path / "ratings.csv", index=False
    )
    monkeypatch.chdir(tmp_path)
    read = refeed.read("ratings.csv")
    np.testing.assert_array_equal(read.values, ratings().values)
    assert [path.name for path in tmp_path.iterdir()] == ["ratings.csv"]


def test_a_store_is_opened_by_a_path_of_text(tmp_path: Path) -> None:
    ratings().save(tmp_path / "store")
    assert len(refeed.open(str(tmp_path / "store"))) == len(ratings())


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_frames_give_the_same_ratings(library: str) -> None:
    frame: Any = table() if library == "pandas" else pl.from_pandas(table())
    made = refeed.Ratings.from_frame(frame, user="u", item="i", rating="r", timestamp="t")
    np.testing.assert_array_equal(made.values, ratings().values)
    assert made.user_ids == ratings().user_ids


def test_a_split_unpacks_into_three() -> None:
    train, valid, test = refeed.split(ratings(), random=0.2, seed=3)
    assert len(train) + len(valid) + len(test) <= len(ratings())
    assert len(train) > len(valid) > 0


def test_two_ways_to_split_exclude_each_other() -> None:
    with pytest.raises(ConfigError, match="last and random exclude each other"):
        refeed.split(ratings(), last=0.2, random=0.1)
    with pytest.raises(ConfigError, match="train_from and test_to go with at"):
        refeed.split(ratings(), last=0.2, train_from="2001-01-01")


def test_nothing_is_written_unless_out_or_save_asks_for_it(
    split: refeed.Split, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    model = refeed.fit(split.train, split.valid, **SETTINGS)
    model.evaluate(split.test)
    model.recommend("3")
    assert list(tmp_path.iterdir()) == []


def test_the_same_seed_gives_the_same_bits_through_the_command_line(
    split: refeed.Split, model: refeed.Recommender, tmp_path: Path
) -> None:
    split.train.save(tmp_path / "train")
    split.valid.save(tmp_path / "valid")
    words = [f"{key}={value}" for key, value in SETTINGS.items()]
    settings = [part for word in words for part in ("--set", word)]
    command = [
        sys.executable,
        "-m",
        "refeed",
        "train",
        "train",
        "--valid",
        "valid",
        "--out",
        "run",
        *settings,
    ]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    model.save(tmp_path / "saved")
    refeed.fit(split.train, split.valid, out=tmp_path / "out", **SETTINGS)
    bits = (tmp_path / "run" / "model.safetensors").read_bytes()
    assert (tmp_path / "saved" / "model.safetensors").read_bytes() == bits
    assert (tmp_path / "out" / "model.safetensors").read_bytes() == bits


def test_saved_and_loaded_models_predict_the_same(
    model: refeed.Recommender, split: refeed.Split, tmp_path: Path
) -> None:
    model.save(str(tmp_path / "run"))
    loaded = refeed.load(str(tmp_path / "run"))
    np.testing.assert_array_equal(loaded.predict("3"), model.predict("3"))
    assert loaded.evaluate(split.test).as_dict() == model.evaluate(split.test).as_dict()
    with pytest.raises(ModelError, match="exists already"):
        model.save(tmp_path / "run")


def test_evaluating_gives_what_the_command_line_prints(
    model: refeed.Recommender, split: refeed.Split, tmp_path: Path
) -> None:
    errors = model.evaluate(split.test)
    assert errors.rmse.value == errors.as_dict()["rmse"]["value"]
    model.save(tmp_path / "run")
    split.test.save(tmp_path / "test")
    command = [sys.executable, "-m", "refeed", "evaluate", "run", "test"]
    printed = subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, text=True)
    assert printed.stdout.strip() == str(errors)


@pytest.mark.parametrize("library", ["pandas", "polars", "tuples"])
def test_pairs_go_in_as_a_frame_and_come_out_as_one(model: refeed.Recommender, library: str) -> None:
    pairs: Any = {
        "pandas": pd.DataFrame({"user": [3, 5], "item": [2, 3]}),
        "polars": pl.DataFrame({"user": ["3", "5"], "item": ["2", "3"]}),
        "tuples": [(3, "2"), ("5", "Alien (1979)")],
    }[library]
    made = model.predict(pairs)
    assert made.columns == ("user", "item", "prediction")
    assert made.to_pandas()["prediction"].tolist() == [model.predict("3", "2"), model.predict("5", "3")]
    assert made.to_polars()["user"].to_list() == ["3", "5"]


def test_ids_are_text_or_whole_numbers(model: refeed.Recommender) -> None:
    expected = model.predict("3", "2")
    assert model.predict(3, 2) == expected
    assert model.predict(np.int64(3), np.int32(2)) == expected
    assert model.predict([3, 3], [2, "2"]).tolist() == [expected, expected]
    assert model.recommend(np.int64(3), k=2) == model.recommend("3", k=2)


def test_unknown_pairs_are_refused_left_empty_or_predicted_by_what_is_known(
    model: refeed.Recommender, split: refeed.Split
) -> None:
    pairs = pd.DataFrame({"user": ["3", "nobody", "3", "nobody"], "item": ["2", "2", "nothing", "nothing"]})
    with pytest.raises(UnknownIdError, match=r"3 of 4 pairs .*nobody"):
        model.predict(pairs)
    empty = model.predict(pairs, cold="empty").to_pandas()["prediction"]
    assert empty.isna().tolist() == [False, True, True, True]
    filled = model.predict(pairs, cold="fallback").to_pandas()["prediction"]
    train = split.train
    user = train.user_ids.positions(["3"])
    _, items, values = train.rows(user)
    level = train.mean + float((values - train.item_means[items]).sum()) / (len(items) + 5)
    assert filled.tolist() == pytest.approx(
        [model.predict("3", "2"), model.predict({}, "2"), level, train.mean]
    )
    with pytest.raises(ConfigError, match="give error, empty or fallback"):
        model.predict(pairs, cold="sometimes")


def test_evaluating_with_fallback_counts_every_pair_and_says_so(model: refeed.Recommender) -> None:
    rows = [("3", "2", 4.0), ("nobody", "2", 3.0), ("3", "nothing", 2.0), ("nobody", "nothing", 5.0)]
    test = refeed.Ratings.from_frame(pd.DataFrame(rows, columns=["user", "item", "rating"]))
    left_out, counted = model.evaluate(test), model.evaluate(test, cold="fallback")
    assert (left_out.ratings, left_out.cold_ratings) == (1, 3)
    assert (counted.ratings, counted.cold_ratings) == (4, 3)
    pairs = [(user, item) for user, item, _ in rows]
    predicted = np.array(model.predict(pairs, cold="fallback", clip=False)["prediction"])
    expected = np.sqrt(np.mean((predicted - [4, 3, 2, 5]) ** 2))
    assert counted.rmse.value == pytest.approx(expected)
    assert "3 of them" in str(counted)
    with pytest.raises(DataError, match=r"3 of 4 held-out ratings have a user or an item"):
        model.evaluate(test, cold="error")


def test_one_person_gets_a_list_and_several_get_lists(model: refeed.Recommender) -> None:
    alone = model.recommend("5", k=4)
    both = model.recommend(["5", {"Alien (1979)": 5}], k=4)
    assert isinstance(alone, refeed.RecommendationList)
    assert isinstance(both, refeed.RecommendationLists)
    for together, apart in zip(both, (alone, model.recommend({"3": 5}, k=4)), strict=True):
        # Products of matrices of other sizes round a score differently, in the seventh digit.
        assert [replace(line, score=0.0) for line in together] == [replace(line, score=0.0) for line in apart]
        assert [line.score for line in together] == pytest.approx([line.score for line in apart], rel=1e-5)
    frame = both.to_pandas()
    assert frame["user"].tolist() == ["5"] * 4 + ["1"] * 4
    assert frame["rank"].tolist() == [1, 2, 3, 4] * 2
    assert frame["item"].tolist() == [line.item for lines in both for line in lines]
    assert pl.DataFrame(both.table())["score"].to_list() == [line.score for lines in both for line in lines]


@pytest.mark.parametrize(
    "history",
    [
        {"3": 5, 4: 1.0},
        [("3", 5), (4, 1)],
        pd.Series([5, 1], index=[3, 4]),
        pd.DataFrame({"item": [3, 4], "rating": [5, 1]}),
        pl.DataFrame({"item": ["Alien (1979)", "4"], "rating": [5.0, 1.0]}),
    ],
)
def test_a_history_comes_in_any_form(model: refeed.Recommender, history: Any) -> None:
    assert model.recommend([history], k=3)[0] == model.recommend({"3": 5, "4": 1}, k=3)


@pytest.mark.parametrize("k", [2.5, 0, "3", True, None])
def test_a_length_that_is_none_is_refused(model: refeed.Recommender, k: Any) -> None:
    with pytest.raises(ConfigError, match="k = "):
        model.recommend("3", k=k)


def test_a_path_is_no_ratings() -> None:
    with pytest.raises(DataError, match=r"'r\.csv' is a path; read it first"):
        refeed.fit("r.csv")


def test_a_user_that_is_none_is_refused(model: refeed.Recommender) -> None:
    with pytest.raises(DataError, match="is no user"):
        model.recommend(2.5)


def test_settings_are_checked_and_named() -> None:
    with pytest.raises(ConfigError, match=r"train\.stepz: there is no such key"):
        refeed.fit(ratings(), **{**SETTINGS, "train.stepz": 3})
    with pytest.raises(ConfigError, match="'steps' is not of the form"):
        refeed.fit(ratings(), steps=3)
    with pytest.raises(ConfigError, match="give it as out"):
        refeed.fit(ratings(), resume=True)


def test_training_is_logged_under_the_name_refeed(
    split: refeed.Split, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, logger="refeed"):
        refeed.fit(split.train, split.valid, **SETTINGS)
    assert any("valid RMSE" in record.message for record in caplog.records)


def test_a_recommender_says_what_it_is_in_a_few_lines(model: refeed.Recommender) -> None:
    assert len(repr(model).splitlines()) <= 10
    assert len(repr(model.trained).splitlines()) <= 10
