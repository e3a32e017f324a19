"""Which column of a table is the user, the item, the rating and the time."""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from refeed.errors import DataError

__all__ = [
    "NO_COLUMN",
    "PAIR_FIELDS",
    "RATING_FIELDS",
    "TITLE_FIELDS",
    "Chosen",
    "Kind",
    "Sample",
    "choose",
    "looks_like_header",
    "names_all",
    "parse_columns",
    "resolve",
]

Kind = Literal["auto", "ratings", "interactions"]
RATING_FIELDS = ("user", "item", "rating", "timestamp")
PAIR_FIELDS = ("user", "item")
TITLE_FIELDS = ("item", "title")
NO_COLUMN = "none"

# Compared without case, spaces, "_", "-" and ".", and without the types that RecBole writes after a colon. A
# line
# is a rank: a name in an earlier one wins over all later ones, so ids win over names; two in the same rank
# could
# both be meant.
_USUAL_NAMES = {
    "user": """
        userid uid userkey customerid reviewerid memberid visitorid profileid accountid personid
        user
        customer reviewer member profile
        username
        """,
    "item": """
        itemid iid itemkey movieid productid asin bookid isbn trackid songid artistid businessid animeid
        recipeid \
jokeid gameid articleid appid
        item
        movie product book track song artist business anime recipe joke
        id
        """,
    "rating": """
        rating
        ratings userrating bookrating ratingvalue
        score scores stars star overall
        value
        """,
    "count": """
        count
        counts playcount plays nplays weight quantity frequency listens listencount clicks views purchases
        """,
    "timestamp": """
        timestamp
        time
        ts
        unixtime
        unixreviewtime
        datetime
        date
        ratedat
        createdat
        reviewdate
        """,
    "title": """
        title
        movietitle itemtitle booktitle
        itemname
        name
        """,
}
_RANKS = {
    name: [line.split() for line in text.split("\n") if line.strip()] for name, text in _USUAL_NAMES.items()
}
_REQUIRED = {"user", "item", "rating", "title"}
_NEVER_VALUES = re.compile(r"|unnamed\d*|index|.*(id|key|index)")
_TYPED = re.compile(r"(.+):(token|float|token_seq|float_seq)")


@dataclass(frozen=True)
class Sample:
    """What the first rows of a table show of its columns, by position from 0.

    Args:
        numbers: those that hold numbers only.
        times: those that hold times only: ISO dates, or Unix seconds or milliseconds of after 1973.
    """

    numbers: Collection[int] = ()
    times: Collection[int] = ()


@dataclass(frozen=True)
class Chosen:
    """Which column is which.

    Args:
        fields: field → position from 0.
        notes: what else could have been meant, a sentence each.
    """

    fields: dict[str, int]
    notes: tuple[str, ...] = field(default=())


def parse_columns(text: str | None) -> dict[str, str | int]:
    """Read `user=userId,item=2,rating=stars,timestamp=ts`: names, or numbers counted from 1.

    `timestamp=none` reads no times although there is a column of them, `rating=none` no ratings, and
    `count=plays`
    how often or how much instead of ratings.

    Raises:
        DataError: a part is not of that form, or names something else than a user, item, rating, count or
            timestamp.
    """
    mapping: dict[str, str | int] = {}
    for part in (text or "").split(",") if text else ():
        name, equals, column = (piece.strip() for piece in part.partition("="))
        if name not in (*RATING_FIELDS, "count") or not equals or not column or name in mapping:
            raise DataError(
                f"--columns {text!r}: {part!r} is not understood; give each of user, item, rating (or count) "
                "and (optional) timestamp once, such as user=userId,item=2,rating=stars,timestamp=ts"
            )
        mapping[name] = int(column) if column.isascii() and column.isdigit() else column
    if _given(mapping, "rating") and _given(mapping, "count"):
        raise DataError(
            f"--columns {text!r}: a table has ratings or counts; give one of rating=… and count=…"
        )
    return mapping


def looks_like_header(
    rows: Sequence[Sequence[str]], mapping: Mapping[str, str | int], fields: Sequence[str] = RATING_FIELDS
) -> bool:
    """Whether the first of some rows is a header.

    It is if columns are given by name; if it has the usual names; if there is text where the rating should
    be; or
    if it is all text, and in some column a number is under it in every other row.
    """
    first, others = rows[0], rows[1:]
    if any(isinstance(column, str) and column != NO_COLUMN for column in mapping.values()):
        return True
    if names_all(first, [name for name in fields if name in ("user", "item", "title")]):
        return True
    if fields == TITLE_FIELDS:
        return False
    if "rating" in fields and mapping.get("rating") != NO_COLUMN:
        place = mapping.get("rating", mapping.get("count", fields.index("rating") + 1))
        if isinstance(place, int) and 0 < place <= len(first):
            cell = first[place - 1].strip()
            return not (is_number(cell or "0") or is_time(cell))
    if any(_candidates(first, name)[0] for name in fields if name in ("user", "item")):
        return True
    numeric = [
        place
        for place in range(len(first))
        if others and all(place < len(row) and is_number(row[place]) for row in others)
    ]
    return bool(numeric) and not any(is_number(cell) or not cell.strip() for cell in first)


