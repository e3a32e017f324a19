"""The store of live ratings, on SQLite and on PostgreSQL alike."""

import os
import signal
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from sqlalchemy import text

from refeed.errors import StoreError, UnknownIdError
from refeed.serve.database import StoreFullError, url_of
from refeed.serve.item_facts import ItemFacts
from refeed.serve.store import RatingsStore


def test_a_rating_is_there_after_the_store_is_opened_again(database: str) -> None:
    RatingsStore.open(database).rate("ann", {"1": 4.5, "2": 0.5})
    assert RatingsStore.open(database).ratings("ann") == {"1": 4.5, "2": 0.5}


def test_the_latest_rating_counts_and_one_can_be_taken_back(database: str) -> None:
    store = RatingsStore.open(database)
    store.rate("ann", {"1": 4.5, "2": 3.0})
    store.rate("ann", {"1": 2.0})
    store.rate("bob", {"1": 5.0})
    store.clear("ann", "2")
    assert store.ratings("ann") == {"1": 2.0}
    assert {item: rating for item, (rating, _) in store.changes("ann").items()} == {"1": 2.0, "2": None}
    assert store.ratings("bob") == {"1": 5.0}
    assert store.count() == (2, 2)
    assert [row[:3] for row in store.latest()] == [("ann", "1", 2.0), ("bob", "1", 5.0), ("ann", "2", None)]
    assert store.last_event() == 5


def test_ids_are_kept_as_they_are_written(database: str) -> None:
    store = RatingsStore.open(database)
    odd = ["0104257", "104257", "o'Neil; DROP TABLE", "名前", "a/b c", ""]
    for user in odd:
        store.rate(user, {user: 1.0})
    assert {user: store.ratings(user) for user in odd} == {user: {user: 1.0} for user in odd}


def test_what_a_database_cannot_hold_is_an_error_of_ours(database: str) -> None:
    store = RatingsStore.open(database)
    with pytest.raises(StoreError):
        store.rate("lone surrogate \ud800", {"1": 1.0})
    assert store.count() == (0, 0)


def test_what_was_shown_and_dismissed_is_told_apart_by_person_and_time(database: str) -> None:
    store = RatingsStore.open(database)
    store.log("ann", ["1", "2"], "shown", model="a@1")
    store.log("bob", ["3"], "shown")
    store.log("ann", ["7", "8"], "dismissed")
    store.log("ann", ["8"], "restored")
    assert store.shown_since("ann", 0) == {"1", "2"}
    assert store.shown_since("ann", 1 << 40) == set()
    assert store.dismissed("ann") == {"7"}


def test_an_import_goes_on_where_it_stopped_and_takes_nothing_twice(database: str) -> None:
    store = RatingsStore.open(database)
    rows = [("ann", "1", 4.0, 1_000), ("bob", "1", 3.0, None)]
    assert store.import_rows("old", rows, after=None, cursor="2") == "2"
    assert store.import_rows("old", rows, after=None, cursor="2") == "2"  # sent again: known already
    assert store.import_rows("old", [("ann", "2", 5.0, 1_001)], after="2", cursor="3") == "3"
    assert store.import_rows("old", [("ann", "9", 5.0, 1_001)], after="7", cursor="8") == "3"
    assert store.import_cursor("old") == "3"
    assert store.import_cursor("new") is None
    assert store.last_event() == 3
    assert store.ratings("ann") == {"1": 4.0, "2": 5.0}


def test_lists_are_replaced_as_a_whole_and_missed_by_name(database: str) -> None:
    facts = ItemFacts(RatingsStore.open(database))
    facts.put_list("christmas", ["1", "2", "2"])
    facts.put_list("empty", [])
    facts.put_list("christmas", ["3", "1"])
    assert facts.items_of(["christmas", "empty"]) == {"1", "3"}
    assert facts.lists() == {"christmas": 2, "empty": 0}
    assert facts.delete_list("empty")
    assert not facts.delete_list("empty")
    with pytest.raises(UnknownIdError, match="'easter'"):
        facts.items_of(["christmas", "easter"])


