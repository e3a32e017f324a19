"""The folder of ratings on disk."""

import hashlib
import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from refeed.errors import StoreError
from refeed.ratings.ids import Ids
from refeed.ratings.store import Ratings, is_store

FILES = ("indptr.npy", "items.npy", "values.npy", "times.npy", "users.parquet", "items.parquet")


def three_users() -> Ratings:
    """The first rated a and c, the second nothing, the third b and a."""
    return Ratings.from_arrays(
        np.array([2, 0, 0, 2]),
        np.array([1, 2, 0, 0]),
        np.array([0.5, 3.0, -1.0, 0.0]),
        times=np.array([40, 10, 20, 30]),
        user_ids=Ids(["u", "v v", "007"]),
        item_ids=Ids(["a", 'b,"b', "ç"]),
        titles=["Ay", "", "Çe"],
        source={"from": "a test", "rows": 4},
    )


def assert_same(left: Ratings, right: Ratings) -> None:
    assert left.indptr.tolist() == right.indptr.tolist()
    assert left.items.tolist() == right.items.tolist()
    assert left.values.tolist() == right.values.tolist()
    assert (left.times is None) == (right.times is None)
    if left.times is not None and right.times is not None:
        assert left.times.tolist() == right.times.tolist()
    assert (left.user_ids, left.item_ids) == (right.user_ids, right.item_ids)
    assert (left.titles, left.source) == (right.titles, right.source)


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    three_users().save(tmp_path / "it's a store")

    loaded = Ratings.load(tmp_path / "it's a store")

    assert_same(loaded, three_users())
    assert isinstance(loaded.values, np.memmap)


def test_the_kind_and_the_attributes_of_items_stay_with_a_selection_a_store_and_a_split(
    tmp_path: Path,
) -> None:
    genres, years = ("Drama", None, "Comedy"), (1999.0, 2001.5, None)
    ratings = replace(three_users(), kind="interactions", attributes={"genre": genres, "year": years})
    ratings.save(tmp_path / "store")

    loaded = Ratings.load(tmp_path / "store")
    few = loaded.select(np.array([False, True, False, True])).compact()

    assert (loaded.kind, dict(loaded.attributes)) == ("interactions", {"genre": genres, "year": years})
    assert tuple(few.item_ids) == ('b,"b', "ç")
    assert (few.kind, dict(few.attributes)) == (
        "interactions",
        {"genre": (None, "Comedy"), "year": (2001.5, None)},
    )
    assert (loaded.transpose().kind, dict(loaded.transpose().attributes)) == ("interactions", {})


def test_a_store_of_before_there_were_kinds_holds_ratings(tmp_path: Path) -> None:
    three_users().save(tmp_path / "store")
    meta = json.loads((tmp_path / "store" / "meta.json").read_text())
    del meta["kind"]
    meta["sha256"]["meta.json"] = "0" * 64
    text = json.dumps(meta, indent=2, ensure_ascii=False) + "\n"
    checksum = hashlib.sha256(text.encode()).hexdigest()
    (tmp_path / "store" / "meta.json").write_text(text.replace("0" * 64, checksum))

    assert Ratings.load(tmp_path / "store").kind == "ratings"


def test_times_and_titles_may_be_absent(tmp_path: Path) -> None:
    plain = Ratings.from_arrays(
        np.array([0]), np.array([0]), np.array([5.0]), user_ids=Ids(["u"]), item_ids=Ids(["i"])
    )
    plain.save(tmp_path / "store")

    assert not (tmp_path / "store" / "times.npy").exists()
    assert_same(Ratings.load(tmp_path / "store"), plain)


def test_no_ratings_at_all_are_saved_and_loaded(tmp_path: Path) -> None:
    nothing = three_users().select(np.zeros(4, dtype=np.bool_))
    nothing.save(tmp_path / "store")

    assert len(Ratings.load(tmp_path / "store")) == 0
    assert Ratings.load(tmp_path / "store").user_ids == three_users().user_ids


def test_a_store_is_not_overwritten(tmp_path: Path) -> None:
    three_users().save(tmp_path / "store")

    with pytest.raises(StoreError, match="store exists already; choose another path"):
        three_users().save(tmp_path / "store")
    assert [path.name for path in tmp_path.iterdir()] == ["store"]


@pytest.mark.parametrize("name", FILES)
def test_a_flipped_byte_is_found(tmp_path: Path, name: str) -> None:
    three_users().save(tmp_path / "store")
    content = bytearray((tmp_path / "store" / name).read_bytes())
    content[-1] ^= 1
    (tmp_path / "store" / name).write_bytes(content)

    with pytest.raises(StoreError, match=f"{name} is damaged"):
        Ratings.load(tmp_path / "store")


