"""The tables of the ratings store: the same in SQLite and in PostgreSQL.

    refeed_meta      key, value: the schema's version, and the salt of the tombstones
    rating_events    append-only: who rated what how, and when; a rating of NULL takes one back
    ratings          a view: of each person and item the latest event, unless it took the rating back
    activity         append-only: what was shown to whom, clicked, dismissed, and by which model
    tombstones       who asked to be forgotten, as salted digests: their training histories are left out
    lists            named lists of items
    attributes       what is known of items, for filters
    imports          how far each import has come

A person's id is in `rating_events` and `activity` alone, so that forgetting is two deletions.
"""

from sqlalchemy import (
    DDL,
    BigInteger,
    Column,
    Float,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    event,
)

__all__ = [
    "VERSION",
    "activity",
    "attributes",
    "imports",
    "lists",
    "meta",
    "metadata",
    "rating_events",
    "ratings",
    "tombstones",
]

VERSION = "1"
"""Of the schema; a store of another version is refused."""

metadata = MetaData()

# SQLite counts up by itself only for a column of type INTEGER.
_Number = BigInteger().with_variant(Integer, "sqlite")

meta = Table("refeed_meta", metadata, Column("key", String, primary_key=True), Column("value", Text))

rating_events = Table(
    "rating_events",
    metadata,
    Column("id", _Number, primary_key=True, autoincrement=True),
    Column("user_id", Text, nullable=False),
    Column("item", Text, nullable=False),
    Column("rating", Float),
    Column("at", BigInteger, nullable=False),
    Index("rating_events_latest", "user_id", "item", "id"),
    sqlite_autoincrement=True,  # an id is never given twice, so "since the last time" can be told by it
)

activity = Table(
    "activity",
    metadata,
    Column("id", _Number, primary_key=True, autoincrement=True),
    Column("user_id", Text, nullable=False),
    Column("item", Text, nullable=False),
    Column("kind", String(16), nullable=False),
    Column("model", Text),
    Column("at", BigInteger, nullable=False),
    Index("activity_of_user", "user_id", "kind", "at"),
    sqlite_autoincrement=True,
)

tombstones = Table(
    "tombstones",
    metadata,
    Column("digest", String(64), primary_key=True),
    Column("at", BigInteger, nullable=False),
)

lists = Table(
    "lists",
    metadata,
    Column("name", Text, nullable=False),
    Column("item", Text, nullable=False),
    UniqueConstraint("name", "item"),
)

attributes = Table(
    "attributes",
    metadata,
    Column("item", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("text", Text),
    Column("number", Float),
    Index("attributes_by_name", "name", "text"),
    Index("attributes_of_item", "item"),
)

imports = Table(
    "imports", metadata, Column("name", Text, primary_key=True), Column("cursor", Text, nullable=False)
)

_VIEW = """
CREATE VIEW ratings AS
SELECT user_id, item, rating, at, id FROM rating_events AS latest
WHERE rating IS NOT NULL AND id = (
    SELECT max(id) FROM rating_events AS all_of_them
    WHERE all_of_them.user_id = latest.user_id AND all_of_them.item = latest.item
)
"""
event.listen(metadata, "after_create", DDL(_VIEW))  # type: ignore[no-untyped-call]

ratings = Table(  # the view, for queries; of another MetaData, so that nobody creates it as a table
    "ratings",
    MetaData(),
    Column("user_id", Text),
    Column("item", Text),
    Column("rating", Float),
    Column("at", BigInteger),
    Column("id", BigInteger),
)
