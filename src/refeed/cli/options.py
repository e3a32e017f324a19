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
    from refeed.ratings.store import Ratings

__all__ = [
    "AsJson",
    "History",
    "Rate",
    "Run",
    "Seed",
    "UserId",
    "check_one",
    "opened",
    "person",
    "print_json",
]

Run = Annotated[
    Path, typer.Argument(metavar="RUN", help="A model folder, as train wrote it.", show_default=False)
]
UserId = Annotated[str | None, typer.Option(metavar="ID", help="A user of the training ratings.")]
Rate = Annotated[
    list[str] | None,
    typer.Option(metavar="ITEM=VALUE", help="A rating of anyone's, by id or title; repeatable."),
]
History = Annotated[
    Path | None, typer.Option(help="Anyone's ratings: a table with the columns item and rating.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object to stdout and nothing else.")]
Seed = Annotated[int, typer.Option(help="Of everything random; the same seed gives the same numbers.")]


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


def opened(path: Path) -> "Ratings":
    from refeed.ratings.read import open_ratings
    from refeed.ratings.store import is_store

    ratings = open_ratings(path)
    duplicates = ratings.source.get("duplicates", 0)
    if duplicates and not is_store(path):  # a store's were reported when it was made
        typer.echo(f"{path}: {duplicates:,} rows left out, as a later one rates the same item", err=True)
    return ratings


def person(user: str | None, rate: list[str] | None, history: Path | None) -> str | dict[str, float]:
    """Who is asked about: a user by id, or anyone by their ratings."""
    from refeed.inference.tables import parse_ratings, read_history

    check_one(required=True, user=user, rate=rate or None, history=history)
    if user is not None:
        return user
    return read_history(history) if history else parse_ratings(rate or [])


def check_one(*, required: bool = False, **options: object) -> None:
    """At most one of some options (exactly one, if required)."""
    given = [f"--{name}" for name, value in options.items() if value is not None]
    if len(given) > 1:
        raise ConfigError(f"{' and '.join(given)} exclude each other; give one of them")
    if required and not given:
        raise ConfigError(f"give one of {', '.join(f'--{name}' for name in options)}")


def print_json(value: Mapping[str, object]) -> None:
    typer.echo(json.dumps(value, allow_nan=False))