def test_a_flipped_byte_anywhere_in_the_meta_file_is_found(tmp_path: Path) -> None:
    three_users().save(tmp_path / "store")
    meta = tmp_path / "store" / "meta.json"
    content = meta.read_bytes()

    for place in range(len(content)):
        meta.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
        with pytest.raises(StoreError, match=r"meta\.json is damaged|store format|lacks"):
            Ratings.load(tmp_path / "store")


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file_is_named(tmp_path: Path, name: str) -> None:
    three_users().save(tmp_path / "store")
    (tmp_path / "store" / name).unlink()

    with pytest.raises(StoreError, match=f"lacks {name}; the store is incomplete"):
        Ratings.load(tmp_path / "store")


def test_a_missing_meta_file_is_told(tmp_path: Path) -> None:
    three_users().save(tmp_path / "store")
    (tmp_path / "store" / "meta.json").unlink()

    assert is_store(tmp_path / "store")
    with pytest.raises(StoreError, match=r"its meta\.json is damaged; make one with `refeed prepare`"):
        Ratings.load(tmp_path / "store")


def test_another_version_is_refused_by_number(tmp_path: Path) -> None:
    three_users().save(tmp_path / "store")
    meta = tmp_path / "store" / "meta.json"
    meta.write_text(json.dumps({**json.loads(meta.read_text()), "format": 99}))

    with pytest.raises(StoreError, match="store format 99, this refeed reads format 1"):
        Ratings.load(tmp_path / "store")


def test_no_folder_is_no_store(tmp_path: Path) -> None:
    assert not is_store(tmp_path / "nowhere")
    with pytest.raises(StoreError, match="nowhere is no ratings store"):
        Ratings.load(tmp_path / "nowhere")


def test_a_moved_store_opens(tmp_path: Path) -> None:
    three_users().save(tmp_path / "store")
    shutil.move(tmp_path / "store", tmp_path / "moved")

    assert_same(Ratings.load(tmp_path / "moved"), three_users())


def test_compact_keeps_titles_and_ids_at_their_ratings() -> None:
    kept = three_users().select(np.array([False, True, True, True])).compact()

    assert list(kept.user_ids) == ["u", "007"]
    assert (list(kept.item_ids), kept.titles) == (["a", 'b,"b', "ç"], ("Ay", "", "Çe"))
    assert kept.users.tolist() == [0, 1, 1]
    assert kept.items.tolist() == [2, 0, 1]
    assert kept.values.tolist() == [3.0, 0.0, 0.5]


def test_an_item_without_ratings_has_no_mean() -> None:
    kept = three_users().select(np.array([True, False, True, False]))

    assert kept.item_counts.tolist() == [2, 0, 0]
    assert np.array_equal(kept.item_means, [-0.5, np.nan, np.nan], equal_nan=True)
    assert (kept.scale, kept.mean) == ((-1.0, 0.0), -0.5)


PAIRS = st.dictionaries(
    st.tuples(st.integers(0, 4), st.integers(0, 3)), st.tuples(st.floats(-9, 9, width=32), st.integers(0, 9))
)


@settings(deadline=None)
@given(pairs=PAIRS, data=st.data())
def test_select_compact_and_transpose_agree_with_a_dict(
    pairs: dict[tuple[int, int], tuple[float, int]], data: st.DataObject
) -> None:
    keys = data.draw(st.permutations(list(pairs)))
    ratings = Ratings.from_arrays(
        np.array([user for user, _ in keys], dtype=np.int64),
        np.array([item for _, item in keys], dtype=np.int64),
        np.array([pairs[key][0] for key in keys], dtype=np.float64),
        times=np.array([pairs[key][1] for key in keys], dtype=np.int64),
        user_ids=Ids(f"u{n}" for n in range(5)),
        item_ids=Ids(f"i{n}" for n in range(4)),
    )
    late = ratings.times >= 5 if ratings.times is not None else np.zeros(0, dtype=np.bool_)

    expected = {(f"u{u}", f"i{i}"): pair for (u, i), pair in pairs.items() if pair[1] >= 5}
    small = ratings.select(late).compact()
    assert as_dict(small) == expected
    assert set(small.user_ids) == {user for user, _ in expected}
    assert set(small.item_ids) == {item for _, item in expected}
    assert {(u, i): pair for (i, u), pair in as_dict(small.transpose()).items()} == expected


def as_dict(ratings: Ratings) -> dict[tuple[str, str], tuple[float, int]]:
    assert ratings.times is not None
    assert ratings.indptr[-1] == len(ratings)
    rows = zip(ratings.users.tolist(), ratings.items.tolist(), ratings.values, ratings.times, strict=True)
    return {(ratings.user_ids[u], ratings.item_ids[i]): (float(v), int(t)) for u, i, v, t in rows}
