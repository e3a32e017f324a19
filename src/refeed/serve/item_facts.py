"""What is kept of items beside the ratings: named lists, and attributes to filter by."""

from collections.abc import Mapping, Sequence

from sqlalchemy import Select, and_, delete, insert, or_, select

from refeed.errors import ConfigError, UnknownIdError
from refeed.serve.schema import attributes, lists
from refeed.serve.store import RatingsStore

__all__ = ["Condition", "ItemFacts", "Value"]

Value = str | int | float
Condition = Value | Sequence[Value] | Mapping[str, int | float]
"""A value, several values of which one must hold, or `{"min": …, "max": …}` for numbers."""


class ItemFacts:
    """Lists and attributes of items, in the ratings store.

    Args:
        store: where they are.
    """

    def __init__(self, store: RatingsStore) -> None:
        self._store = store

    # ------------------------------------------------------------------ lists

    def put_list(self, name: str, items: Sequence[str]) -> None:
        """Make a list, or replace it."""
        rows = [{"name": name, "item": item} for item in dict.fromkeys(items)]
        with self._store.changing() as db:
            db.execute(delete(lists).where(lists.c.name == name))
            db.execute(insert(lists), rows or [{"name": name, "item": ""}])  # "": an empty list is one, too

    def delete_list(self, name: str) -> bool:
        """Remove a list; False if there is none."""
        with self._store.changing() as db:
            return bool(db.execute(delete(lists).where(lists.c.name == name)).rowcount)

    def items_of(self, names: Sequence[str]) -> set[str]:
        """The items of lists, together.

        Raises:
            UnknownIdError: there is no such list.
        """
        with self._store.reading() as db:
            rows = db.execute(select(lists.c.name, lists.c.item).where(lists.c.name.in_(names))).all()
        missing = sorted(set(names) - {name for name, _ in rows})
        if missing:
            raise UnknownIdError(
                f"there is no list {', '.join(map(repr, missing))}; make it by PUT /v1/lists/NAME"
            )
        return {item for _, item in rows if item}

    def lists(self) -> dict[str, int]:
        """The names of all lists, and how many items each has."""
        found: dict[str, int] = {}
        with self._store.reading() as db:
            for name, item in db.execute(select(lists.c.name, lists.c.item).order_by(lists.c.name)):
                found[name] = found.get(name, 0) + bool(item)
        return found

    # ------------------------------------------------------------------ attributes

    def put_attributes(self, item: str, given: Mapping[str, Value | Sequence[Value]]) -> None:
        """Replace what is known of an item."""
        rows = [
            {"item": item, "name": name, **_columns(value)}
            for name, values in given.items()
            for value in ([values] if isinstance(values, Value) else values)
        ]
        with self._store.changing() as db:
            db.execute(delete(attributes).where(attributes.c.item == item))
            if rows:
                db.execute(insert(attributes), rows)

    def attributes_of(self, item: str) -> dict[str, list[str | float]]:
        """What is known of an item."""
        found: dict[str, list[str | float]] = {}
        query = select(attributes.c.name, attributes.c.text, attributes.c.number)
        with self._store.reading() as db:
            for name, text, number in db.execute(query.where(attributes.c.item == item)):
                found.setdefault(name, []).append(number if text is None else text)
        return found

    def fit(self, name: str, condition: Condition) -> tuple[set[str], set[str]]:
        """The items of which a condition holds, and all of which something of that name is known.

        Raises:
            ConfigError: it is no condition.
        """
        known = select(attributes.c.item).where(attributes.c.name == name)
        with self._store.reading() as db:
            return set(db.scalars(_query(name, condition)).all()), set(db.scalars(known).all())


def _columns(value: Value) -> dict[str, str | float | None]:
    if isinstance(value, str):
        return {"text": value, "number": None}
    return {"text": None, "number": float(value)}


def _query(name: str, condition: Condition) -> Select[str]:
    query = select(attributes.c.item).where(attributes.c.name == name)
    if isinstance(condition, Mapping):
        unknown = set(condition) - {"min", "max"}
        if unknown or not condition:
            raise ConfigError(f'the condition on {name!r} is not understood; give {{"min": …, "max": …}}')
        ends = []
        if "min" in condition:
            ends.append(attributes.c.number >= condition["min"])
        if "max" in condition:
            ends.append(attributes.c.number <= condition["max"])
        return query.where(and_(*ends))
    values = [condition] if isinstance(condition, Value) else list(condition)
    texts = [value for value in values if isinstance(value, str)]
    numbers = [float(value) for value in values if not isinstance(value, str)]
    return query.where(or_(attributes.c.text.in_(texts), attributes.c.number.in_(numbers)))
