"""Options that several verbs have, and what they mean."""
# ruff: noqa: PLC0415 - torch and DuckDB take seconds to import, `refeed --help` and a wrong option shouldn't

import json
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from refeed.errors import ConfigError

if TYPE_CHECKING:
    from refeed.ratings.columns import Kind
    from refeed.ratings.options import ReadOptions
    from refeed.ratings.store import DataKind, Ratings

__all__ = [
    "AsJson",
    "Beta",
    "By",
    "ByOption",
    "Columns",
    "EncodingName",
    "EncodingOption",
    "History",
    "Liked",
    "Missing",
    "Novelty",
    "Rate",
    "Run",
    "Seed",
    "Shrink",
    "UserId",
    "Where",
    "Wide",
    "check_one",
    "opened",
    "person",
    "print_json",
    "read_options",
]

Run = Annotated[
    Path, typer.Argument(metavar="RUN", help="A model folder, as train wrote it.", show_default=False)
]
UserId = Annotated[str | None, typer.Option(metavar="ID", help="A user of the training ratings.")]
Rate = Annotated[
    list[str] | None,
    typer.Option(
        metavar="ITEM=VALUE", help="A rating of anyone's, by id or title (of interactions: ITEM); repeatable."
    ),
]
History = Annotated[
    Path | None, typer.Option(help="Anyone's ratings: a table with the columns item and rating.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object to stdout and nothing else.")]
Seed = Annotated[int, typer.Option(help="Of everything random; the same seed gives the same numbers.")]


Columns = Annotated[
    str | None,
    typer.Option(
        metavar="user=…,item=…,rating=…,timestamp=…",
        help="Which column of a table is which, by name or number from 1; also rating=none and count=….",
    ),
]
Missing = Annotated[
    list[str] | None,
    typer.Option(metavar="VALUE", help='A rating that means "not rated", such as -1; repeatable.'),
]
Wide = Annotated[
    bool, typer.Option("--wide", help="Tables have a row for each user and a column for each item.")
]


class EncodingName(StrEnum):
    """Of text."""

    utf_8 = "utf-8"
    latin_1 = "latin-1"
    cp1252 = "cp1252"
    auto = "auto"


EncodingOption = Annotated[EncodingName, typer.Option(help="Of text; auto reads what is no UTF-8 as cp1252.")]


class By(StrEnum):
    """What lists are ranked by."""

    both = "both"
    rating = "rating"
    interaction = "interaction"


ByOption = Annotated[
    By | None,
    typer.Option(
        "--by",
        help="What lists are ranked by: both parts of the model, or one. [default: both, if it has both]",
    ),
]
Liked = Annotated[float | None, typer.Option(help="The lowest rating that counts as liked.")]
Beta = Annotated[float | None, typer.Option(help="How much P(liked) weighs against taking an item up.")]
Where = Annotated[
    str | None,
    typer.Option(
        metavar="CONDITION",
        help="On what is known of the items: title, ratings, further columns of the titles table, as in "
        "\"genre = 'Drama' and year >= 1990\".",
    ),
]
Novelty = Annotated[
    float, typer.Option(help="Pass over the most popular items, which have this share of all ratings.")
]
Shrink = Annotated[
    float,
    typer.Option(help="By rating: ratings at which half of an item's advantage counts; 0: the prediction."),
]


class Unknown(StrEnum):
    """What to do with pairs whose user or item the model doesn't know."""

    error = "error"
    empty = "empty"
    fallback = "fallback"


ColdOption = Annotated[
    Unknown,
    typer.Option(
        "--cold",
        help="Pairs of an unknown user or item: refuse, leave out, or predict by what is known.",
    ),
]


def read_options(
    columns: str | None = None,
    encoding: EncodingName = EncodingName.utf_8,
    missing: list[str] | None = None,
    *,
    wide: bool = False,
    kind: "Kind" = "auto",
) -> "ReadOptions":
    """How tables are to be read, from the options of a verb."""
    from refeed.ratings.options import ReadOptions

    return ReadOptions(columns, encoding.value, tuple(missing or ()), wide, kind)


def opened(path: Path, options: "ReadOptions | None" = None) -> "Ratings":
    """Ratings from a store or a table, with what the user should know of a table on stderr."""
    from refeed.ratings.read import open_ratings
    from refeed.ratings.store import is_store

    ratings = open_ratings(path, options)
    if is_store(path):  # its facts were reported when it was made
        return ratings
    duplicates, missing, notes = (ratings.source.get(name, 0) for name in ("duplicates", "missing", "notes"))
    if duplicates and ratings.kind == "ratings":
        typer.echo(f"{path}: {duplicates:,} rows left out, as a later one rates the same item", err=True)
    elif duplicates:
        typer.echo(f"{path}: {duplicates:,} rows repeat an interaction, and are added up", err=True)
    if missing:
        typer.echo(f"{path}: {missing:,} rows left out, as they are not rated", err=True)
    if notes:
        typer.echo(f"{path}: {notes}", err=True)
    return ratings


def person(
    user: str | None, rate: list[str] | None, history: Path | None, kind: "DataKind" = "ratings"
) -> str | dict[str, float]:
    """Who is asked about: a user by id, or anyone by their ratings, or by their items if that is the kind."""
    from refeed.inference.tables import parse_items, parse_ratings, read_history
    from refeed.ratings.options import ReadOptions

    check_one(required=True, user=user, rate=rate or None, history=history)
    if user is not None:
        return user
    if history:
        return read_history(history, ReadOptions(kind=kind))
    return parse_items(rate or []) if kind == "interactions" else parse_ratings(rate or [])


def check_one(*, required: bool = False, **options: object) -> None:
    """At most one of some options (exactly one, if required)."""
    given = [f"--{name}" for name, value in options.items() if value is not None]
    if len(given) > 1:
        raise ConfigError(f"{' and '.join(given)} exclude each other; give one of them")
    if required and not given:
        raise ConfigError(f"give one of {', '.join(f'--{name}' for name in options)}")


def print_json(value: Mapping[str, object]) -> None:
    typer.echo(json.dumps(value, allow_nan=False))
