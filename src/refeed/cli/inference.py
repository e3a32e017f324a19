"""Verbs that use a model: predict, recommend, explain, score."""
# ruff: noqa: PLC0415 - torch and DuckDB take seconds to import, `refeed --help` and a wrong option shouldn't

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from refeed.cli.options import (
    AsJson,
    ColdOption,
    Columns,
    EncodingName,
    EncodingOption,
    History,
    Rate,
    Run,
    Unknown,
    UserId,
    person,
    print_json,
    read_options,
)

if TYPE_CHECKING:
    from refeed.inference.recommender import Recommendation


def predict(
    run: Run,
    pairs: Annotated[
        Path,
        typer.Argument(metavar="PAIRS", help="A table with the columns user and item.", show_default=False),
    ],
    *,
    out: Annotated[Path, typer.Option(help="File to write: .csv, .tsv or .parquet.")],
    clip: Annotated[bool, typer.Option(help="Keep within the scale of the training ratings.")] = True,
    interval: Annotated[
        float | None,
        typer.Option(help="Also low and high, between which this share of such ratings lies, as 0.9."),
    ] = None,
    cold: ColdOption = Unknown.empty,
    columns: Columns = None,
    encoding: EncodingOption = EncodingName.utf_8,
) -> None:
    """Predict the rating of each pair of a user and an item.

    Writes user, item, prediction in the same order. Where the model knows no such user or item, the
    prediction stays empty unless --cold says otherwise, and a note counts them.
    """
    from refeed.inference.recommender import Recommender
    from refeed.inference.tables import predict_table

    done = predict_table(
        Recommender.load(run),
        pairs,
        out,
        cold=cold.value,
        clip=clip,
        interval=interval,
        options=read_options(columns, encoding),
    )
    typer.echo(str(done), err=True)


def recommend(
    run: Run,
    *,
    user: UserId = None,
    rate: Rate = None,
    history: History = None,
    k: Annotated[int, typer.Option("-k", help="How many items.")] = 10,
    include_seen: Annotated[bool, typer.Option("--include-seen", help="Also items that are rated.")] = False,
    only: Annotated[
        list[str] | None, typer.Option(metavar="ITEM", help="Choose among these alone; repeatable.")
    ] = None,
    exclude: Annotated[
        list[str] | None, typer.Option(metavar="ITEM", help="Leave this out; repeatable.")
    ] = None,
    cautious: Annotated[
        float,
        typer.Option(help="Deviations of each prediction to take off before ranking: prefers what is sure."),
    ] = 0.0,
    as_json: AsJson = False,
) -> None:
    """Recommend items to a user, or to anyone by their ratings.

    The list is ranked by the predicted rating, shrunk by how many ratings an item has.
    """
    from refeed.inference.recommender import Recommender

    who = person(user, rate, history)
    lines = Recommender.load(run).recommend(
        who,
        k,
        include_seen=include_seen,
        only=only or None,
        exclude=exclude or None,
        cautious=cautious,
    )
    if as_json:
        print_json({"recommendations": [asdict(line) for line in lines]})
    else:
        typer.echo(_table(lines))


def explain(
    run: Run,
    item: Annotated[str, typer.Argument(metavar="ITEM", help="An id or a title.", show_default=False)],
    *,
    user: UserId = None,
    rate: Rate = None,
    history: History = None,
    k: Annotated[int, typer.Option("-k", min=0, help="How many ratings to show; the rest is one line.")] = 10,
    as_json: AsJson = False,
) -> None:
    """Say why a prediction is what it is: the item's level, and what each rating of the person adds."""
    from refeed.inference.recommender import Recommender

    who = person(user, rate, history)
    explanation = Recommender.load(run).explain(who, item)
    if as_json:
        print_json(asdict(explanation))
    else:
        typer.echo(explanation.table(k))


def score(
    run: Run,
    *,
    out: Annotated[Path, typer.Option(help="File to write: .parquet, .csv or .tsv.")],
    users: Annotated[
        str,
        typer.Option(
            metavar="all|FILE",
            help="All users of the training ratings; or a table with the column user, or an id a line.",
        ),
    ] = "all",
    k: Annotated[int, typer.Option("-k", help="How many items each.")] = 100,
    include_seen: Annotated[bool, typer.Option("--include-seen", help="Also items that are rated.")] = False,
    shrink: Annotated[
        float,
        typer.Option(help="Ratings at which half of an item's advantage counts; 0 ranks by prediction."),
    ] = 20.0,
    as_json: AsJson = False,
) -> None:
    """Write every user's best items, ranked as by recommend.

    The columns are user, rank (from 1), item, title (if known), prediction and score.
    """
    from refeed.inference.recommender import Recommender
    from refeed.inference.scoring import score as score_users
    from refeed.inference.tables import read_users

    done = score_users(
        Recommender.load(run),
        out,
        users=None if users == "all" else read_users(Path(users)),
        k=k,
        include_seen=include_seen,
        shrink=shrink,
    )
    if as_json:
        print_json(asdict(done))
    else:
        typer.echo(str(done), err=True)


def _table(lines: "Sequence[Recommendation]") -> str:
    rows = [("", "predicted", "ratings", "item", "title")]
    rows += [
        (str(place), f"{line.rating:.2f}", f"{line.support:,}", line.item, line.title or "")
        for place, line in enumerate(lines, start=1)
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    return "\n".join(
        "  ".join(cell.rjust(width) for cell, width in zip(row[:3], widths, strict=False))
        + f"  {row[3]:{widths[3]}}  {row[4]}".rstrip()
        for row in rows
    )
