"""The ratings of a report: read once, sampled, cut, and bound to their folder."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from refeed.errors import ConfigError, DataError
from refeed.paper.data import open_data, retossed, share_of_users, without_last_slice
from refeed.ratings.ids import Ids
from refeed.ratings.simulate import simulate_ratings
from refeed.ratings.split import split_by_time, write_split
from refeed.ratings.store import Ratings

Rows = set[tuple[str, str]]


def simulated(users: int = 200) -> Ratings:
    return simulate_ratings(users=users, items=50, ratings=20 * users, seed=2)


def pairs(*parts: Ratings) -> Rows:
    return {
        (part.user_ids[int(user)], part.item_ids[int(item)])
        for part in parts
        for user, item in zip(part.users, part.items, strict=True)
    }


def test_a_share_of_the_users_is_the_same_each_time_and_part_of_a_larger_one() -> None:
    ratings = simulated(2000)
    small, large = share_of_users(ratings, 0.1), share_of_users(ratings, 0.3)
    assert set(small.user_ids) == set(share_of_users(ratings, 0.1).user_ids)
    assert set(small.user_ids) < set(large.user_ids)
    assert 0.08 < small.n_users / ratings.n_users < 0.12
    of = dict(zip(ratings.user_ids, ratings.user_counts, strict=True))
    assert all(of[user] == count for user, count in zip(small.user_ids, small.user_counts, strict=True))


def test_another_coin_shares_the_same_held_out_ratings_out_otherwise() -> None:
    split = split_by_time(simulated())
    valid, test = retossed(split.valid, split.test, 1)
    assert pairs(valid) | pairs(test) == pairs(split.valid, split.test)
    assert not pairs(valid) & pairs(test)
    assert pairs(test) != pairs(split.test)
    assert 0.4 < len(test) / (len(test) + len(valid)) < 0.6
    again, _ = retossed(split.valid, split.test, 1)
    assert pairs(again) == pairs(valid)
    assert pairs(retossed(split.valid, split.test, 2)[0]) != pairs(valid)


def test_the_last_slice_is_the_latest_and_leaves_every_user_and_item_in_training() -> None:
    train = simulated()
    earlier, last = without_last_slice(train, 0.05)
    assert pairs(earlier) | pairs(last) == pairs(train)
    assert len(earlier) + len(last) == len(train)
    assert earlier.user_ids == train.user_ids
    assert (earlier.user_counts > 0).all()
    assert (earlier.item_counts > 0).all()
    assert 0.02 * len(train) < len(last) <= 0.06 * len(train)
    assert train.times is not None
    assert last.times is not None
    # What was cut off is later than 90 % of all ratings.
    assert last.times.min() > np.quantile(train.times, 0.9)


def test_without_times_the_slice_is_a_random_one() -> None:
    train = replace(simulated(), times=None)
    earlier, last = without_last_slice(train, 0.05)
    assert len(earlier) + len(last) == len(train)
    assert 0.03 * len(train) < len(last) < 0.07 * len(train)


def test_a_slice_of_newcomers_alone_is_a_mistake() -> None:
    train = Ratings.from_arrays(
        np.array([0, 1]),
        np.array([0, 1]),
        np.array([1.0, 2.0]),
        user_ids=Ids(["a", "b"]),
        item_ids=Ids(["x", "y"]),
        times=np.array([1, 2]),
    )
    with pytest.raises(DataError, match="nothing to choose a checkpoint on"):
        without_last_slice(train, 0.5)


def test_both_protocols_are_measured_on_the_same_ratings(tmp_path: Path) -> None:
    simulated().save(tmp_path / "store")
    data = open_data(tmp_path / "store", tmp_path / "data")
    paper, strict = (data.parts("full", protocol, 1) for protocol in ("paper", "strict"))
    assert paper.test == strict.test
    assert paper.train != strict.train
    train, valid = Ratings.load(strict.train), Ratings.load(strict.valid)
    assert pairs(train) | pairs(valid) == pairs(Ratings.load(paper.train))
    assert train.user_ids == Ratings.load(paper.train).user_ids
    assert not pairs(Ratings.load(paper.valid)) & pairs(Ratings.load(paper.test))


def test_a_folder_that_is_split_is_taken_as_it_is(tmp_path: Path) -> None:
    split = split_by_time(simulated())
    write_split(split, tmp_path / "split")
    data = open_data(tmp_path / "split", tmp_path / "data")
    assert list(data.windows) == ["given"]
    parts = data.parts("given", "paper", 0)
    assert pairs(Ratings.load(parts.test)) == pairs(split.test)
    assert pairs(Ratings.load(parts.train)) == pairs(split.train)
    counts = data.count("given")
    assert counts.train_ratings == len(split.train)
    assert counts.test_ratings == len(split.valid) + len(split.test)
    assert counts.test_users == split.report.tested_users


def test_a_table_is_read_once_and_not_needed_again(tmp_path: Path) -> None:
    table = tmp_path / "ratings.csv"
    table.write_text(
        "user,item,rating,timestamp\n"
        + "".join(f"u{u},i{i},{1 + (u + i) % 5},{10 * i + u}\n" for u in range(9) for i in range(9)),
        encoding="utf-8",
    )
    first = open_data(table, tmp_path / "data")
    made = (tmp_path / "data/ratings/meta.json").stat().st_mtime_ns
    second = open_data(table, tmp_path / "data")
    assert (tmp_path / "data/ratings/meta.json").stat().st_mtime_ns == made
    assert first.count("full") == second.count("full")


def test_a_folder_begun_with_other_ratings_or_another_scale_is_refused(tmp_path: Path) -> None:
    simulated().save(tmp_path / "store")
    simulated(100).save(tmp_path / "other")
    open_data(tmp_path / "store", tmp_path / "out/data")
    with pytest.raises(ConfigError, match=r"what differs: data\); choose another --out"):
        open_data(tmp_path / "other", tmp_path / "out/data")
    with pytest.raises(ConfigError, match="what differs: scale"):
        open_data(tmp_path / "store", tmp_path / "out/data", 0.5)
    (tmp_path / "store").rename(tmp_path / "kept")
    (tmp_path / "other").rename(tmp_path / "store")
    with pytest.raises(ConfigError, match="what differs: contents"):
        open_data(tmp_path / "store", tmp_path / "out/data")


def test_ratings_without_times_that_are_not_split_are_refused_and_leave_nothing(tmp_path: Path) -> None:
    replace(simulated(), times=None).save(tmp_path / "store")
    with pytest.raises(DataError, match="give a timestamp column, or a folder with train, valid and test"):
        open_data(tmp_path / "store", tmp_path / "data")
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("scale", [0.0, -1.0, 1.5, float("nan")])
def test_a_scale_out_of_range_is_a_mistake(scale: float, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--scale is"):
        open_data(tmp_path, tmp_path / "data", scale)


def test_a_share_that_leaves_nobody_is_a_mistake(tmp_path: Path) -> None:
    simulated(20).save(tmp_path / "store")
    with pytest.raises(DataError, match="leaves no rating"):
        open_data(tmp_path / "store", tmp_path / "data", 1e-9)


def test_no_such_path_is_a_mistake(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such file or folder"):
        open_data(tmp_path / "nowhere", tmp_path / "data")


def test_two_candidates_for_a_part_are_a_mistake(tmp_path: Path) -> None:
    write_split(split_by_time(simulated()), tmp_path / "split")
    (tmp_path / "split/train.csv").write_text("user,item,rating\na,b,1\n", encoding="utf-8")
    with pytest.raises(DataError, match="several candidates for train"):
        open_data(tmp_path / "split", tmp_path / "data")
