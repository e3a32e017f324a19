"""Verbs that report: paper, doctor."""
# ruff: noqa: PLC0415 - torch and DuckDB take seconds to import, `refeed --help` and a wrong option shouldn't

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from refeed.cli.options import AsJson, print_json

if TYPE_CHECKING:
    pass


class Experiment(StrEnum):
    """Of the paper: what `paper` makes."""

    table1 = "table1"
    figure2 = "figure2"
    figure3 = "figure3"
    table2 = "table2"
    figure4 = "figure4"
    figure5 = "figure5"
    table3 = "table3"
    table4 = "table4"
    all = "all"


def paper(
    what: Annotated[
        Experiment, typer.Argument(metavar="TABLE|FIGURE|all", help="Such as table2.", show_default=False)
    ],
    *,
    data: Annotated[
        Path,
        typer.Option(help="Ratings with times, in whatever shape prepare reads; or a folder that is split."),
    ],
    out: Annotated[Path, typer.Option(help="Folder to write, or to go on in.")],
    window: Annotated[
        list[str] | None,
        typer.Option(metavar="3m|6m|1y|full", help="Only this window; repeatable. [default: all there are]"),
    ] = None,
    scale: Annotated[float, typer.Option(help="Share of the users to keep.")] = 1.0,
    seeds: Annotated[int, typer.Option(help="Seeds for each training, each with its own coin.")] = 1,
    epochs: Annotated[int | None, typer.Option(help="At most so many. [default: as the recipes say]")] = None,
    jobs: Annotated[int, typer.Option(help="Trainings at a time, which share the processor.")] = 1,
) -> None:
    """Make the paper's tables and figures on any ratings, with its numbers beside the measured ones.

    An interrupted command goes on where it stopped.
    """
    from refeed.paper.report import make_report

    report = make_report(
        what.value,
        data,
        out,
        windows=window or (),
        scale=scale,
        seeds=seeds,
        epochs=epochs,
        jobs=jobs,
        say=lambda line: typer.echo(line, err=True),
    )
    typer.echo(str(report))


def doctor(*, as_json: AsJson = False) -> None:
    """Print the facts about this machine that decide how refeed runs on it."""
    from refeed.doctor import environment

    facts = environment()
    if as_json:
        print_json(facts)
    else:
        typer.echo("\n".join(f"{name:15} {'none' if fact is None else fact}" for name, fact in facts.items()))
