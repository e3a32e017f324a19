"""MovieLens in all its shapes, small ones of which are written here."""

import zipfile
from pathlib import Path

import pytest

from refeed.errors import DataError
from refeed.ratings.movielens import is_movielens
from refeed.ratings.read import prepare
from refeed.ratings.store import Ratings

RATED = {("1", "10"): 3.0, ("2", "9"): 4.0}
TITLES = {"9": "Misérables, Les (1995)", "10": "Plain (1996)"}
TIMES = {881250949, 978300760}

ML_100K = {
    "u.data": b"1\t10\t3\t881250949\n2\t9\t4\t978300760\n",
    "u.item": "9|Misérables, Les (1995)|01-Jan-1995||http://x|0|1\n10|Plain (1996)|||http://y|1|0\n".encode(
        "latin-1"
    ),
    "u1.base": b"1\t10\t3\t881250949\n",
}
ML_1M = {
    "ratings.dat": b"1::10::3::881250949\n2::9::4::978300760\n",
    "movies.dat": "9::Misérables, Les (1995)::Drama\n10::Plain (1996)::Drama|War\n".encode("latin-1"),
    "users.dat": b"1::F::1::10::48067\n",
}
ML_10M = {**ML_1M, "movies.dat": "9::Misérables, Les (1995)::Drama\n10::Plain (1996)::War\n".encode()}
ML_25M = {
    "ratings.csv": b"userId,movieId,rating,timestamp\r\n1,10,3.0,881250949\r\n2,9,4.0,978300760\r\n",
    "movies.csv": 'movieId,title,genres\n9,"Misérables, Les (1995)",Drama\n10,Plain (1996),War\n'.encode(),
    "tags.csv": b"userId,movieId,tag,timestamp\n1,10,good,1\n",
}
SHAPES = {"100k": ML_100K, "1m": ML_1M, "10m": ML_10M, "25m": ML_25M}


def assert_is_the_miniature(store: Path) -> None:
    ratings = Ratings.load(store)
    rows = zip(ratings.users.tolist(), ratings.items.tolist(), ratings.values.tolist(), strict=True)
    assert {(ratings.user_ids[u], ratings.item_ids[i]): value for u, i, value in rows} == RATED
    assert dict(zip(ratings.item_ids, ratings.titles or (), strict=True)) == TITLES
    assert ratings.times is not None
    assert set(ratings.times.tolist()) == TIMES


@pytest.mark.parametrize("shape", ["1m", "25m"])
def test_the_genres_of_movies_come_along(tmp_path: Path, shape: str) -> None:
    for name, content in SHAPES[shape].items():
        (tmp_path / name).write_bytes(content)

    prepare([tmp_path], tmp_path / "store")

    genres = {"1m": ("Drama", "Drama|War"), "25m": ("Drama", "War")}[shape]
    assert dict(Ratings.load(tmp_path / "store").attributes) == {"genres": genres}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("inside", ["", "ml"])
