"""Users held out whole: nobody is on both sides, and what is given and what is asked for are one history."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from refeed.errors import ConfigError, DataError
from refeed.ratings.ids import Ids
from refeed.ratings.split import Split, write_split
from refeed.ratings.split_users import split_users
from refeed.ratings.store import Ratings

Pair = tuple[str, str]


def ratings_of(seed: int, users: int = 60, items: int = 30, share: float = 0.3) -> Ratings:
    rng = np.random.default_rng(seed)
    u, i = np.nonzero(rng.random((users, items)) < share)
    return Ratings.from_arrays(
        u,
        i,
        rng.integers(1, 6, len(u)).astype(float),
        user_ids=Ids(f"u{n:02}" for n in range(users)),
        item_ids=Ids(f"i{n:02}" for n in range(items)),
        times=rng.integers(0, 100, len(u)),
    )


def pairs_of(ratings: Ratings | None) -> set[Pair]:
    assert ratings is not None
    users, items = ratings.user_ids.as_array()[ratings.users], ratings.item_ids.as_array()[ratings.items]
    return set(zip(users.tolist(), items.tolist(), strict=True))


def people(pairs: set[Pair]) -> set[str]:
    return {user for user, _ in pairs}


def parts_of(split: Split) -> list[set[Pair]]:
    return [pairs_of(p) for p in (split.train, split.valid, split.test, split.valid_given, split.test_given)]


@given(seed=st.integers(0, 1000), fraction=st.sampled_from([0.1, 0.4]), share=st.sampled_from([0.05, 0.3]))
@settings(max_examples=15)
def test_every_user_is_on_one_side_and_nothing_is_lost(seed: int, fraction: float, share: float) -> None:
    ratings = ratings_of(seed, share=share)
    try:
        split = split_users(ratings, fraction, seed=seed)
    except DataError:  # nobody fell to the test
        return
    train, valid, test, valid_given, test_given = parts_of(split)
    assert people(valid) == people(valid_given)
    assert people(test) == people(test_given)
    assert not people(train) & (people(valid) | people(test))
    assert not people(valid) & people(test)
    assert not valid & valid_given
    assert not test & test_given
    everything = train | valid | test | valid_given | test_given
    assert everything <= pairs_of(ratings)
    assert len(ratings) - len(everything) == split.report.cold_ratings
    assert {item for _, item in everything} == set(split.train.item_ids)


def test_of_each_history_the_part_asked_for_is_given() -> None:
    split = split_users(ratings_of(0), 0.3, given=0.8)
    assert split.test_given is not None
    for user, asked in zip(split.test.user_ids, split.test.user_counts.tolist(), strict=True):
        given_ = int(split.test_given.user_counts[split.test_given.user_ids.positions([user])[0]])
        assert given_ == int(0.8 * (given_ + asked) + 1e-9)


def test_one_rating_is_always_given_and_one_always_asked_for() -> None:
    pairs = [(u, i) for u in range(40) for i in (0, 1)]
    ratings = Ratings.from_arrays(
        np.array([u for u, _ in pairs]),
        np.array([i for _, i in pairs]),
        np.ones(len(pairs)),
        user_ids=Ids(str(n) for n in range(40)),
        item_ids=Ids("ab"),
    )
    for share in (0.1, 0.9):
        split = split_users(ratings, 0.5, given=share)
        assert split.test_given is not None
        assert set(split.test.user_counts.tolist()) == set(split.test_given.user_counts.tolist()) == {1}


def test_users_of_whom_too_little_is_left_are_removed_and_counted() -> None:
    # Each user has an item of their own, which training can't know, and one that all share.
    users = np.repeat(np.arange(30), 2)
    items = np.array([[0, 1 + n] for n in range(30)]).ravel()
    extra = np.arange(30), np.full(30, 31)
    ratings = Ratings.from_arrays(
        np.concatenate([users, extra[0][:15]]),
        np.concatenate([items, extra[1][:15]]),
        np.ones(75),
        user_ids=Ids(str(n) for n in range(30)),
        item_ids=Ids(str(n) for n in range(32)),
    )
    split = split_users(ratings, 0.5, seed=1)
    held = 30 - split.train.n_users
    tested = split.test.n_users + split.valid.n_users
    assert 0 < tested < held
    assert split.report.cold_users == held - tested
    assert split.report.cold_ratings == held + (
        held - tested
    )  # their own items, and the rest of the short ones
    assert "too little known or not in train" in str(split.report)


def test_the_same_seed_gives_the_same_split_and_another_seed_another() -> None:
    ratings = ratings_of(1)
    first, again, other = (parts_of(split_users(ratings, 0.3, seed=seed)) for seed in (3, 3, 4))
    assert first == again
    assert first != other


def test_all_five_parts_are_written_and_the_report_says_how_to_use_them(tmp_path: Path) -> None:
    split = split_users(ratings_of(2), 0.3)
    write_split(split, tmp_path / "out")
    names = {folder.name for folder in (tmp_path / "out").iterdir()}
    assert names == {"train", "valid", "test", "valid-given", "test-given"}
    opened = Ratings.load(tmp_path / "out/test-given")
    assert pairs_of(opened) == pairs_of(split.test_given)
    assert opened.source["part"] == "test-given"
    assert "test given" in str(split.report)
    assert "--given valid-given or test-given" in str(split.report)


@pytest.mark.parametrize(
    "wrong", [{"fraction": 0.0}, {"fraction": 1.0}, {"given": 1.0}, {"valid": 1.0}, {"seed": -1}]
)
def test_settings_out_of_range_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match=r"give|probability"):
        split_users(ratings_of(0), **wrong)  # type: ignore[arg-type]


def test_too_few_users_to_hold_any_out_is_a_mistake() -> None:
    with pytest.raises(DataError, match="hold out another part of the users"):
        split_users(ratings_of(0, users=2), 0.01)
