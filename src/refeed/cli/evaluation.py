"""The verb that measures models: evaluate."""
# ruff: noqa: PLC0415 - torch and DuckDB take seconds to import, `refeed --help` and a wrong option shouldn't

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer
from typer.core import TyperCommand

from refeed.cli.options import (
    AsJson,
    Beta,
    ByOption,
    ColdOption,
    Columns,
    EncodingName,
    EncodingOption,
    Missing,
    Run,
    Seed,
    Unknown,
    Wide,
    opened,
    print_json,
    read_options,
)
from refeed.errors import ConfigError

if TYPE_CHECKING:
    from refeed.evaluation.evaluate import Comparison, Evaluation
    from refeed.evaluation.ranking import RankingComparison, RankingEvaluation
    from refeed.models.cold import Cold
    from refeed.ratings.store import Ratings


class SeveralLengths(TyperCommand):
    """A command whose --k takes all the numbers that follow it, as in --k 10 20 100."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        spelled: list[str] = []
        for word in args:
            repeated = word.isdecimal() and len(spelled) > 1 and spelled[-2] in {"--k", "-k"}
            spelled += ["--k", word] if repeated else [word]
        return super().parse_args(ctx, spelled)


def evaluate(
    run: Run,
    test: Annotated[Path, typer.Argument(metavar="TEST", help="A store or a table.", show_default=False)],
    *,
    against: Annotated[
        Path | None, typer.Option(metavar="OTHER", help="A model folder to compare with.")
    ] = None,
    ranking: Annotated[
        bool, typer.Option("--ranking", help="Measure lists instead: a full ranking of all unseen items.")
    ] = False,
    k: Annotated[
        list[int] | None,
        typer.Option("--k", "-k", help="With --ranking: lengths of the lists. [default: 10 20 100]"),
    ] = None,
    liked: Annotated[
        float | None, typer.Option(help="With --ranking: relevant is what is rated so or higher, not all.")
    ] = None,
    seen: Annotated[
        list[Path] | None,
        typer.Option(
            help="With --ranking: ratings that the model has seen beside its training's; repeatable."
        ),
    ] = None,
    given: Annotated[
        Path | None, typer.Option(help="With --ranking: what is known of people that training has not seen.")
    ] = None,
    cold: ColdOption = Unknown.empty,
    columns: Columns = None,
    encoding: EncodingOption = EncodingName.utf_8,
    missing: Missing = None,
    wide: Wide = False,
    by: ByOption = None,
    beta: Beta = None,
    seed: Seed = 0,
    as_json: AsJson = False,
) -> None:
    """Measure a model's errors on held-out ratings, or its lists, with their 95 % intervals."""
    from refeed.evaluation.evaluate import compare
    from refeed.evaluation.ranking import compare_rankings

    # Of few held-out ratings all may be equal, and are ratings none the less.
    reading = read_options(columns, encoding, missing, wide=wide, kind="auto" if ranking else "ratings")
    ratings = opened(test, reading)
    if not ranking and (k or by or any(value is not None for value in (liked, given, beta)) or seen):
        raise ConfigError(
            "--k, --liked, --by, --beta, --seen and --given go with --ranking; give it too, or leave them out"
        )
    one: Evaluation | RankingEvaluation
    other: Evaluation | RankingEvaluation | None
    comparison: Comparison | RankingComparison | None
    if ranking:
        options = _ListOptions(
            k or [10, 20, 100],
            liked,
            [opened(path, reading) for path in seen or []],
            None if given is None else opened(given, reading),
            None if by is None else by.value,
            beta,
            seed,
        )
        one = _evaluated_lists(run, ratings, options)
        other = None if against is None else _evaluated_lists(against, ratings, options)
        comparison = None if other is None else compare_rankings(one, other)
    else:
        one = _evaluated(run, ratings, cold.value, seed)
        other = None if against is None else _evaluated(against, ratings, cold.value, seed)
        comparison = None if other is None else compare(one, other)
    if as_json:
        print_json(
            one.as_dict()
            if other is None or comparison is None
            else {**one.as_dict(), "against": other.as_dict(), "difference": comparison.as_dict()}
        )
    elif other is None:
        typer.echo(str(one))
    else:
        typer.echo(f"one: {run}\n{one}\n\nother: {against}\n{other}\n\n{comparison}")


class _ListOptions(NamedTuple):
    k: list[int]
    liked: float | None
    seen: "list[Ratings]"
    given: "Ratings | None"
    by: str | None
    beta: float | None
    seed: int


def _evaluated_lists(run: Path, test: "Ratings", options: _ListOptions) -> "RankingEvaluation":
    from refeed import api

    return api.load(run).evaluate_lists(test, **options._asdict())


def _evaluated(run: Path, test: "Ratings", cold: "Cold", seed: int) -> "Evaluation":
    from refeed import api

    return api.load(run).evaluate(test, cold=cold, seed=seed)
