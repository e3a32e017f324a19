"""Verbs that use a model: predict, recommend, explain, score."""
# ruff: noqa: PLC0415 - torch and DuckDB take seconds to import, `refeed --help` and a wrong option shouldn't

import math
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from refeed.cli.options import (
    AsJson,
    Beta,
    ByOption,
    ColdOption,
    Columns,
    EncodingName,
    EncodingOption,
    History,
    Liked,
    Novelty,
    Rate,
    Run,
    Seed,
    Shrink,
    Unknown,
    UserId,
    Where,
    check_one,
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
    by: ByOption = None,
    liked: Liked = None,
    beta: Beta = None,
    include_seen: Annotated[bool, typer.Option("--include-seen", help="Also items that are rated.")] = False,
    only: Annotated[
        list[str] | None, typer.Option(metavar="ITEM", help="Choose among these alone; repeatable.")
    ] = None,
    exclude: Annotated[
        list[str] | None, typer.Option(metavar="ITEM", help="Leave this out; repeatable.")
    ] = None,
    where: Where = None,
    novelty: Novelty = 0.0,
    diversity: Annotated[float, typer.Option(help="From 0 to 1: items unlike each other.")] = 0.0,
    explore: Annotated[
        float, typer.Option(help="Chance of each place to have an item of which little is known instead.")
    ] = 0.0,
    seed: Seed = 0,
    shrink: Shrink = 20.0,
    cautious: Annotated[
        float,
        typer.Option(help="Deviations of each prediction to take off before ranking: prefers what is sure."),
    ] = 0.0,
    as_json: AsJson = False,
) -> None:
    """Recommend items to a user, or to anyone by their ratings.

    The list is ranked by who will take an item up and like it, if the model has both parts; else by the
    predicted rating, shrunk by how many ratings an item has.
    """
    from refeed.inference.recommender import Recommender

    check_one(required=True, user=user, rate=rate or None, history=history)
    model = Recommender.load(run)
    who = person(user, rate, history, model.trained.kind)
    lines = model.recommend(
        who,
        k,
        by=None if by is None else by.value,
        liked=liked,
        beta=beta,
        include_seen=include_seen,
        only=only or None,
        exclude=exclude or None,
        where=where,
        novelty=novelty,
        diversity=diversity,
        explore=explore,
        seed=seed,
        shrink=shrink,
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

    check_one(required=True, user=user, rate=rate or None, history=history)
    model = Recommender.load(run)
    explanation = model.explain(person(user, rate, history, model.trained.kind), item)
    if as_json:
        print_json(_finite(asdict(explanation)))
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
    cold: ColdOption = Unknown.error,
    include_seen: Annotated[bool, typer.Option("--include-seen", help="Also items that are rated.")] = False,
    by: ByOption = None,
    liked: Liked = None,
    beta: Beta = None,
    where: Where = None,
    novelty: Novelty = 0.0,
    shrink: Shrink = 20.0,
    as_json: AsJson = False,
) -> None:
    """Write every user's best items, ranked as by recommend.

    The columns are user, rank (from 1), item, title (if known), prediction, p_liked (if known) and score.
    """
    from refeed.inference.recommender import Recommender
    from refeed.inference.scoring import score as score_users
    from refeed.inference.tables import read_users

    done = score_users(
        Recommender.load(run),
        out,
        users=None if users == "all" else read_users(Path(users)),
        k=k,
        cold=cold.value,
        include_seen=include_seen,
        by=None if by is None else by.value,
        liked=liked,
        beta=beta,
        where=where,
        novelty=novelty,
        shrink=shrink,
    )
    if as_json:
        print_json(asdict(done))
    else:
        typer.echo(str(done), err=True)


def _table(lines: "Sequence[Recommendation]") -> str:
    rows = [("", "predicted", "liked", "ratings", "item", "title")]
    rows += [
        (
            str(place),
            "" if line.rating is None else f"{line.rating:.2f}",
            "" if line.p_liked is None else f"{line.p_liked:.0%}",
            f"{line.support:,}",
            line.item,
            line.title or "",
        )
        for place, line in enumerate(lines, start=1)
    ]
    kept = [at for at in range(6) if at in (0, 4) or any(row[at] for row in rows[1:])] if lines else [0, 4]
    widths = [max(len(row[column]) for row in rows) for column in range(6)]
    return "\n".join(
        "  ".join(row[at].rjust(widths[at]) if at < 4 else row[at].ljust(widths[at]) for at in kept).rstrip()
        for row in rows
    )


def _finite(value: Any) -> Any:
    """The same with None for NaN, which JSON has not."""
    if isinstance(value, dict):
        return {key: _finite(each) for key, each in value.items()}
    return None if isinstance(value, float) and math.isnan(value) else value
