"""Training anew with the ratings that a server took, and reading them as a store."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from starlette.testclient import TestClient

from refeed import Ratings, Recommender, load_recipe
from refeed.errors import DataError
from refeed.ratings.read import prepare
from refeed.serve.histories import without_forgotten
from refeed.serve.retrain import exchange, merged, retrain
from refeed.serve.store import RatingsStore
from refeed.training.fit import fit


def test_a_stores_ratings_are_prepared_like_a_table(database: str, tmp_path: Path) -> None:
    store = RatingsStore.open(database)
    store.rate("ann", {"1": 4.5, "0104257": 2.0}, at=1_000_000)
    store.rate("ann", {"1": 3.0}, at=1_000_100)
    store.rate("bob", {"1": 5.0}, at=1_000_200)
    store.clear("bob", "2")
    report = prepare([database], tmp_path / "prepared")
    ratings = Ratings.load(tmp_path / "prepared")
    assert (report.read, report.ratings) == (3, 3)
    users = [ratings.user_ids[at] for at in ratings.users.tolist()]
    assert sorted(zip(users, ratings.values.tolist(), strict=True)) == [
        ("ann", 2.0),
        ("ann", 3.0),
        ("bob", 5.0),
    ]
    assert set(ratings.item_ids) == {"1", "0104257"}
    assert ratings.times is not None
    assert sorted(ratings.times.tolist()) == [1_000_000, 1_000_100, 1_000_200]
    assert "postgres@" not in str(ratings.source)


def test_a_database_of_somebody_else_is_refused_by_name(tmp_path: Path) -> None:
    import sqlite3  # noqa: PLC0415

    with sqlite3.connect(tmp_path / "theirs.db") as db:
        db.execute("CREATE TABLE films (title TEXT)")
    with pytest.raises(DataError, match="no server's"):
        prepare([tmp_path / "theirs.db"], tmp_path / "out")
    with pytest.raises(DataError) as raised:
        prepare(["postgresql://ann:s3cret@127.0.0.1:1/x?connect_timeout=2"], tmp_path / "out")
    assert "s3cret" not in str(raised.value)
    assert not (tmp_path / "out").exists()


def test_live_ratings_go_over_the_history_and_the_forgotten_are_left_out(run: Path, tmp_path: Path) -> None:
    old = Recommender.load(run).histories
    store = RatingsStore.open(tmp_path / "r.sqlite")
    changed, gone, user = old.item_ids[int(old.items[0])], old.user_ids[3], old.user_ids[0]
    store.rate(user, {changed: 0.5, "a new film": 4.0})
    store.rate("somebody new", {changed: 4.5})
    store.clear(user, old.item_ids[int(old.items[1])])
    store.forget(gone)
    ratings, newest = merged(old, store, 0)
    table = {
        (ratings.user_ids[who], ratings.item_ids[what]): value
        for who, what, value in zip(
            ratings.users.tolist(), ratings.items.tolist(), ratings.values.tolist(), strict=True
        )
    }
    assert table[user, changed] == 0.5
    assert table[user, "a new film"] == 4.0
    assert table["somebody new", changed] == 4.5
    assert (user, old.item_ids[int(old.items[1])]) not in table
    assert gone not in ratings.user_ids
    assert len(ratings) == len(old) - int(old.user_counts[3]) - 1 + 2
    assert int(newest.sum()) == 3


def test_a_training_leaves_out_who_was_forgotten(run: Path, tmp_path: Path) -> None:
    old = Recommender.load(run).histories
    store = RatingsStore.open(tmp_path / "r.sqlite")
    store.forget(old.user_ids[3])
    kept = without_forgotten(old, str(tmp_path / "r.sqlite"))
    assert kept.n_users == old.n_users - 1
    assert old.user_ids[3] not in kept.user_ids
    assert len(kept) == len(old) - int(old.user_counts[3])


def rate_much(store: RatingsStore, histories: Ratings, opposite: bool) -> None:
    """Many live ratings: by tastes that are in the history, or by their opposites."""
    generator = np.random.default_rng(0)
    for user in range(60):
        items = generator.choice(histories.n_items, 12, replace=False)
        means = histories.item_means[items]
        values = np.clip(np.round(2 * (5.5 - means if opposite else means)) / 2, 0.5, 5)
        store.rate(
            f"new-{user}",
            {
                histories.item_ids[item]: value
                for item, value in zip(items.tolist(), values.tolist(), strict=True)
            },
        )


def test_a_model_that_learned_what_changed_takes_the_old_ones_place(run: Path, tmp_path: Path) -> None:
    histories = Recommender.load(run).histories
    store = RatingsStore.open(tmp_path / "r.sqlite")
    rate_much(store, histories, opposite=True)
    done = retrain(run, str(tmp_path / "r.sqlite"), hold_back=0.3)
    assert done.new_ratings == 720
    assert done.swapped
    assert done.new is not None
    assert done.old is not None
    assert done.new < done.old
    assert "new-3" in Recommender.load(run).histories.user_ids
    assert "new-3" not in Recommender.load(tmp_path / "run.previous").histories.user_ids

    again = retrain(run, str(tmp_path / "r.sqlite"), hold_back=0.3)
    assert (again.new_ratings, again.swapped, again.new) == (0, False, None)


def test_a_worse_model_is_put_aside(run: Path, tmp_path: Path) -> None:
    store = RatingsStore.open(tmp_path / "r.sqlite")
    rate_much(store, Recommender.load(run).histories, opposite=False)
    before = (run / "model.safetensors").read_bytes()
    done = retrain(run, str(tmp_path / "r.sqlite"), hold_back=0.3, tolerance=-10.0)
    assert not done.swapped
    assert "put aside" in str(done)
    assert (run / "model.safetensors").read_bytes() == before
    assert (tmp_path / "run.worse/model.safetensors").exists()


def test_a_model_of_clicks_is_compared_by_its_lists_and_stays_one(trained: Path, tmp_path: Path) -> None:
    histories = Recommender.load(trained).histories
    clicks = replace(histories, values=np.ones(len(histories), dtype=np.float32), kind="interactions")
    run = tmp_path / "clicks"
    fit(clicks, None, load_recipe("default", []), run)
    store = RatingsStore.open(tmp_path / "r.sqlite")
    generator = np.random.default_rng(0)
    popular = np.argsort(-histories.item_counts)[:40]
    for user in range(60):
        items = generator.choice(popular, 12, replace=False).tolist()
        store.rate(f"new-{user}", {histories.item_ids[item]: 1.0 for item in items})
    done = retrain(run, str(tmp_path / "r.sqlite"), hold_back=0.3, tolerance=1.0)
    assert (done.measure, done.swapped, done.warm) == ("nDCG@10", True, False)
    assert done.new is not None
    assert done.old is not None
    assert 0 < done.old < 1
    assert 0 < done.new < 1
    assert "nDCG@10" in str(done)
    again = Recommender.load(run).trained
    assert again.kind == "interactions"
    assert again.lists is not None


def test_folders_are_exchanged_and_the_old_one_stays(tmp_path: Path) -> None:
    for name in ("run", "next", "run.previous"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "name").write_text(name, encoding="utf-8")
    exchange(tmp_path / "next", tmp_path / "run")
    assert (tmp_path / "run/name").read_text(encoding="utf-8") == "next"
    assert (tmp_path / "run.previous/name").read_text(encoding="utf-8") == "run"
    assert not (tmp_path / "next").exists()


def test_a_server_goes_on_with_the_new_model(client: TestClient, run: Path, trained: Path) -> None:
    before = client.post("/v1/recommend", json={}).json()["model"]
    shutil.rmtree(run)
    other = trained.with_name("other")
    if not other.exists():
        histories = Recommender.load(trained).histories
        fit(histories, None, load_recipe("default", ["train.steps=5", "model.width=4"]), other)
    shutil.copytree(other, run)
    answer = client.put("/v1/model", json={"model": "main"})
    assert answer.status_code == 200
    assert answer.json()["model"] != before
    assert client.post("/v1/recommend", json={}).json()["model"] == answer.json()["model"]
