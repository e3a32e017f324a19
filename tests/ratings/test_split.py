from collections.abc import Callable
from pathlib import Path

import duckdb
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from refeed.errors import ConfigError, DataError, StoreError
from refeed.ratings import split as split_module
from refeed.ratings.ids import Ids
from refeed.ratings.sample import load_sample
from refeed.ratings.split import (
    NETFLIX_WINDOWS,
    Split,
    split_by_date,
    split_by_time,
    split_last,
    split_random,
    write_split,
)
from refeed.ratings.store import Ratings

SHARED = Path(__file__).resolve().parents[2].parent / "shared"
Row = tuple[str, str, float, int]
Splitter = Callable[[Ratings, int], Split]
SPLITTERS: dict[str, Splitter] = {
    "date": lambda ratings, seed: split_by_date(ratings, 5, train_from=2, test_to=8, seed=seed),
    "time": lambda ratings, seed: split_by_time(ratings, 0.4, seed=seed),
    "last": lambda ratings, seed: split_last(ratings, 0.5, seed=seed),
    "random": lambda ratings, seed: split_random(ratings, 0.4, seed=seed),
}


def table(*rows: Row, timed: bool = True) -> Ratings:
    user_ids, item_ids = (Ids(sorted({str(row[column]) for row in rows})) for column in (0, 1))
    return Ratings.from_arrays(
        user_ids.positions(row[0] for row in rows),
        item_ids.positions(row[1] for row in rows),
        np.array([row[2] for row in rows], dtype=np.float64),
        user_ids=user_ids,
        item_ids=item_ids,
        times=np.array([row[3] for row in rows], dtype=np.int64) if timed else None,
        titles=[f"title of {item}" for item in item_ids],
    )


def rows_of(ratings: Ratings) -> set[Row]:
    times = ratings.times if ratings.times is not None else np.zeros(len(ratings), dtype=np.int64)
    users = ratings.user_ids.as_array()[ratings.users].tolist()
    items = ratings.item_ids.as_array()[ratings.items].tolist()
    return set(zip(users, items, ratings.values.tolist(), times.tolist(), strict=True))


@st.composite
def tables(draw: st.DrawFn) -> list[Row]:
    pairs = draw(
        st.lists(st.tuples(st.sampled_from("abcdef"), st.sampled_from("stuvwxyz")), min_size=24, unique=True)
    )
    times = draw(st.lists(st.integers(0, 9), min_size=len(pairs), max_size=len(pairs)))
    values = draw(st.lists(st.integers(-2, 10), min_size=len(pairs), max_size=len(pairs)))
    # Rows, not Ratings: the checks of shapes draw random numbers, which a strategy must not.
    return [(u, i, v / 2, t) for (u, i), v, t in zip(pairs, values, times, strict=True)]


def cut(splitter: Splitter, ratings: Ratings, seed: int = 0) -> Split:
    try:
        return splitter(ratings, seed)
    except (ConfigError, DataError):
        assume(False)
        raise


@pytest.mark.parametrize("name", SPLITTERS)
@settings(max_examples=15, deadline=None)
@given(rows=tables())
def test_the_parts_are_disjoint_and_with_what_was_removed_they_are_all(name: str, rows: list[Row]) -> None:
    ratings = table(*rows)
    split = cut(SPLITTERS[name], ratings)
    train, valid, test = rows_of(split.train), rows_of(split.valid), rows_of(split.test)
    assert not train & valid
    assert not train & test
    assert not valid & test
    rest = rows_of(ratings) - train - valid - test
    assert len(rest) == split.report.cold_ratings + split.report.left_out
    assert train | valid | test <= rows_of(ratings)


@pytest.mark.parametrize("name", SPLITTERS)
@settings(max_examples=15, deadline=None)
@given(rows=tables())
def test_every_user_and_item_that_is_tested_is_in_train(name: str, rows: list[Row]) -> None:
    ratings = table(*rows)
    split = cut(SPLITTERS[name], ratings)
    for part in (split.valid, split.test):
        assert set(part.user_ids) <= set(split.train.user_ids)
        assert set(part.item_ids) <= set(split.train.item_ids)
        assert (part.user_counts > 0).all()
        assert (part.item_counts > 0).all()


@pytest.mark.parametrize("name", ["date", "time", "last"])
@settings(max_examples=15, deadline=None)
@given(rows=tables())
def test_no_user_is_trained_on_after_what_they_are_tested_on(name: str, rows: list[Row]) -> None:
    ratings = table(*rows)
    split = cut(SPLITTERS[name], ratings)
    last: dict[str, int] = {}
    for user, _, _, time in rows_of(split.train):
        last[user] = max(time, last.get(user, time))
    assert all(time >= last[user] for user, _, _, time in rows_of(split.test) | rows_of(split.valid))