def test_attributes_filter_by_value_by_one_of_several_and_by_range(database: str) -> None:
    facts = ItemFacts(RatingsStore.open(database))
    facts.put_attributes("1", {"genre": ["Drama", "War"], "year": 1998})
    facts.put_attributes("2", {"genre": "Comedy", "year": 2004})
    facts.put_attributes("2", {"genre": "Comedy", "year": 2005})
    assert facts.fit("genre", "Drama") == ({"1"}, {"1", "2"})
    assert facts.fit("genre", ["War", "Comedy"]) == ({"1", "2"}, {"1", "2"})
    assert facts.fit("year", {"min": 2000}) == ({"2"}, {"1", "2"})
    assert facts.fit("year", {"min": 1990, "max": 2004}) == ({"1"}, {"1", "2"})
    assert facts.fit("colour", "red") == (set(), set())
    assert facts.attributes_of("2") == {"genre": ["Comedy"], "year": [2005.0]}


def test_forgetting_leaves_nothing_but_a_digest(database: str) -> None:
    store = RatingsStore.open(database)
    store.rate("ann-the-secret", {"1": 4.0, "2": 2.0})
    store.rate("bob", {"1": 3.0})
    store.log("ann-the-secret", ["5"], "shown")
    done = store.forget("ann-the-secret")
    assert (done.ratings, done.activity) == (2, 1)
    assert store.ratings("ann-the-secret") == {}
    assert store.shown_since("ann-the-secret", 0) == set()
    assert store.ratings("bob") == {"1": 3.0}
    assert store.forgotten() == {store.digest("ann-the-secret")}
    with store.reading() as db:
        everything = [
            str(row)
            for table in ("rating_events", "activity", "tombstones", "refeed_meta")
            for row in db.execute(text(f"SELECT * FROM {table}"))
        ]
    assert not any("ann-the-secret" in row for row in everything)


def test_forgetting_leaves_nothing_in_the_files_of_sqlite(tmp_path: Path) -> None:
    store = RatingsStore.open(tmp_path / "r.sqlite")
    for number in range(300):
        store.rate("ann-the-secret", {f"item-{number}": 1.0})
        store.rate("somebody", {f"item-{number}": 1.0})
    held = {file.name for file in tmp_path.iterdir() if b"ann-the-secret" in file.read_bytes()}
    assert held  # or the check below would be worth nothing
    store.forget("ann-the-secret")
    assert not any(b"ann-the-secret" in file.read_bytes() for file in tmp_path.iterdir())
    assert len(store.ratings("somebody")) == 300


def test_somebody_who_comes_back_is_no_longer_empty_but_stays_forgotten_before(database: str) -> None:
    store = RatingsStore.open(database)
    store.forget("ann")
    store.forget("ann")
    store.rate("ann", {"1": 2.0})
    assert store.ratings("ann") == {"1": 2.0}
    assert store.digest("ann") in store.forgotten()


def test_another_version_of_the_schema_is_refused(database: str) -> None:
    store = RatingsStore.open(database)
    with store.changing() as db:
        db.execute(text("UPDATE refeed_meta SET value = '2' WHERE key = 'version'"))
    with pytest.raises(StoreError, match="schema version 2, this refeed reads version 1"):
        RatingsStore.open(database)


def test_tables_of_others_are_not_taken_for_ours(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "theirs.sqlite") as db:
        db.execute("CREATE TABLE activity (what TEXT)")
    with pytest.raises(StoreError, match="did not make"):
        RatingsStore.open(tmp_path / "theirs.sqlite")


def test_a_file_that_is_no_database_is_an_error_of_ours(tmp_path: Path) -> None:
    (tmp_path / "words").write_text("no database at all, but some words" * 100, encoding="utf-8")
    with pytest.raises(StoreError, match="can't be used"):
        RatingsStore.open(tmp_path / "words")


def test_the_password_of_a_database_is_in_no_message() -> None:
    with pytest.raises(StoreError) as raised:
        RatingsStore.open("postgresql://ann:s3cret-word@127.0.0.1:1/ratings?connect_timeout=2")
    assert "s3cret-word" not in str(raised.value)
    assert "'ratings'" in str(raised.value)


