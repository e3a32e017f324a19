"""Lists of users whom the model doesn't know."""

from pathlib import Path

import duckdb
import pandas as pd
import pytest

import refeed
from refeed.errors import ConfigError, UnknownIdError
from refeed.inference.scoring import score


@pytest.fixture(scope="module")
def model() -> refeed.Recommender:
    rows = [
        (f"u{user}", f"i{item}", 1 + (user * item) % 5) for user in range(12) for item in range(user % 4, 9)
    ]
    ratings = refeed.Ratings.from_frame(pd.DataFrame(rows, columns=["user", "item", "rating"]))
    return refeed.fit(ratings, recipe="bias")


def lists_of(path: Path) -> dict[str, list[str]]:
    with duckdb.connect() as db:
        lines = db.execute(f'SELECT "user", item FROM \'{path}\' ORDER BY "user", rank').fetchall()
    found: dict[str, list[str]] = {}
    for user, item in lines:
        found.setdefault(user, []).append(item)
    return found


def test_they_are_refused_unless_asked_for(model: refeed.Recommender, tmp_path: Path) -> None:
    with pytest.raises(UnknownIdError, match="stranger"):
        score(model, tmp_path / "lists.parquet", users=["u3", "stranger"])
    with pytest.raises(ConfigError, match="give error, empty or fallback"):
        score(model, tmp_path / "lists.parquet", users=["u3"], cold="perhaps")
    assert not (tmp_path / "lists.parquet").exists()


def test_they_are_left_out_and_counted(model: refeed.Recommender, tmp_path: Path) -> None:
    done = score(model, tmp_path / "lists.parquet", users=["u3", "stranger"], cold="empty")
    assert (done.users, done.unknown) == (1, 1)
    assert list(lists_of(tmp_path / "lists.parquet")) == ["u3"]
    assert "1 of those asked for are unknown" in str(done)


def test_they_get_the_list_of_somebody_of_whom_nothing_is_known(
    model: refeed.Recommender, tmp_path: Path
) -> None:
    users = ["stranger", "u3", "other"]
    done = score(model, tmp_path / "lists.parquet", users=users, k=4, cold="fallback")
    assert (done.users, done.unknown) == (3, 2)
    lists = lists_of(tmp_path / "lists.parquet")
    nobody = [line.item for line in model.recommend({}, k=4)]
    assert lists["stranger"] == lists["other"] == nobody
    assert lists["u3"] == [line.item for line in model.recommend("u3", k=4)]