def is_number(text: str) -> bool:
    """Whether a cell is a number."""
    try:
        float(text)
    except ValueError:
        return False
    return "_" not in text


def is_time(text: str) -> bool:
    """Whether a cell is more likely a time than a rating."""
    text = text.strip()
    return bool(re.match(r"[0-9]{4}-[0-9]{2}-[0-9]{2}([T ]|$)", text)) or (
        is_number(text) and 1e8 <= abs(float(text)) < 1e14
    )


def names_all(first: Sequence[str], fields: Sequence[str]) -> bool:
    """Whether a first record has a usual name for each of the fields, and so is a header."""
    return all(_candidates(first, name, titles="title" in fields)[0] for name in fields)


def resolve(
    names: Sequence[str] | None,
    width: int,
    mapping: Mapping[str, str | int],
    *,
    where: str,
    fields: Sequence[str] = RATING_FIELDS,
) -> dict[str, int]:
    """Find the column of each field, as `choose` does; no rating is an error.

    Raises:
        DataError: as `choose`.
    """
    return choose(names, width, mapping, where=where, fields=fields, kind="ratings").fields


def choose(
    names: Sequence[str] | None,
    width: int,
    mapping: Mapping[str, str | int],
    *,
    where: str,
    fields: Sequence[str] = RATING_FIELDS,
    sample: Sample | None = None,
    kind: Kind = "auto",
) -> Chosen:
    """Find the column of each field.

    Args:
        names: the header, or None without one: then the columns are taken in the order of `fields`.
        width: how many columns there are.
        mapping: what the user said, as `parse_columns` gives it; the rest goes by usual names.
        where: the file, for messages.
        fields: what to look for. With "rating", a table may have none: then it holds interactions.
        sample: what the columns hold.
        kind: "auto": interactions if no column is the rating and none that is left could be.

    Returns:
        Field → position from 0. The timestamp may be absent; of "rating" and "count" there is one, or, for
        interactions, none.

    Raises:
        DataError: a mapped column is not there, a column is mapped twice, none fits a required field, or
            several
            fit it equally well.
    """
    sample = sample or Sample()
    wanted = _wanted(fields, mapping, kind, named=names is not None)
    found = {name: _mapped(names, width, name, mapping[name], where) for name in wanted if name in mapping}
    rest = [name for name in wanted if name not in found]
    notes: list[str] = []
    if names is None:
        found |= _in_order(rest, width, mapping, sample, taken=found.values())
    else:
        for name in rest:
            _by_name(names, name, found, notes, where=where, fields=fields)
        if (
            "rating" in wanted
            and {"user", "item"} <= found.keys()
            and "rating" not in found
            and kind == "auto"
        ):
            wanted.remove("rating")
            if mapping.get("count") != NO_COLUMN:
                _by_name(names, "count", found, notes, where=where, fields=fields)
            if "count" not in found:
                _ask_for_the_rating(names, found, sample, where)
    if names is None and "rating" not in found and {"user", "item"} <= found.keys() and kind == "auto":
        wanted = [name for name in wanted if name != "rating"]
    lacking = [name for name in wanted if name in _REQUIRED and name not in found]
    if lacking:
        raise DataError(f"{where}: no column for the {' and the '.join(lacking)}; {_advice(names, width)}")
    if len(set(found.values())) < len(found):
        raise DataError(f"{where}: --columns gives one column to two fields; {_advice(names, width)}")
    return Chosen({name: found[name] for name in (*fields, "count") if name in found}, tuple(notes))


def _wanted(fields: Sequence[str], mapping: Mapping[str, str | int], kind: Kind, *, named: bool) -> list[str]:
    """The fields to look for, by what the user said."""
    wanted = [name for name in fields if mapping.get(name) != NO_COLUMN or name in ("user", "item", "title")]
    if _given(mapping, "count") or (kind == "interactions" and not _given(mapping, "rating")):
        wanted = [name for name in wanted if name != "rating"]
    counted = kind == "interactions" and "rating" in fields and named and "rating" not in mapping
    if _given(mapping, "count") or (counted and "count" not in mapping):
        wanted.append("count")
    return wanted