@pytest.mark.parametrize("name", SPLITTERS)
def test_the_same_seed_gives_the_same_split_and_another_seed_another(name: str) -> None:
    ratings = table(*((f"u{u}", f"i{i}", 1.0, (u + i) % 10) for u in range(20) for i in range(20)))
    first, again, other = (SPLITTERS[name](ratings, seed) for seed in (7, 7, 8))
    assert rows_of(first.valid) == rows_of(again.valid)
    assert rows_of(first.test) == rows_of(again.test)
    assert rows_of(first.valid) != rows_of(other.valid)


@pytest.mark.parametrize("valid", [0.0, 0.2, 0.5])
def test_the_coin_is_as_fair_as_asked(valid: float) -> None:
    split = split_last(load_sample(), 0.5, valid=valid)
    held = len(split.valid) + len(split.test)
    assert abs(len(split.valid) / held - valid) <= 4 * np.sqrt(valid * (1 - valid) / held)


@settings(max_examples=15, deadline=None)
@given(rows=tables(), fraction=st.floats(0.01, 0.99))
def test_last_holds_out_each_users_latest_and_rounds_down(rows: list[Row], fraction: float) -> None:
    ratings = table(*rows)
    split = cut(lambda r, seed: split_last(r, fraction, seed=seed), ratings)
    expected: set[Row] = set()
    for user in ratings.user_ids:
        # an item's id is its order here; the oracle is Python's own sort
        own = sorted((time, item, value) for u, item, value, time in rows_of(ratings) if u == user)
        keep = len(own) - int(fraction * len(own))
        expected |= {(user, item, value, time) for time, item, value in own[:keep]}
    assert rows_of(split.train) == expected


def test_last_holds_out_29_of_100_although_a_float_says_28() -> None:
    assert int(0.29 * 100) == 28
    ratings = table(
        *(("forward", f"i{i:03}", 1.0, i) for i in range(100)),
        *(("backward", f"i{i:03}", 1.0, -i) for i in range(100)),
    )
    assert len(split_last(ratings, 0.29).train) == 142


def test_ties_go_by_item_order_so_that_the_order_of_the_input_does_not_matter() -> None:
    rows: list[Row] = [("u", item, 1.0, 5) for item in "abcd"]
    rows += [("v", item, 1.0, time) for time, item in enumerate("cdab")]
    for order in (rows, rows[::-1]):
        split = split_last(table(*order), 0.5, valid=0.0)
        assert {item for user, item, _, _ in rows_of(split.train) if user == "u"} == {"a", "b"}


def test_users_in_several_blocks_are_cut_like_those_in_one(monkeypatch: pytest.MonkeyPatch) -> None:
    sample = load_sample()
    whole = split_last(sample, 0.2, valid=0.0)
    monkeypatch.setattr(split_module, "_BLOCK", 5000)
    assert rows_of(split_last(sample, 0.2, valid=0.0).train) == rows_of(whole.train)


def test_a_date_includes_its_first_and_its_last_day() -> None:
    day = 86_400
    first, cut_at, end = (
        int(np.datetime64(text, "s").astype(int)) for text in ("2005-09-01", "2005-12-01", "2005-12-31")
    )
    times = [first - 1, first, cut_at - 1, cut_at, end, end + day - 1, end + day]
    ratings = table(
        *(("u", f"i{n}", 1.0, time) for n, time in enumerate(times)),
        *(("v", f"i{n}", 1.0, first) for n in range(len(times))),
    )
    split = split_by_date(ratings, **NETFLIX_WINDOWS["3m"], valid=0.0)
    assert {time for user, _, _, time in rows_of(split.train) if user == "u"} == set(times[1:3])
    assert {time for _, _, _, time in rows_of(split.test)} == set(times[3:6])
    assert split.report.left_out == 2


def test_cold_users_items_and_ratings_are_counted_apart() -> None:
    ratings = table(
        ("old", "known", 3.0, 1),
        ("older", "seen", 3.0, 0),
        ("old", "seen", 3.0, 5),
        ("old", "new film", 3.0, 6),
        ("new", "known", 3.0, 7),
        ("new", "seen", 3.0, 8),
        ("new", "new film", 3.0, 9),
        ("newer", "newest film", 3.0, 9),
    )
    report = split_by_date(ratings, 5, valid=0.0).report
    assert (report.cold_ratings, report.cold_users, report.cold_items) == (5, 2, 2)
    assert (report.train.ratings, report.valid.ratings, report.test.ratings) == (2, 0, 1)
    assert report.tested_users == 1
    assert "removed 5 held-out ratings: 2 users and 2 items" in str(report)