def test_a_folder_is_read_with_its_titles(tmp_path: Path, shape: str, inside: str) -> None:
    folder = tmp_path / "data" / inside
    folder.mkdir(parents=True)
    for name, content in SHAPES[shape].items():
        (folder / name).write_bytes(content)

    report = prepare([tmp_path / "data"], tmp_path / "store")

    assert_is_the_miniature(tmp_path / "store")
    assert report.format.startswith("MovieLens")


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("inside", ["", "ml-25m/"])
def test_an_archive_is_read_with_its_titles(tmp_path: Path, shape: str, inside: str) -> None:
    with zipfile.ZipFile(tmp_path / "ml.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in SHAPES[shape].items():
            archive.writestr(inside + name, content)

    prepare([tmp_path / "ml.zip"], tmp_path / "store")

    assert_is_the_miniature(tmp_path / "store")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["ml.zip", "store"]


def test_without_titles_the_ratings_are_read_alone(tmp_path: Path) -> None:
    (tmp_path / "u.data").write_bytes(ML_100K["u.data"])

    report = prepare([tmp_path], tmp_path / "out" / "store")

    assert (report.ratings, report.titled) == (2, 0)


def test_titles_of_ones_own_go_before_those_of_the_folder(tmp_path: Path) -> None:
    for name, content in ML_100K.items():
        (tmp_path / name).write_bytes(content)
    (tmp_path / "mine.csv").write_text("item,title\n9,Mine\n")

    prepare([tmp_path], tmp_path / "out" / "store", titles=tmp_path / "mine.csv")

    assert Ratings.load(tmp_path / "out" / "store").titles == ("Mine", "")


def test_a_member_that_climbs_out_of_the_archive_stays_inside(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "ml.zip", "w") as archive:
        archive.writestr("../u.data", ML_100K["u.data"])

    report = prepare([tmp_path / "ml.zip"], tmp_path / "deep" / "store")

    assert report.ratings == 2
    assert not (tmp_path / "u.data").exists()
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["store"]


@pytest.mark.parametrize("kept", [60, -30])
def test_a_truncated_archive_is_told(tmp_path: Path, kept: int) -> None:
    with zipfile.ZipFile(tmp_path / "whole", "w") as archive:
        for name, content in ML_25M.items():
            archive.writestr(name, content)
    (tmp_path / "ml-25m.zip").write_bytes((tmp_path / "whole").read_bytes()[:kept])

    with pytest.raises(DataError, match=r"ml-25m\.zip is truncated or damaged"):
        prepare([tmp_path / "ml-25m.zip"], tmp_path / "store")


def test_a_damaged_archive_is_told(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "ml.zip", "w") as archive:
        archive.writestr("u.data", ML_100K["u.data"])
    content = (tmp_path / "ml.zip").read_bytes()
    (tmp_path / "ml.zip").write_bytes(content.replace(b"881250949", b"881250948"))

    with pytest.raises(DataError, match=r"ml\.zip is damaged, encrypted or packed in an unknown way"):
        prepare([tmp_path / "ml.zip"], tmp_path / "store")


def test_an_archive_of_something_else_is_told(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "photos.zip", "w") as archive:
        archive.writestr("cat.jpg", b"meow")

    with pytest.raises(DataError, match=r"photos\.zip: can't tell at least 2 columns in 'meow'"):
        prepare([tmp_path / "photos.zip"], tmp_path / "store")


def test_a_bad_row_inside_an_archive_is_named(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "ml.zip", "w") as archive:
        archive.writestr("ratings.dat", b"1::10::3::881250949\n2::9::four::978300760\n")

    with pytest.raises(DataError, match=r"ml\.zip/ratings\.dat:2: the rating is no number: 'four'"):
        prepare([tmp_path / "ml.zip"], tmp_path / "store")


def test_other_folders_and_files_are_no_movielens(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("ann,x,4\n")

    assert not is_movielens(tmp_path)
    assert not is_movielens(tmp_path / "a.csv")
    assert not is_movielens(tmp_path / "nowhere")


DATA = Path(__file__).parents[2].parent / "shared" / "data"


@pytest.mark.skipif(not DATA.is_dir(), reason="the real sets are not beside the checkout")
@pytest.mark.parametrize(
    ("name", "ratings", "users", "items", "scale", "title"),
    [
        ("ml-100k", 100_000, 943, 1_682, (1, 5), ("543", "Misérables, Les (1995)")),
        ("movietweetings-100k", 100_000, 16_554, 10_506, (0, 10), ("0104257", "A Few Good Men (1992)")),
        ("ml-latest-small", 100_004, 671, 9_066, (0.5, 5), ("73", "Misérables, Les (1995)")),
    ],
)
def test_the_real_sets_have_their_published_counts(
    tmp_path: Path,
    name: str,
    ratings: int,
    users: int,
    items: int,
    scale: tuple[float, float],
    title: tuple[str, str],
) -> None:
    report = prepare([DATA / name], tmp_path / "store")

    assert (report.ratings, report.users, report.items, report.scale) == (ratings, users, items, scale)
    assert report.titled == items
    store = Ratings.load(tmp_path / "store")
    position = store.item_ids.position(title[0])
    assert position is not None
    assert store.titles is not None
    assert store.titles[position] == title[1]
