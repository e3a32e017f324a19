import gzip
import io
import tarfile
import zipfile
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from refeed.errors import DataError
from refeed.ratings import netflix as netflix_module
from refeed.ratings import netflix_source
from refeed.ratings.netflix import is_netflix
from refeed.ratings.netflix_lines import OddRating, odd_rating, parse_lines
from refeed.ratings.read import prepare
from refeed.ratings.store import Ratings

SHARED = Path(__file__).resolve().parents[2].parent / "shared"
MOVIES = {
    "mv_0000001.txt": b"1:\n1488844,3,2005-09-06\n822109,5,2005-05-13\n",
    "mv_0000002.txt": b"2:\n1488844,1,1999-11-11\n7,4,2005-12-31\n",
    "mv_0000010.txt": b"10:\n822109,2,2004-02-29\n",
}
TITLES = "1,2003,Dinosaur Planet\n2,NULL,Still, We Believe: Amélie's\n10,1997,Fighter\n".encode("latin-1")
EXPECTED = {
    ("1488844", "1", 3.0, "2005-09-06", "Dinosaur Planet"),
    ("822109", "1", 5.0, "2005-05-13", "Dinosaur Planet"),
    ("1488844", "2", 1.0, "1999-11-11", "Still, We Believe: Amélie's"),
    ("7", "2", 4.0, "2005-12-31", "Still, We Believe: Amélie's"),
    ("822109", "10", 2.0, "2004-02-29", "Fighter"),
}


def folder(path: Path, files: dict[str, bytes]) -> Path:
    for name, content in files.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(content)
    return path