def test_titles_follow_their_items_into_every_part() -> None:
    split = split_random(table(*((u, i, 1.0, 0) for u in "abcdef" for i in "stuvwxyz")), 0.5)
    for part in (split.train, split.valid, split.test):
        assert part.titles == tuple(f"title of {item}" for item in part.item_ids)


def test_dates_and_unix_seconds_are_the_same_cut() -> None:
    ratings = load_sample()
    day = split_by_date(ratings, "2010-01-01", train_from="2009-01-01", test_to="2010-12-31")
    second = split_by_date(ratings, 1_262_304_000, train_from="1230768000", test_to=1_293_839_999)
    assert rows_of(day.train) == rows_of(second.train)
    assert rows_of(day.test) == rows_of(second.test)
    assert day.report == second.report


@settings(max_examples=15, deadline=None)
@given(rows=tables(), fraction=st.floats(0.05, 0.95))
def test_by_time_holds_out_as_much_as_asked_and_never_cuts_a_second_in_two(
    rows: list[Row], fraction: float
) -> None:
    ratings = table(*rows)
    split = cut(lambda r, seed: split_by_time(r, fraction, seed=seed), ratings)
    assert ratings.times is not None
    assert split.train.times is not None
    times = sorted(ratings.times.tolist())
    kept = len(split.train)
    assert times[kept - 1] < times[kept]
    wanted = len(times) - int(fraction * len(times) + 1e-9)
    # no cut between two seconds comes nearer without holding out more, unless there is none at all
    cuts = [k for k in range(1, len(times)) if times[k - 1] < times[k]]
    assert kept == min((k for k in cuts if k >= wanted), default=cuts[-1])


def test_a_global_date_says_how_few_users_are_left_and_what_to_do() -> None:
    split = split_by_time(load_sample())
    (note,) = split.report.notes
    assert f"only {split.report.tested_users} of 671 users" in note
    assert "--last" in note
    assert len(set(split.valid.user_ids) | set(split.test.user_ids)) == split.report.tested_users < 100


def test_a_global_date_with_enough_users_needs_no_note() -> None:
    ratings = table(*((f"u{u}", f"i{i}", 1.0, (u + i) % 10) for u in range(150) for i in range(10)))
    assert split_by_time(ratings, 0.2).report.notes == ()


@pytest.mark.parametrize("splitter", [split_last, split_random])
def test_a_split_that_leaks_says_so(splitter: Callable[[Ratings], Split]) -> None:
    assert "gave after those it is tested on" in str(splitter(load_sample()).report)


def test_a_random_split_needs_no_times() -> None:
    split = split_random(table(*((u, i, 1.0, 0) for u in "abcdef" for i in "stuvwxyz"), timed=False), 0.5)
    assert split.train.times is None
    assert split.report.test.span is None


@pytest.mark.parametrize(
    "splitter", [split_last, split_by_time, lambda ratings: split_by_date(ratings, "2005-01-01")]
)
def test_ratings_without_times_are_refused(splitter: Callable[[Ratings], Split]) -> None:
    with pytest.raises(DataError, match="no times"):
        splitter(table(("u", "i", 1.0, 0), ("u", "j", 1.0, 0), timed=False))


@pytest.mark.parametrize("fraction", [0.0, 1.0, -0.1, 20.0, float("nan")])
@pytest.mark.parametrize("splitter", [split_last, split_by_time, split_random])
def test_a_fraction_that_is_none_is_refused(
    splitter: Callable[[Ratings, float], Split], fraction: float
) -> None:
    with pytest.raises(ConfigError, match="fraction between 0 and 1"):
        splitter(table(("u", "i", 1.0, 0), ("u", "j", 1.0, 1)), fraction)


@pytest.mark.parametrize("valid", [1.0, -0.5, float("nan")])
def test_a_coin_that_leaves_no_test_is_refused(valid: float) -> None:
    with pytest.raises(ConfigError, match=r"valid is .*; it is a probability"):
        split_random(table(("u", "i", 1.0, 0), ("u", "j", 1.0, 1)), 0.5, valid=valid)


@pytest.mark.parametrize("at", ["2030-01-01", "1990-01-01", 20_100_101])
def test_a_date_outside_the_ratings_is_refused_with_their_span(at: int | str) -> None:
    with pytest.raises(ConfigError, match="1995-01-09 … 2016-10-16"):
        split_by_date(load_sample(), at)


