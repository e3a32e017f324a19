"""The paper's windows in any ratings, and what they hold."""

import tracemalloc
from dataclasses import astuple, replace

import numpy as np
import pytest

from refeed.paper import windows as windows_module
from refeed.paper.windows import SHARES, Window, count_window, windows_of
from refeed.ratings.dates import DAY, seconds_of
from refeed.ratings.sample import load_sample
from refeed.ratings.simulate import simulate_ratings
from refeed.ratings.split import NETFLIX_WINDOWS, split_by_date
from refeed.ratings.store import Ratings


def netflix_like(days_later: int = 31) -> Ratings:
    """Simulated ratings, which end on 2005-11-30, moved."""
    ratings = simulate_ratings(users=300, items=60, ratings=9_000, seed=1)
    assert ratings.times is not None
    return replace(ratings, times=ratings.times + days_later * DAY)


def test_the_windows_of_netflix_are_the_papers_days() -> None:
    found = windows_of(netflix_like())
    assert list(found) == ["3m", "6m", "1y", "full"]
    for name, window in found.items():
        days = NETFLIX_WINDOWS[name]
        assert window.train_from == seconds_of(days["train_from"])
        assert window.at == seconds_of(days["at"])
        assert window.test_to == seconds_of(days["test_to"], last=True)


def test_ratings_that_end_a_month_earlier_have_the_windows_a_month_earlier() -> None:
    ratings = netflix_like(0)
    found = windows_of(ratings)
    assert ratings.times is not None
    last = int(ratings.times.max())
    assert last // DAY == seconds_of("2005-11-30") // DAY
    for name, window in found.items():
        moved = seconds_of(NETFLIX_WINDOWS[name]["at"]) - window.at
        assert moved == 31 * DAY
        assert "31 days before the paper's" in window.how
    assert found["full"].test_to // DAY == last // DAY


@pytest.mark.parametrize("name", ["3m", "6m", "1y", "full"])
def test_a_window_is_counted_as_its_split_holds_it(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(windows_module, "_BLOCK", 700)  # so that users lie across blocks
    ratings = netflix_like()
    window = windows_of(ratings)[name]
    split = split_by_date(ratings, window.at, train_from=window.train_from, test_to=window.test_to)
    tested = {
        part.user_ids[int(user)] for part in (split.valid, split.test) for user in np.unique(part.users)
    }
    items = {part.item_ids[int(item)] for part in (split.valid, split.test) for item in np.unique(part.items)}
    train = split.train
    assert astuple(count_window(ratings, window)) == (
        train.n_users,
        train.n_items,
        len(train),
        len(tested),
        len(items),
        len(split.valid) + len(split.test),
    )


def test_counting_takes_memory_for_a_block_and_not_for_all_ratings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(windows_module, "_BLOCK", 1 << 12)
    n = 1 << 19
    rng = np.random.default_rng(0)
    base = netflix_like()
    users = np.sort(rng.integers(0, base.n_users, n))
    ratings = replace(
        base,
        indptr=np.searchsorted(users, np.arange(base.n_users + 1)).astype(np.int64),
        items=rng.integers(0, base.n_items, n).astype(np.int32),
        values=np.ones(n, dtype=np.float32),
        times=rng.integers(0, 100, n),
    )
    tracemalloc.start()
    counts = count_window(ratings, Window("full", "", 0, 90, 99))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert counts.train_ratings == np.count_nonzero(ratings.times < 90)  # type: ignore[operator]
    assert peak < n  # bytes: less than a mask over all ratings


def test_other_ratings_have_windows_by_their_share() -> None:
    ratings = load_sample()
    assert ratings.times is not None
    found = windows_of(ratings)
    full = found["full"]
    held = np.count_nonzero(ratings.times >= full.at)
    assert 0.095 * len(ratings) < held <= 0.1 * len(ratings)
    known = np.count_nonzero(ratings.times < full.at)
    for name, share in SHARES.items():
        window = found[name]
        assert (window.at, window.test_to) == (full.at, full.test_to)
        inside = np.count_nonzero((ratings.times >= window.train_from) & (ratings.times < window.at))
        assert inside / known == pytest.approx(share, abs=0.01)


def test_ratings_without_times_have_no_window() -> None:
    assert windows_of(replace(load_sample(), times=None)) == {}