def _given(mapping: Mapping[str, str | int], name: str) -> bool:
    return mapping.get(name, NO_COLUMN) != NO_COLUMN


def _in_order(
    rest: Sequence[str],
    width: int,
    mapping: Mapping[str, str | int],
    sample: Sample,
    *,
    taken: Collection[int],
) -> dict[str, int]:
    """The columns of a table without a header: user, item, rating, time; or user, item, time."""
    if any(_given(mapping, name) for name in mapping):
        rest = [name for name in rest if name in PAIR_FIELDS] if not set(mapping) & set(PAIR_FIELDS) else []
    free = [place for place in range(width) if place not in taken]
    if "rating" in rest and len(free) == 3 and free[2] in sample.times:
        rest = [name for name in rest if name != "rating"]
    elif "rating" not in rest and "timestamp" in rest:
        timed = [place for place in free[2:] if place in sample.times]
        free = free[:2] + timed[:1]
    return dict(zip(rest, free, strict=False))


def _by_name(
    names: Sequence[str],
    name: str,
    found: dict[str, int],
    notes: list[str],
    *,
    where: str,
    fields: Sequence[str],
) -> None:
    """Find the column of one field by usual names; say which others could have been meant."""
    best, others = _candidates(names, name, titles="title" in fields)
    best = [place for place in best if place not in found.values()]
    others = [place for place in others if place not in found.values()]
    if not best and others:
        best, others = others[:1], others[1:]
    if len(best) > 1 and "title" in fields:  # the others become attributes
        best = best[:1]
    if len(best) > 1:
        shown = " and ".join(repr(names[place]) for place in best)
        alike = len({names[place] for place in best}) == 1
        raise DataError(
            f"{where}: {len(best)} columns could be the {name}: {shown}; say which one, such as "
            f"--columns {name}={best[0] + 1 if alike else names[best[0]]}"
        )
    if best:
        found[name] = best[0]
    if best and others:
        left = " and ".join(repr(names[place]) for place in others)
        notes.append(f"the {name} is {names[best[0]]!r}, not {left}; --columns {name}=… takes another column")


def _ask_for_the_rating(names: Sequence[str], found: Mapping[str, int], sample: Sample, where: str) -> None:
    """A table without a rating holds interactions, unless another column could be the rating."""
    candidates = [
        name
        for place, name in enumerate(names)
        if place in sample.numbers
        and place not in sample.times
        and place not in found.values()
        and not _NEVER_VALUES.fullmatch(_plain(name))
        and not any(_plain(name) in rank for ranks in _RANKS.values() for rank in ranks)
    ]
    if candidates:
        raise DataError(
            f"{where}: no column for the rating; {_advice(names, len(names))}, such as "
            f"rating={candidates[0]} or count={candidates[0]}; or say rating=none, if a row is an "
            "interaction (a click, a purchase, a play)"
        )


def _mapped(names: Sequence[str] | None, width: int, name: str, column: str | int, where: str) -> int:
    if isinstance(column, int) and 1 <= column <= width:
        return column - 1
    if names is not None and str(column) in names:
        if list(names).count(str(column)) > 1:
            number = list(names).index(str(column)) + 1
            raise DataError(
                f"{where}: several columns are called {column!r}; give a number, such as {name}={number}"
            )
        return list(names).index(str(column))
    raise DataError(f"{where}: there is no column {column!r} for the {name}; {_advice(names, width)}")


def _advice(names: Sequence[str] | None, width: int) -> str:
    there = f"columns 1 to {width}, without a header" if names is None else ", ".join(map(repr, names))
    return f"the table has {there}. Name them with --columns user=…,item=…,rating=…,timestamp=…"


def _plain(name: str) -> str:
    typed = _TYPED.fullmatch(name.strip())
    return "".join(letter for letter in (typed[1] if typed else name).lower() if letter not in " _-.")


def _candidates(names: Sequence[str], name: str, *, titles: bool = False) -> tuple[list[int], list[int]]:
    """The columns whose name is of the first rank that there is, and those of later ranks."""
    ranks = _RANKS[name]
    if name == "item" and not titles:
        ranks = ranks[:-1]  # a table of ratings may number its rows
    plain = [_plain(column) for column in names]
    by_rank = [
        sorted(
            (place for place, column in enumerate(plain) if column in rank),
            key=lambda p: rank.index(plain[p]),
        )
        for rank in ranks
    ]
    by_rank = [places for places in by_rank if places]
    return (by_rank[0], [place for places in by_rank[1:] for place in places]) if by_rank else ([], [])
