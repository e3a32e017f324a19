"""The ratings that people give while the server runs: SQLite in a file, or PostgreSQL.

What `rate` and the others have returned from is on disk: SQLite commits with `synchronous = FULL`, PostgreSQL
with `synchronous_commit` as the server has it (on by default). Nothing is updated in place; a rating that is
given again is another event, and the view `ratings` shows the latest.
"""

import hashlib
import hmac
import threading
import time
import weakref
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection, Engine, delete, func, insert, select

from refeed.serve import schema
from refeed.serve.database import StoreUnavailableError, open_database, translated
from refeed.serve.schema import activity, imports, rating_events, ratings, tombstones

__all__ = ["Forgotten", "Kind", "RatingsStore"]

Kind = str
"""What happened to an item before a person: "shown", "clicked", "dismissed" or "restored"."""


@dataclass(frozen=True)
class Forgotten:
    """What was deleted of a person.

    Args:
        ratings: events of ratings.
        activity: events of what was shown, clicked and dismissed.
    """

    ratings: int
    activity: int


class RatingsStore:
    """Live ratings; threads may share it.

    Args:
        engine: of SQLAlchemy, its schema checked (see `open`).
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        weakref.finalize(self, engine.dispose)  # who forgets to close it leaves no connection open
        self._writing = threading.Lock()  # SQLite has one writer; waiting here is fairer than its retries
        with self.reading() as db:
            salt = select(schema.meta.c.value).where(schema.meta.c.key == "salt")
            self._salt = bytes.fromhex(str(db.execute(salt).scalar_one()))

    @classmethod
    def open(cls, database: str | Path) -> "RatingsStore":
        """Open a database, and make the tables in an empty one.

        Args:
            database: a file for SQLite (made if absent), or `postgresql://USER:PASSWORD@HOST/NAME`.

        Raises:
            StoreError: it can't be reached or used, or its schema is of another version.
        """
        return cls(open_database(str(database)))

    def close(self) -> None:
        """Give all connections back; with the last one SQLite moves its log into the file."""
        self._engine.dispose()

    # ------------------------------------------------------------------ ratings

    def rate(self, user: str, given: Mapping[str, float], *, at: int | None = None) -> None:
        """Take ratings by a person, all or none of them.

        Raises:
            StoreFullError: there is no room; none was taken.
            StoreUnavailableError: the database does not answer; none was taken.
        """
        when = _now() if at is None else at
        rows = [
            {"user_id": user, "item": item, "rating": float(rating), "at": when}
            for item, rating in given.items()
        ]
        if rows:
            with self.changing() as db:
                db.execute(insert(rating_events), rows)

    def clear(self, user: str, item: str) -> None:
        """Take a rating back, also one of the training."""
        row = {"user_id": user, "item": item, "rating": None, "at": _now()}
        with self.changing() as db:
            db.execute(insert(rating_events), row)

    def ratings(self, user: str) -> dict[str, float]:
        """The person's ratings, each item's latest, in the order in which they were given."""
        mine = select(ratings.c.item, ratings.c.rating).where(ratings.c.user_id == user)
        with self.reading() as db:
            return {row[0]: row[1] for row in db.execute(mine.order_by(ratings.c.id))}

    def changes(self, user: str) -> dict[str, tuple[float | None, int]]:
        """The latest of each item that the person ever rated here, and when; None where it was taken back."""
        columns = rating_events.c.item, rating_events.c.rating, rating_events.c.at
        mine = select(*columns).where(rating_events.c.user_id == user)
        with self.reading() as db:
            # In the order of the events, so that the last one of an item stays in the dictionary.
            return {row[0]: (row[1], row[2]) for row in db.execute(mine.order_by(rating_events.c.id))}

    def count(self) -> tuple[int, int]:
        """(ratings, people) in the store."""
        with self.reading() as db:
            query = select(func.count(), func.count(ratings.c.user_id.distinct())).select_from(ratings)
            found = db.execute(query).one()
            return int(found[0]), int(found[1])

    def last_event(self) -> int:
        """The number of the latest rating event; 0 if there is none."""
        with self.reading() as db:
            return int(db.execute(select(func.coalesce(func.max(rating_events.c.id), 0))).scalar_one())

    def latest(self) -> list[tuple[str, str, float | None, int, int]]:
        """(user, item, rating, Unix seconds, event) of each person's and item's latest; None: taken back."""
        last = select(func.max(rating_events.c.id)).group_by(rating_events.c.user_id, rating_events.c.item)
        query = select(
            rating_events.c.user_id,
            rating_events.c.item,
            rating_events.c.rating,
            rating_events.c.at,
            rating_events.c.id,
        ).where(rating_events.c.id.in_(last))
        with self.reading() as db:
            return [tuple(row) for row in db.execute(query.order_by(rating_events.c.id))]

    # ------------------------------------------------------------------ forgetting

    def forget(self, user: str) -> Forgotten:
        """Delete everything of a person, and leave a tombstone for their training history.

        SQLite overwrites what is deleted and empties its log, so that nothing is left in the files.
        PostgreSQL's space is vacuumed; its own log and backups keep what they hold for as long as they are
        kept.
        """
        with self.changing() as db:
            deleted = [
                db.execute(delete(table).where(table.c.user_id == user)).rowcount
                for table in (rating_events, activity)
            ]
            digest = self.digest(user)
            db.execute(delete(tombstones).where(tombstones.c.digest == digest))
            db.execute(insert(tombstones), {"digest": digest, "at": _now()})
        if self._engine.dialect.name == "sqlite":
            self._truncate_log()
        else:
            self._vacuum()
        return Forgotten(*deleted)

    def digest(self, user: str) -> str:
        """What a tombstone says instead of a name: it can be compared with an id, and not be read."""
        return hmac.new(self._salt, user.encode(), hashlib.sha256).hexdigest()

    def forgotten(self) -> frozenset[str]:
        """The digests of all who asked to be forgotten."""
        with self.reading() as db:
            return frozenset(db.execute(select(tombstones.c.digest)).scalars())

    def _truncate_log(self) -> None:
        for _ in range(50):  # readers of a moment ago may hold it
            with translated(), self._writing, self._engine.connect() as db:
                raw = db.connection.dbapi_connection
                assert raw is not None  # noqa: S101 - it was opened just now
                busy, *_ = raw.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            if not busy:
                return
            time.sleep(0.1)
        raise StoreUnavailableError(
            "the person is deleted, but the database's log could not be emptied, as somebody reads it; "
            "repeat the request"
        )

    def _vacuum(self) -> None:
        with self._engine.connect().execution_options(isolation_level="AUTOCOMMIT") as db:
            for table in ("rating_events", "activity"):
                db.exec_driver_sql(f"VACUUM {table}")

    # ------------------------------------------------------------------ activity

    def log(self, user: str, items: Sequence[str], kind: Kind, *, model: str | None = None) -> None:
        """Note what happened to items before a person."""
        rows = [{"user_id": user, "item": item, "kind": kind, "model": model, "at": _now()} for item in items]
        if rows:
            with self.changing() as db:
                db.execute(insert(activity), rows)

    def shown_since(self, user: str, since: int) -> set[str]:
        """The items that were shown to a person since a time, in Unix seconds."""
        mine = (activity.c.user_id == user) & (activity.c.kind == "shown") & (activity.c.at >= since)
        with self.reading() as db:
            return set(db.execute(select(activity.c.item).where(mine)).scalars())

    def dismissed(self, user: str) -> set[str]:
        """The items that a person is not interested in."""
        mine = (activity.c.user_id == user) & activity.c.kind.in_(("dismissed", "restored"))
        query = select(activity.c.item, activity.c.kind).where(mine).order_by(activity.c.id)
        with self.reading() as db:
            last = {row[0]: row[1] for row in db.execute(query)}
        return {item for item, kind in last.items() if kind == "dismissed"}

    def import_rows(
        self, name: str, rows: Sequence[tuple[str, str, float, int | None]], *, after: str | None, cursor: str
    ) -> str | None:
        """Take many ratings, and remember how far the import has come, in one step.

        Args:
            name: of the import.
            rows: (user, item, rating, Unix seconds or None for now).
            after: where the sender believes the import to be; None: at its start.
            cursor: where it is after these rows; whatever the sender makes of it.

        Returns:
            The cursor that is stored. Where it is not `cursor`, the sender was wrong about `after`, and
            nothing was taken.
        """
        there = select(imports.c.cursor).where(imports.c.name == name)
        with self.changing() as db:
            stored = db.execute(there.with_for_update()).scalar()
            if stored != after:
                return str(stored) if stored is not None else None
            if rows:
                values = [
                    {"user_id": user, "item": item, "rating": rating, "at": _now() if at is None else at}
                    for user, item, rating, at in rows
                ]
                db.execute(insert(rating_events), values)
            db.execute(delete(imports).where(imports.c.name == name))
            db.execute(insert(imports), {"name": name, "cursor": cursor})
            return cursor

    def import_cursor(self, name: str) -> str | None:
        """How far an import has come; None if it has not begun."""
        with self.reading() as db:
            return db.execute(select(imports.c.cursor).where(imports.c.name == name)).scalar()

    # ------------------------------------------------------------------ connections

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A connection to read by, with the drivers' errors as ours."""
        with translated(), self._engine.connect() as db:
            yield db

    @contextmanager
    def changing(self) -> Iterator[Connection]:
        """One transaction, committed at the end; only then may the sender be told so."""
        lock = self._writing if self._engine.dialect.name == "sqlite" else threading.Lock()
        with translated(), lock, self._engine.connect() as db:
            writer = db.execution_options(refeed_writes=True)
            with writer.begin():
                yield writer


def _now() -> int:
    return int(time.time())