def tar(files: dict[str, bytes], prefix: str = "") -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(prefix + name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return out.getvalue()


def rows_of(store: Path) -> set[tuple[str, str, float, str, str]]:
    ratings = Ratings.load(store)
    assert ratings.times is not None
    days = np.asarray(ratings.times).astype("datetime64[s]").astype("datetime64[D]").astype(str).tolist()
    titles = np.array(ratings.titles or [""] * ratings.n_items, dtype=np.object_)[ratings.items].tolist()
    users = ratings.user_ids.as_array()[ratings.users].tolist()
    items = ratings.item_ids.as_array()[ratings.items].tolist()
    return set(zip(users, items, ratings.values.tolist(), days, titles, strict=True))


def refused(source: Path, out: Path) -> str:
    with pytest.raises(DataError) as caught:
        prepare([source], out)
    assert not out.exists()
    return str(caught.value)


def kept(source: Path, out: Path) -> tuple[set[tuple[str, str, float, str, str]], list[str]]:
    report = prepare([source], out, skip_bad=True)
    assert report.bad_file is not None
    return rows_of(out), report.bad_file.read_text().splitlines()[1:]


SHAPES = {
    "folder": lambda path: folder(path / "prize", {"movie_titles.txt": TITLES, **MOVIES}),
    "folder of the folder": lambda path: folder(
        path / "prize", {"movie_titles.txt": TITLES, **{f"training_set/{n}": c for n, c in MOVIES.items()}}
    ),
    "download, unpacked": lambda path: folder(
        path / "prize",
        {"download/movie_titles.txt": TITLES, **{f"download/training_set/{n}": c for n, c in MOVIES.items()}},
    ),
    "tar": lambda path: (
        folder(path, {"training_set.tar": tar(MOVIES, "x/"), "movie_titles.txt": TITLES}) / "training_set.tar"
    ),
    "tar in a folder": lambda path: folder(
        path / "prize", {"training_set.tar": tar(MOVIES), "movie_titles.txt": TITLES}
    ),
    "whole download": lambda path: (
        folder(
            path,
            {
                "nf_prize_dataset.tar.gz": gzip.compress(
                    tar(
                        {"training_set.tar": tar(MOVIES), "movie_titles.txt": TITLES, "README": b"1:\n"},
                        "download/",
                    )
                )
            },
        )
        / "nf_prize_dataset.tar.gz"
    ),
    "combined": lambda path: folder(
        path / "prize",
        {
            "combined_data_1.txt": MOVIES["mv_0000001.txt"] + MOVIES["mv_0000002.txt"],
            "combined_data_2.txt": MOVIES["mv_0000010.txt"],
            "movie_titles.csv": TITLES,
        },
    ),
    "one combined file": lambda path: (
        folder(path, {"combined_data_1.txt": b"".join(MOVIES.values()), "movie_titles.csv": TITLES})
        / "combined_data_1.txt"
    ),
    "one file of another name": lambda path: (
        folder(path, {"ratings.txt": b"".join(MOVIES.values()), "movie_titles.txt": TITLES}) / "ratings.txt"
    ),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_every_shape_gives_the_same_ratings_and_titles(shape: str, tmp_path: Path) -> None:
    source = SHAPES[shape](tmp_path)
    assert is_netflix(source)
    report = prepare([source], tmp_path / "store")
    assert rows_of(tmp_path / "store") == EXPECTED
    assert (report.read, report.ratings, report.titled) == (5, 5, 3)
    assert report.format.startswith("Netflix Prize")
    assert "5 of 100,480,507 rows, 3 of 17,770 movies" in report.notes[0]


def test_a_zip_of_the_combined_files_is_read(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "archive.zip", "w") as archive:
        archive.writestr("combined_data_1.txt", b"".join(MOVIES.values()))
        archive.writestr("movie_titles.csv", TITLES)
    prepare([tmp_path / "archive.zip"], tmp_path / "store")
    assert rows_of(tmp_path / "store") == EXPECTED


def test_line_ends_of_windows_a_byte_order_mark_blank_lines_and_no_last_line_end_are_fine(
    tmp_path: Path,
) -> None:
    text = b"\xef\xbb\xbf" + b"\r\n".join(b"\n".join(MOVIES.values()).split(b"\n")).rstrip()
    source = (
        folder(tmp_path, {"combined_data_1.txt": text, "movie_titles.txt": TITLES}) / "combined_data_1.txt"
    )
    assert prepare([source], tmp_path / "store").read == 5
    assert rows_of(tmp_path / "store") == EXPECTED


@pytest.mark.parametrize("block", [1, 7, 24, 100])
def test_movies_go_on_from_one_block_of_bytes_to_the_next(
    block: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(netflix_source, "_BLOCK", block)
    monkeypatch.setattr(netflix_module, "_BATCH", block)
    monkeypatch.setattr(netflix_module, "_INSERT", 1)
    text = b"".join(MOVIES.values())
    source = (
        folder(tmp_path, {"combined_data_1.txt": text, "movie_titles.txt": TITLES}) / "combined_data_1.txt"
    )
    prepare([source], tmp_path / "store")
    assert rows_of(tmp_path / "store") == EXPECTED
    source.write_bytes(text + b"822109,two,2004-02-29\n")
    assert f"{source}:9: the rating is no number: 'two'" in refused(source, tmp_path / "other")


@pytest.mark.parametrize(
    ("line", "cause"),
    [
        ("822109,good,2005-05-13", "the rating is no number: 'good'"),
        ("822109,,2005-05-13", "the rating is no number"),
        ("822109,nan,2005-05-13", "the rating is not finite, or beyond the range of float32: 'nan'"),
        ("822109,-inf,2005-05-13", "the rating is not finite, or beyond the range of float32: '-inf'"),
        ("822109,1_0,2005-05-13", "the rating is no number: '1_0'"),
        ("822109,5,13/05/2005", "the date is no day of the form YYYY-MM-DD: '13/05/2005'"),
        ("822109,5,2005-02-29", "the date is no day of the form YYYY-MM-DD: '2005-02-29'"),
        ("822109,5,2005-13-01", "the date is no day of the form YYYY-MM-DD: '2005-13-01'"),
        ("822109,5,", "the date is no day of the form YYYY-MM-DD"),
        (",5,2005-05-13", "the user is no whole number such as 1488844"),
        ("bob,5,2005-05-13", "the user is no whole number such as 1488844: 'bob'"),
        ("0822109,5,2005-05-13", "the user is no whole number such as 1488844: '0822109'"),
        ("822109,5", "expected user,rating,YYYY-MM-DD: '822109,5'"),
        ("822109,5,2005-05-13,again", "expected user,rating,YYYY-MM-DD"),
        ("822109;5;2005-05-13", "expected user,rating,YYYY-MM-DD"),
    ],
)
def test_a_bad_row_is_named_by_file_line_cause_and_value(line: str, cause: str, tmp_path: Path) -> None:
    text = MOVIES["mv_0000001.txt"] + line.encode() + b"\n"
    source = folder(tmp_path / "prize", {**MOVIES, "mv_0000001.txt": text})
    message = refused(source, tmp_path / "store")
    assert f"{source}/mv_0000001.txt:4: {cause}" in message
    assert "1 of 6 rows" in message
    rows, bad = kept(source, tmp_path / "store")
    assert {row[:4] for row in rows} == {row[:4] for row in EXPECTED}
    assert len(bad) == 1


def test_a_file_without_its_movie_line_is_refused_and_can_be_left_out(tmp_path: Path) -> None:
    source = folder(
        tmp_path / "prize", {**MOVIES, "mv_0000002.txt": b"1488844,1,1999-11-11\n7,4,2005-12-31\n"}
    )
    message = refused(source, tmp_path / "store")
    assert f"{source}/mv_0000002.txt:1: there is no movie line, such as 1:, before it" in message
    rows, bad = kept(source, tmp_path / "store")
    assert {row[:4] for row in rows} == {row[:4] for row in EXPECTED if row[1] != "2"}
    assert len(bad) == 2


def test_a_movie_line_that_differs_from_the_name_of_the_file_is_refused(tmp_path: Path) -> None:
    source = folder(tmp_path / "prize", {**MOVIES, "mv_0000002.txt": b"3:\n7,4,2005-12-31\n"})
    message = refused(source, tmp_path / "store")
    assert f"{source}/mv_0000002.txt:2: the movie line says 3, the file's name 2: '7,4,2005-12-31'" in message


def test_a_movie_that_comes_twice_is_refused(tmp_path: Path) -> None:
    text = b"".join(MOVIES.values()) + b"1:\n5,5,2005-01-01\n"
    source = folder(tmp_path, {"combined_data_1.txt": text}) / "combined_data_1.txt"
    message = refused(source, tmp_path / "store")
    assert f"{source}:10: movie 1 was there already, at {source}:1: '5,5,2005-01-01'" in message
    rows, _ = kept(source, tmp_path / "store")
    assert {row[:4] for row in rows} == {row[:4] for row in EXPECTED}


def test_ratings_below_a_broken_movie_line_never_go_to_the_movie_before(tmp_path: Path) -> None:
    text = b"1:\n5,5,2005-01-01\n2x:\n6,5,2005-01-01\n3:\n7,5,2005-01-01\n"
    source = folder(tmp_path, {"combined_data_1.txt": text}) / "combined_data_1.txt"
    assert f"{source}:4: the movie line before it, '2x:', has no number" in refused(
        source, tmp_path / "store"
    )
    rows, bad = kept(source, tmp_path / "store")
    assert {row[:2] for row in rows} == {("5", "1"), ("7", "3")}
    assert len(bad) == 1


def test_an_empty_file_is_refused(tmp_path: Path) -> None:
    source = folder(tmp_path / "prize", {**MOVIES, "mv_0000002.txt": b""})
    assert f"{source}/mv_0000002.txt:1: the file is empty" in refused(source, tmp_path / "store")
    assert {row[1] for row in kept(source, tmp_path / "store")[0]} == {"1", "10"}


def test_files_without_any_rating_are_refused(tmp_path: Path) -> None:
    source = folder(tmp_path / "prize", {"mv_0000001.txt": b"1:\n"})
    assert "holds no ratings; expected lines such as 1488844,3,2005-09-06" in refused(
        source, tmp_path / "store"
    )


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    source = folder(tmp_path / "prize", {"mv_0000001.txt": b"\x00\xff" * 1_000_000})
    assert "mv_0000001.txt has no lines" in refused(source, tmp_path / "store")


@pytest.mark.parametrize("left", [700, 1024, 2048, 3000])
def test_a_truncated_tar_is_refused_even_if_it_ends_between_two_files(left: int, tmp_path: Path) -> None:
    (tmp_path / "training_set.tar").write_bytes(tar(MOVIES)[:left])
    message = refused(tmp_path / "training_set.tar", tmp_path / "store")
    assert "training_set.tar" in message
    assert "damaged" in message


@pytest.mark.parametrize("share", [0.3, 0.9, 0.99])
def test_a_truncated_download_is_refused(share: float, tmp_path: Path) -> None:
    lines = "".join(f"{user * 7919 % 99991 + 1},{user % 5 + 1},2005-01-01\n" for user in range(5000)).encode()
    packed = gzip.compress(tar({"training_set.tar": tar({"mv_0000001.txt": b"1:\n" + lines})}))
    source = folder(tmp_path, {"nf_prize_dataset.tar.gz": packed}) / "nf_prize_dataset.tar.gz"
    assert prepare([source], tmp_path / "whole").read == 5000
    source.write_bytes(packed[: int(share * len(packed))])
    assert "damaged" in refused(source, tmp_path / "store")


def test_an_archive_can_not_write_outside_of_its_place(tmp_path: Path) -> None:
    source = tmp_path / "prize" / "training_set.tar"
    source.parent.mkdir()
    source.write_bytes(
        tar({"../../movie_titles.txt": TITLES, "../../mv_0000001.txt": MOVIES["mv_0000001.txt"]})
    )
    prepare([source], tmp_path / "stores" / "store")
    assert {row[4] for row in rows_of(tmp_path / "stores" / "store")} == {"Dinosaur Planet"}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["prize", "stores"]
    assert [path.name for path in (tmp_path / "stores").iterdir()] == ["store"]


def test_other_folders_and_files_are_not_taken_for_netflix(tmp_path: Path) -> None:
    folder(
        tmp_path,
        {"mv_notes.txt": b"1:\n", "ratings.csv": b"user,item,rating\na,b,3\n", "other.tar": tar({"a": b"b"})},
    )
    assert not is_netflix(tmp_path)
    assert not is_netflix(tmp_path / "ratings.csv")
    assert not is_netflix(tmp_path / "other.tar")
    assert not is_netflix(tmp_path / "missing")


def test_odd_but_right_ratings_are_kept_as_they_are(tmp_path: Path) -> None:
    text = b"1:\n123456789012, 4.5 ,2005-01-01\n5,0,1969-12-31\n6,-1,2050-01-01\n7,10,2005-01-01\n"
    source = folder(tmp_path, {"combined_data_1.txt": text}) / "combined_data_1.txt"
    prepare([source], tmp_path / "store")
    assert {row[:4] for row in rows_of(tmp_path / "store")} == {
        ("123456789012", "1", 4.5, "2005-01-01"),
        ("5", "1", 0.0, "1969-12-31"),
        ("6", "1", -1.0, "2050-01-01"),
        ("7", "1", 10.0, "2005-01-01"),
    }


well_formed = st.builds(
    "{},{},{}".format,
    st.integers(0, 10**9),
    st.integers(0, 11),
    st.dates(date(1969, 12, 1), date(2050, 2, 1)),
)
mangled = st.builds(
    lambda line, at, char: line[: at % len(line)] + char + line[at % len(line) + 1 :],
    well_formed,
    st.integers(0, 30),
    st.sampled_from("0123456789/:;,-. aé\0\x7f"),
)


@settings(max_examples=200, deadline=None)
@given(texts=st.lists(st.one_of(well_formed, mangled, st.text("0123456789,-:", max_size=25)), max_size=8))
def test_lines_parsed_at_once_are_those_parsed_one_by_one(texts: list[str]) -> None:
    lines = parse_lines("".join(f"{text}\n" for text in texts).encode("latin-1"))
    assert len(lines.good) == len(texts)
    for index, text in enumerate(texts):
        alone = odd_rating(text)
        if lines.good[index]:
            assert alone == (lines.users[index], lines.ratings[index], lines.days[index])
        elif isinstance(alone, OddRating):
            # What is left to the slow way is right, but has more digits or another date than usual.
            user, rating, day = text.split(",")
            usual = (
                " " not in text
                and len(user) <= 8
                and rating.isdigit()
                and len(rating) == 1
                and "1970" <= day < "2050"
            )
            assert not usual


def test_every_day_of_the_calendar_is_itself() -> None:
    days = [date(1970, 1, 1) + timedelta(days=n) for n in range(29_220)]
    lines = parse_lines("".join(f"1,5,{day}\n" for day in days).encode())
    assert lines.good.all()
    assert lines.days.tolist() == list(range(29_220))


def test_the_official_files_are_read_whole(tmp_path: Path) -> None:
    source = SHARED / "data" / "netflix-samples"
    if not source.exists():
        pytest.skip("the official sample files are not at hand")
    report = prepare([source], tmp_path / "store")
    expected = set()
    for path in (source / "training_set").iterdir():
        movie, *lines = path.read_text().split()
        expected |= {
            (user, movie.rstrip(":"), float(rating), day)
            for user, rating, day in (x.split(",") for x in lines)
        }
    assert {row[:4] for row in rows_of(tmp_path / "store")} == expected
    assert (report.read, report.users, report.items, report.titled) == (28_223, 26_373, 11, 11)
