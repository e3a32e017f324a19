"""Which column of a table is the user, the item, the rating and the time."""

from collections.abc import Mapping, Sequence

from refeed.errors import DataError

__all__ = ["RATING_FIELDS", "TITLE_FIELDS", "looks_like_header", "names_all", "parse_columns", "resolve"]

RATING_FIELDS = ("user", "item", "rating", "timestamp")
TITLE_FIELDS = ("item", "title")
NO_COLUMN = "none"

# Compared without case, spaces, "_", "-" and "."; the first that a table has is taken.
_ALIASES = {
    "user": "user userid uid userkey customer customerid reviewer reviewerid member memberid username",
    "item": "item itemid iid itemkey movie movieid product productid asin book bookid isbn track trackid "
    "song songid artist artistid business businessid anime animeid recipe recipeid joke jokeid",
    "rating": "rating ratings score scores stars star value overall ratingvalue bookrating userrating",
    "timestamp": "timestamp time ts unixtime unixreviewtime datetime date ratedat createdat reviewdate",
    "title": "title name movietitle itemtitle itemname booktitle",
}
_REQUIRED = {"user", "item", "rating", "title"}


def parse_columns(text: str | None) -> dict[str, str | int]:
    """Read `user=userId,item=2,rating=stars,timestamp=ts`: names, or numbers counted from 1.

    `timestamp=none` reads no times although there is a column of them.

    Raises:
        DataError: a part is not of that form, or names something else than a user, item, rating or timestamp.
    """
    mapping: dict[str, str | int] = {}
    for part in (text or "").split(",") if text else ():
        field, equals, column = (piece.strip() for piece in part.partition("="))
        if field not in RATING_FIELDS or not equals or not column or field in mapping:
            raise DataError(
                f"--columns {text!r}: {part!r} is not understood; give each of user, item, rating and "
                "(optional) timestamp once, such as user=userId,item=2,rating=stars,timestamp=ts"
            )
        mapping[field] = int(column) if column.isascii() and column.isdigit() else column
    return mapping


def looks_like_header(first: Sequence[str], mapping: Mapping[str, str | int]) -> bool:
    """Whether the first record of a table of ratings is a header: where the rating should be is no number."""
    if any(isinstance(column, str) and column != NO_COLUMN for column in mapping.values()):
        return True
    if names_all(first, ("user", "item", "rating")):
        return True
    place = int(mapping.get("rating", 3))
    cell = first[place - 1].strip() if place <= len(first) else ""
    try:
        float(cell or "0")
    except ValueError:
        return True
    return False


def names_all(first: Sequence[str], fields: Sequence[str]) -> bool:
    """Whether a first record has a usual name for each of the fields, and so is a header."""
    return all(_by_alias(first, field) is not None for field in fields)


def resolve(
    names: Sequence[str] | None,
    width: int,
    mapping: Mapping[str, str | int],
    *,
    where: str,
    fields: Sequence[str] = RATING_FIELDS,
) -> dict[str, int]:
    """Find the column of each field.

    Args:
        names: the header, or None without one: then the columns are taken in the order of `fields`.
        width: how many columns there are.
        mapping: what the user said, as `parse_columns` gives it; the rest goes by usual names.
        where: the file, for messages.
        fields: what to look for.

    Returns:
        Field → position from 0. The timestamp may be absent.

    Raises:
        DataError: a mapped column is not there, a column is mapped twice, or none fits a required field.
    """
    found: dict[str, int] = {}
    for number, field in enumerate(fields):
        if mapping.get(field) == NO_COLUMN and field not in _REQUIRED:
            continue
        if field in mapping:
            found[field] = _mapped(names, width, field, mapping[field], where)
        elif names is not None:
            place = _by_alias(names, field)
            if place is not None and place not in found.values():
                found[field] = place
        elif not mapping and number < width:
            found[field] = number
    lacking = [field for field in fields if field in _REQUIRED and field not in found]
    if lacking:
        raise DataError(f"{where}: no column for the {' and the '.join(lacking)}; {_advice(names, width)}")
    if len(set(found.values())) < len(found):
        raise DataError(f"{where}: --columns gives one column to two fields; {_advice(names, width)}")
    return found


def _mapped(names: Sequence[str] | None, width: int, field: str, column: str | int, where: str) -> int:
    if isinstance(column, int) and 1 <= column <= width:
        return column - 1
    if names is not None and str(column) in names:
        return list(names).index(str(column))
    raise DataError(f"{where}: there is no column {column!r} for the {field}; {_advice(names, width)}")


def _advice(names: Sequence[str] | None, width: int) -> str:
    there = f"columns 1 to {width}, without a header" if names is None else ", ".join(map(repr, names))
    return f"the table has {there}. Name them with --columns user=…,item=…,rating=…,timestamp=…"


def _by_alias(names: Sequence[str], field: str) -> int | None:
    plain = ["".join(letter for letter in name.lower() if letter not in " _-.") for name in names]
    return next((plain.index(alias) for alias in _ALIASES[field].split() if alias in plain), None)