@pytest.mark.parametrize(
    ("given", "url"),
    [
        ("r.sqlite", "sqlite:///r.sqlite"),
        ("/abs/r.sqlite", "sqlite:////abs/r.sqlite"),
        ("sqlite:///r.sqlite", "sqlite:///r.sqlite"),
        ("postgresql://u@h/n", "postgresql+psycopg://u@h/n"),
        ("postgres://u@h/n", "postgresql+psycopg://u@h/n"),
    ],
)
def test_a_database_is_a_file_or_a_url(given: str, url: str) -> None:
    assert url_of(given) == url


def test_other_databases_are_refused_by_name() -> None:
    with pytest.raises(StoreError, match="mysql://"):
        url_of("mysql://root@localhost/x")


def test_writers_in_many_threads_lose_nothing(database: str) -> None:
    store = RatingsStore.open(database)

    def rate(thread: int) -> None:
        for number in range(20):
            store.rate(f"user-{thread}", {f"item-{number}": 1.0 + thread})

    threads = [threading.Thread(target=rate, args=(thread,)) for thread in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert store.count() == (160, 8)
    assert store.last_event() == 160


# ------------------------------------------------------------------ what goes wrong


def rated_until_full(store: RatingsStore, long: str) -> int:
    """How many ratings were taken before there was no room."""
    for number in range(2, 100_000):
        try:
            store.rate("ann", {f"item-{number}-{long}": 1.0})
        except StoreFullError as error:
            assert "make room" in str(error)  # noqa: PT017 - how many came before is what is asked
            return number - 2
    raise AssertionError("it is never full")


def test_a_full_database_is_an_error_and_loses_nothing(tmp_path: Path) -> None:
    store = RatingsStore.open(tmp_path / "r.sqlite")
    store.rate("ann", {"1": 4.0})
    taken = 1
    with store.reading() as db:  # the pool hands the same connection out again
        db.exec_driver_sql("PRAGMA max_page_count = 60")
    taken += rated_until_full(store, "x" * 200)
    assert taken > 10
    assert len(store.ratings("ann")) == taken
    assert len(RatingsStore.open(tmp_path / "r.sqlite").ratings("ann")) == taken


def test_a_full_disk_is_an_error_and_loses_nothing(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=512k", "none", disk], check=False, capture_output=True
    )
    if mounted.returncode:
        pytest.skip("a small disk can't be mounted here")
    try:
        store = RatingsStore.open(disk / "r.sqlite")
        taken = rated_until_full(store, "x" * 500)
        assert taken > 10
        assert len(store.ratings("ann")) == taken
        store.close()
    finally:
        subprocess.run(["umount", "-l", disk], check=True)


def kill_while_writing(database: str, times: int) -> None:
    """Kill a writer again and again; what it said it had written must be there, and at most one more each."""
    acknowledged: set[int] = set()
    first = 0
    for number in range(times):
        with subprocess.Popen(
            [sys.executable, Path(__file__).with_name("writer.py"), database, str(first)],
            stdout=subprocess.PIPE,
            text=True,
        ) as writer:
            assert writer.stdout is not None
            said = [int(writer.stdout.readline()) for _ in range(5 + number % 11)]
            os.kill(writer.pid, signal.SIGKILL)
            said += [int(line) for line in writer.stdout.read().splitlines(keepends=True) if line[-1] == "\n"]
        acknowledged.update(said)
        first = max(acknowledged) + 1000
        there = {int(row[1].removeprefix("item-")): row[2] for row in RatingsStore.open(database).latest()}
        assert acknowledged <= there.keys()
        assert all(rating == item % 5 + 1.0 for item, rating in there.items())
        assert len(there.keys() - acknowledged) <= number + 1  # written, and killed before it could be said


def test_kill_9_loses_no_acknowledged_rating_and_invents_none(database: str) -> None:
    kill_while_writing(database, 3)


@pytest.mark.slow
def test_kill_9_fifty_times_loses_no_acknowledged_rating_and_invents_none(database: str) -> None:
    kill_while_writing(database, 50)


@pytest.mark.parametrize(
    ("place", "said"),
    [
        ("missing/r.sqlite", "there is no folder '.*missing'"),
        ("folder", "it is a folder; give a file"),
        ("text", "it is no SQLite file; give another one"),
    ],
)
def test_a_file_that_can_not_be_is_refused_with_the_reason(place: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "text").write_text("user,item,rating")
    with pytest.raises(StoreError, match=f"{place}' can't be used: {said}"):
        RatingsStore.open(tmp_path / place)