@pytest.mark.parametrize("at", ["01/12/2005", "2005-13-01", "2005-02-30", "2005-W48-4", "soon", ""])
def test_a_date_in_another_format_is_refused(at: str) -> None:
    with pytest.raises(ConfigError, match="is no date; give YYYY-MM-DD"):
        split_by_date(load_sample(), at)


@pytest.mark.parametrize("dates", [{"train_from": "2010-01-02"}, {"test_to": "2009-12-31"}])
def test_dates_out_of_order_are_refused(dates: dict[str, str]) -> None:
    with pytest.raises(ConfigError, match="out of order"):
        split_by_date(
            load_sample(), "2010-01-01", train_from=dates.get("train_from"), test_to=dates.get("test_to")
        )


def test_a_training_window_without_ratings_is_refused() -> None:
    ratings = table(("u", "i", 1.0, 0), ("u", "j", 1.0, 100), ("v", "i", 1.0, 100))
    with pytest.raises(DataError, match="nothing is left to train on"):
        split_by_date(ratings, 50, train_from=10)


def test_a_future_of_strangers_is_refused() -> None:
    ratings = table(("u", "i", 1.0, 0), ("v", "i", 1.0, 100), ("u", "j", 1.0, 100))
    with pytest.raises(
        DataError, match="2 ratings are held out, 2 of these are of users or items that are not"
    ):
        split_by_date(ratings, 50)


def test_ratings_that_all_have_one_time_are_refused() -> None:
    with pytest.raises(DataError, match="same time, 1970-01-01"):
        split_by_time(table(("u", "i", 1.0, 0), ("u", "j", 1.0, 0)))


def test_a_written_split_is_read_back(tmp_path: Path) -> None:
    split = split_last(load_sample())
    write_split(split, tmp_path / "new" / "split")
    for name in ("train", "valid", "test"):
        part: Ratings = getattr(split, name)
        loaded = Ratings.load(tmp_path / "new" / "split" / name)
        assert rows_of(loaded) == rows_of(part)
        assert loaded.titles == part.titles
        assert loaded.source["part"] == name
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["split"]


def test_an_empty_validation_set_can_be_written_and_read(tmp_path: Path) -> None:
    write_split(split_last(load_sample(), valid=0.0), tmp_path / "split")
    assert len(Ratings.load(tmp_path / "split" / "valid")) == 0


def test_a_split_is_not_written_over_anything(tmp_path: Path) -> None:
    (tmp_path / "split").mkdir()
    with pytest.raises(StoreError, match="exists already"):
        write_split(split_last(load_sample()), tmp_path / "split")
    assert list((tmp_path / "split").iterdir()) == []


def _official_100k() -> Ratings:
    if not (SHARED / "data/ml-100k/u.data").exists():
        pytest.skip("MovieLens 100K is not at hand")
    data = np.loadtxt(SHARED / "data/ml-100k/u.data", dtype=np.int64)
    users, items = (Ids(str(n) for n in range(1, data[:, column].max() + 1)) for column in (0, 1))
    return Ratings.from_arrays(
        data[:, 0] - 1,
        data[:, 1] - 1,
        data[:, 2].astype(np.float64),
        user_ids=users,
        item_ids=items,
        times=data[:, 3],
    )


def _ready_made(name: str) -> dict[str, set[Row]]:
    return {
        part: {
            (str(user), str(item), rating, time)
            for user, item, rating, time in duckdb.execute(
                f"SELECT \"user\", item, rating, timestamp FROM '{SHARED}/splits/{name}/{part}.parquet'"
            ).fetchall()
        }
        for part in ("train", "valid", "test")
    }


def test_by_time_is_the_ready_made_global_split_of_movielens_100k() -> None:
    split, ready = split_by_time(_official_100k()), _ready_made("ml-100k-global")
    assert rows_of(split.train) == ready["train"]
    assert rows_of(split.valid) | rows_of(split.test) == ready["valid"] | ready["test"]


def test_last_is_the_ready_made_user_split_of_movielens_100k_but_for_ties() -> None:
    split, ready = split_last(_official_100k()), _ready_made("ml-100k-user")
    ours = rows_of(split.train)
    assert len(ours) == len(ready["train"])
    # The ready-made one breaks ties by the order of the file: who differs, differs at the user's cut.
    latest: dict[str, int] = {}
    for user, _, _, time in ours:
        latest[user] = max(time, latest.get(user, 0))
    assert all(time == latest[user] for user, _, _, time in ours ^ ready["train"])
    assert len(ours ^ ready["train"]) < 1000
