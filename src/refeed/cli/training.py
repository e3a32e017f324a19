"""The verb that makes models: train."""
# ruff: noqa: PLC0415 - torch and DuckDB take seconds to import, `refeed --help` and a wrong option shouldn't

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from refeed.cli.options import Columns, EncodingName, EncodingOption, Missing, Wide, opened, read_options
from refeed.cli.serving import check_served

if TYPE_CHECKING:
    pass


def train(
    train_ratings: Annotated[
        Path,
        typer.Argument(
            metavar="TRAIN", help="Ratings to learn from: a store or a table.", show_default=False
        ),
    ],
    *,
    valid: Annotated[Path | None, typer.Option(help="Ratings that choose the best epoch.")] = None,
    out: Annotated[Path, typer.Option(help="Model folder to write.")],
    recipe: Annotated[
        str | None, typer.Option(metavar="NAME|FILE", help="What to train and how. [default: default]")
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="KEY=VALUE", help="Over the recipe, such as train.lr=0.005; repeatable."
        ),
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Over the recipe's train.seed.")] = None,
    columns: Columns = None,
    encoding: EncodingOption = EncodingName.utf_8,
    missing: Missing = None,
    wide: Wide = False,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the training in --out, if one has begun there.")
    ] = False,
    forgotten: Annotated[
        str | None,
        typer.Option(
            metavar="DATABASE", help="Leave out who asked a server of this database to be forgotten."
        ),
    ] = None,
) -> None:
    """Train a model.

    --resume without --recipe takes the one that the training was started with.
    """
    from refeed import api
    from refeed.config import load_recipe
    from refeed.progress import report_progress

    begun = out / "config.toml"
    if recipe is None:
        recipe = str(begun) if resume and begun.is_file() else "default"
    config = load_recipe(recipe, settings or [])
    options = read_options(columns, encoding, missing, wide=wide)
    ratings = opened(train_ratings, options)
    # Of few held-out ratings all may be equal, and are ratings none the less.
    held_out = None if valid is None else opened(valid, replace(options, kind=ratings.kind))
    if forgotten is not None:
        check_served()
        from refeed.serve.histories import without_forgotten

        ratings = without_forgotten(ratings, forgotten)
        held_out = None if held_out is None else without_forgotten(held_out, forgotten)
    with report_progress() as reporter:
        api.fit(ratings, held_out, recipe=config, out=out, seed=seed, resume=resume, reporter=reporter)
