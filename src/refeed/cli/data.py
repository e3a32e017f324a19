"""Verbs that make data: prepare, split, simulate."""
# ruff: noqa: PLC0415 - torch and DuckDB take seconds to import, `refeed --help` and a wrong option shouldn't

from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from refeed.cli.options import (
    AsJson,
    Columns,
    EncodingName,
    EncodingOption,
    Missing,
    Seed,
    Wide,
    check_one,
    opened,
    print_json,
    read_options,
)
from refeed.errors import ConfigError

if TYPE_CHECKING:
    pass


class Format(StrEnum):
    """Of what `prepare` reads."""

    auto = "auto"
    table = "table"
    netflix = "netflix"
    movielens = "movielens"


def prepare(
    sources: Annotated[
        list[str],  # a Path would change the slashes of a URL
        typer.Argument(
            metavar="SOURCE…",
            help="Tables (CSV, TSV, JSON, Parquet; packed or in parts, too), a folder or archive of "
            "MovieLens or Netflix, or a server's ratings: its SQLite file, or postgresql://….",
            show_default=False,
        ),
    ],
    *,
    out: Annotated[Path, typer.Option(help="Store to write.")],
    format: Annotated[Format, typer.Option(help="What the sources are; auto looks.")] = Format.auto,  # noqa: A002 - the option's name
    columns: Columns = None,
    titles: Annotated[Path | None, typer.Option(help="A table of items and their titles.")] = None,
    memory: Annotated[str, typer.Option(help="What may be held before the disk is used.")] = "2GB",
    skip_bad: Annotated[
        bool, typer.Option("--skip-bad", help="Leave bad rows out, and write them to STORE.bad.csv.")
    ] = False,
    encoding: EncodingOption = EncodingName.utf_8,
    missing: Missing = None,
    wide: Wide = False,
) -> None:
    """Read ratings into a store, which opens at once whatever its size."""
    from refeed.ratings.read import prepare as prepare_store

    report = prepare_store(
        sources,
        out,
        format=format.value,
        columns=columns,
        titles=titles,
        memory=memory,
        skip_bad=skip_bad,
        encoding=encoding.value,
        missing=missing or (),
        wide=wide,
    )
    typer.echo(str(report))


def split(
    store: Annotated[Path, typer.Argument(metavar="STORE", help="A store, or a table.", show_default=False)],
    *,
    out: Annotated[Path, typer.Option(help="Folder to write: train, valid and test in it.")],
    at: Annotated[str | None, typer.Option(help="First day of the test: YYYY-MM-DD or Unix seconds.")] = None,
    train_from: Annotated[str | None, typer.Option(help="With --at: first day of the training.")] = None,
    test_to: Annotated[str | None, typer.Option(help="With --at: last day of the test.")] = None,
    last: Annotated[
        float | None, typer.Option(help="Hold out this part of each user's ratings, the last.")
    ] = None,
    random: Annotated[
        float | None, typer.Option(help="Hold out this part of all ratings, at random.")
    ] = None,
    users: Annotated[
        float | None, typer.Option(help="Hold out this part of the users whole; part of each is given.")
    ] = None,
    given: Annotated[
        float | None, typer.Option(help="With --users: the part of a history that is given. [default: 0.8]")
    ] = None,
    valid: Annotated[float, typer.Option(help="Part of the held-out ratings that goes to validation.")] = 0.5,
    columns: Columns = None,
    encoding: EncodingOption = EncodingName.utf_8,
    missing: Missing = None,
    wide: Wide = False,
    seed: Seed = 0,
) -> None:
    """Split ratings into train, validation and test.

    Without --at, --last, --random or --users the last tenth of all ratings by time is held out.
    """
    from refeed import api
    from refeed.ratings.split import write_split

    check_one(at=at, last=last, random=random, users=users)
    if given is not None and users is None:
        raise ConfigError("--given goes with --users PART, which holds users out whole; give it too")
    if at is None and (train_from or test_to):
        raise ConfigError(
            "--train-from and --test-to go with --at DATE, the first day of the test; give it too"
        )
    parts = api.split(
        opened(store, read_options(columns, encoding, missing, wide=wide)),
        at=at,
        train_from=train_from,
        test_to=test_to,
        last=last,
        random=random,
        users=users,
        given=given,
        valid=valid,
        seed=seed,
    )
    write_split(parts, out)
    typer.echo(str(parts.report))


class SimulatedFormat(StrEnum):
    """Of what `simulate` writes."""

    parquet = "parquet"
    netflix = "netflix"


def simulate(
    *,
    out: Annotated[Path, typer.Option(help="File or folder to write; a report goes beside it.")],
    users: Annotated[int, typer.Option(help="How many.")] = 477_412,
    items: Annotated[int, typer.Option(help="How many.")] = 17_768,
    ratings: Annotated[int, typer.Option(help="How many.")] = 98_074_901,
    format: Annotated[  # noqa: A002 - the option's name
        SimulatedFormat, typer.Option(help="A Parquet table, or the Netflix Prize's folder.")
    ] = SimulatedFormat.parquet,
    seed: Seed = 0,
    as_json: AsJson = False,
) -> None:
    """Write simulated ratings of Netflix's shape, and print the RMSE that no method can beat."""
    from refeed.ratings.simulate import simulate as write_simulated

    report = write_simulated(out, users=users, items=items, ratings=ratings, format=format.value, seed=seed)
    if as_json:
        print_json(asdict(report))
    else:
        typer.echo(str(report))
