import hashlib
from importlib import resources

import numpy as np

from refeed.ratings.sample import load_sample


def test_the_sample_has_the_counts_of_its_readme() -> None:
    ratings = load_sample()
    assert (len(ratings), ratings.n_users, ratings.n_items) == (100_004, 671, 9_066)
    assert ratings.scale == (0.5, 5.0)


def test_the_sample_holds_the_rows_of_the_official_file() -> None:
    ratings = load_sample()
    assert ratings.times is not None
    assert ratings.titles is not None
    user = ratings.user_ids.position("1")
    assert user == 0
    row = slice(ratings.indptr[user], ratings.indptr[user + 1])
    position = ratings.item_ids.position("1029")
    (at,) = np.flatnonzero(ratings.items[row] == position)
    # the second line of ratings.csv: 1,1029,3.0,1260759179
    assert ratings.values[row][at] == 3.0
    assert ratings.times[row][at] == 1_260_759_179
    assert ratings.titles[ratings.items[row][at]] == "Dumbo (1941)"


def test_every_item_of_the_sample_has_a_rating_and_a_title() -> None:
    ratings = load_sample()
    assert ratings.titles is not None
    assert ratings.item_counts.min() >= 1
    assert all(ratings.titles)


def test_titles_are_unicode_with_commas_and_quotes() -> None:
    ratings = load_sample()
    assert ratings.titles is not None
    assert "City of Lost Children, The (Cité des enfants perdus, La) (1995)" in ratings.titles


def test_the_times_of_the_sample_are_those_of_its_readme() -> None:
    times = load_sample().times
    assert times is not None
    days = (
        np.array([times.min(), times.max()], dtype="datetime64[s]")
        .astype("datetime64[D]")
        .astype(str)
        .tolist()
    )
    assert days == ["1995-01-09", "2016-10-16"]


def test_grouplens_readme_goes_along_unchanged() -> None:
    text = (resources.files("refeed.ratings.sample") / "README.txt").read_bytes()
    assert (
        hashlib.sha256(text).hexdigest() == "59be481ddf3fab0f9f7cf2f73e0db4d0920a413a313c911b62bd01ee8816ea2f"
    )
