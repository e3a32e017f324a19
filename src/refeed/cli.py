"""The command line: one function a verb, no logic.

Results go to stdout, notes and progress to stderr. Exit codes: 0 done, 2 the user's mistake, 1 ours, 130
stopped by Ctrl-C.
"""
# ruff: noqa: PLC0415 - torch and DuckDB take seconds to import, `refeed --help` and a wrong option shouldn't

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from refeed.errors import ConfigError, UserError

if TYPE_CHECKING:
    from refeed.evaluation.evaluate import Evaluation
    from refeed.inference.recommender import Recommendation
    from refeed.ratings.store import Ratings

__all__ = ["app", "main"]

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="Learn from a table of ratings, and predict the ones that are missing.",
)

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


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        argv: its words without the program's name; None: those that the process was started with.

    Returns:
        The exit code.
    """
    try:
        app(args=argv, prog_name="refeed")
    except SystemExit as done:  # how typer ends, well or with a wrong option
        return int(done.code or 0)
    except UserError as error:
        typer.echo(f"refeed: error: {error}", err=True)
        return 2
    except OSError as error:  # a full disk, a folder that can't be written, a file in a folder's place
        what = f"{error.filename}: {error.strerror}" if error.filename else str(error)
        typer.echo(f"refeed: error: {what}; expected a path that can be read or written", err=True)
        return 2
    return 0


def _print_version(wanted: bool) -> bool:
    if wanted:
        import refeed

        typer.echo(f"refeed {refeed.__version__}")
        raise typer.Exit
    return wanted


@app.callback()
def _refeed(
    *,
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


class Format(StrEnum):
    """Of what `prepare` reads."""

    auto = "auto"
    table = "table"
    netflix = "netflix"
    movielens = "movielens"


@app.command()
def prepare(
    sources: Annotated[
        list[str],  # a Path would change the slashes of a URL
        typer.Argument(
            metavar="SOURCE…",
            help="Tables (CSV, TSV, JSON lines, Parquet), a folder or archive of MovieLens or Netflix, or "
            "the database of a server (its SQLite file, or postgresql://…).",
            show_default=False,
        ),
    ],
    *,
    out: Annotated[Path, typer.Option(help="Store to write.")],
    format: Annotated[Format, typer.Option(help="What the sources are; auto looks.")] = Format.auto,  # noqa: A002 - the option's name
    columns: Annotated[
        str | None,
        typer.Option(
            metavar="user=…,item=…,rating=…,timestamp=…",
            help="Which column is which, by name or number from 1.",
        ),
    ] = None,
    titles: Annotated[Path | None, typer.Option(help="A table of items and their titles.")] = None,
    memory: Annotated[str, typer.Option(help="What may be held before the disk is used.")] = "2GB",
    skip_bad: Annotated[
        bool, typer.Option("--skip-bad", help="Leave bad rows out, and write them to STORE.bad.csv.")
    ] = False,
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
    )
    typer.echo(str(report))


@app.command()
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
    valid: Annotated[float, typer.Option(help="Part of the held-out ratings that goes to validation.")] = 0.5,
    seed: Seed = 0,
) -> None:
    """Split ratings into train, validation and test.

    Without --at, --last or --random the last tenth of all ratings by time is held out.
    """
    from refeed.ratings import split as splits

    _check_one(at=at, last=last, random=random)
    if at is None and (train_from or test_to):
        raise ConfigError(
            "--train-from and --test-to go with --at DATE, the first day of the test; give it too"
        )
    ratings = _opened(store)
    if at is not None:
        parts = splits.split_by_date(
            ratings, at, train_from=train_from, test_to=test_to, valid=valid, seed=seed
        )
    elif last is not None:
        parts = splits.split_last(ratings, last, valid=valid, seed=seed)
    elif random is not None:
        parts = splits.split_random(ratings, random, valid=valid, seed=seed)
    else:
        parts = splits.split_by_time(ratings, valid=valid, seed=seed)
    splits.write_split(parts, out)
    typer.echo(str(parts.report))


@app.command()
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
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the training in --out.")] = False,
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
    from refeed.config import load_recipe
    from refeed.training.fit import fit
    from refeed.training.progress import reporting

    begun = out / "config.toml"
    if recipe is None:
        recipe = str(begun) if resume and begun.is_file() else "default"
    seeds = [] if seed is None else [f"train.seed={seed}"]
    config = load_recipe(recipe, [*(settings or []), *seeds])
    ratings, held_out = _opened(train_ratings), None if valid is None else _opened(valid)
    if forgotten is not None:
        _check_served()
        from refeed.serve.histories import without_forgotten

        ratings = without_forgotten(ratings, forgotten)
        held_out = None if held_out is None else without_forgotten(held_out, forgotten)
    with reporting() as reporter:
        fit(ratings, held_out, config, out, resume=resume, reporter=reporter)


@app.command()
def evaluate(
    run: Run,
    test: Annotated[Path, typer.Argument(metavar="TEST", help="A store or a table.", show_default=False)],
    *,
    against: Annotated[
        Path | None, typer.Option(metavar="OTHER", help="A model folder to compare with.")
    ] = None,
    seed: Seed = 0,
    as_json: AsJson = False,
) -> None:
    """Measure a model's errors on held-out ratings, with their 95 % intervals."""
    from refeed.evaluation.evaluate import compare

    ratings = _opened(test)
    one = _evaluated(run, ratings, seed)
    other = None if against is None else _evaluated(against, ratings, seed)
    comparison = None if other is None else compare(one, other)
    if as_json:
        _print_json(
            one.as_dict()
            if other is None or comparison is None
            else {**one.as_dict(), "against": other.as_dict(), "difference": comparison.as_dict()}
        )
    elif other is None:
        typer.echo(str(one))
    else:
        typer.echo(f"one: {run}\n{one}\n\nother: {against}\n{other}\n\n{comparison}")


def _evaluated(run: Path, test: "Ratings", seed: int) -> "Evaluation":
    from refeed.evaluation.evaluate import evaluate as evaluate_model
    from refeed.inference.recommender import Recommender

    recommender = Recommender.load(run)
    folder = recommender.folder
    return evaluate_model(folder.model, recommender.histories, test, scale=folder.scale, seed=seed)


@app.command()
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
) -> None:
    """Predict the rating of each pair of a user and an item.

    Writes user, item, prediction in the same order; where the model knows no such user or item, the
    prediction stays empty, and a note counts them.
    """
    from refeed.inference.recommender import Recommender
    from refeed.inference.tables import predict_table

    done = predict_table(Recommender.load(run), pairs, out, clip=clip, interval=interval)
    typer.echo(str(done), err=True)


@app.command()
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

    who = _person(user, rate, history)
    lines = Recommender.load(run).recommend(
        who,
        k,
        include_seen=include_seen,
        only=only or None,
        exclude=exclude or None,
        cautious=cautious,
    )
    if as_json:
        _print_json({"recommendations": [asdict(line) for line in lines]})
    else:
        typer.echo(_table(lines))


@app.command()
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

    who = _person(user, rate, history)
    explanation = Recommender.load(run).explain(who, item)
    if as_json:
        _print_json(asdict(explanation))
    else:
        typer.echo(explanation.table(k))


@app.command()
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
        _print_json(asdict(done))
    else:
        typer.echo(str(done), err=True)


class SimulatedFormat(StrEnum):
    """Of what `simulate` writes."""

    parquet = "parquet"
    netflix = "netflix"


@app.command()
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
        _print_json(asdict(report))
    else:
        typer.echo(str(report))


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


@app.command()
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


@app.command()
def serve(
    run: Annotated[
        Path | None,
        typer.Argument(
            metavar="RUN", help="A model folder, as train wrote it.", show_default=False, envvar="REFEED_RUN"
        ),
    ] = None,
    *,
    sample: Annotated[
        bool,
        typer.Option(
            "--sample", help="Train on the films that come with refeed first.", envvar="REFEED_SAMPLE"
        ),
    ] = False,
    model: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=RUN[:SHARE]",
            help="Instead of RUN: several models, each for a share of the people; repeatable.",
            envvar="REFEED_MODEL",
        ),
    ] = None,
    database: Annotated[
        str | None,
        typer.Option(
            help="Of the ratings: a file for SQLite, or postgresql://…. [default: RUN.sqlite, beside RUN]",
            envvar="REFEED_DATABASE",
        ),
    ] = None,
    host: Annotated[str, typer.Option(help="Address to listen at.", envvar="REFEED_HOST")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="0: any that is free.", envvar="REFEED_PORT")] = 8000,
    tokens: Annotated[
        Path | None,
        typer.Option(
            help="A file with lines `read TOKEN` and `write TOKEN`; then other machines may call.",
            envvar="REFEED_TOKENS",
        ),
    ] = None,
    name: Annotated[
        list[str] | None,
        typer.Option(help="Another name by which this server is called; repeatable.", envvar="REFEED_NAME"),
    ] = None,
    origin: Annotated[
        list[str] | None,
        typer.Option(help="A site whose pages may call this server; repeatable.", envvar="REFEED_ORIGIN"),
    ] = None,
    rate: Annotated[
        float, typer.Option(help="Requests a second from one address; 0: any number.", envvar="REFEED_RATE")
    ] = 0.0,
    queue: Annotated[
        int, typer.Option(help="Questions that may wait for the model.", envvar="REFEED_QUEUE")
    ] = 1024,
    max_body: Annotated[int, typer.Option(help="Bytes of a request.", envvar="REFEED_MAX_BODY")] = 4 << 20,
    max_history: Annotated[
        int, typer.Option(help="Ratings of a person.", envvar="REFEED_MAX_HISTORY")
    ] = 10_000,
    max_list: Annotated[int, typer.Option(help="Items of a list.", envvar="REFEED_MAX_LIST")] = 1_000,
    page: Annotated[bool, typer.Option(help="A page for people at /.", envvar="REFEED_PAGE")] = True,
    access_log: Annotated[
        bool, typer.Option(help="A line of JSON to stderr for each request.", envvar="REFEED_ACCESS_LOG")
    ] = True,
    threads: Annotated[
        int, typer.Option(help="For the model; 0: one less than there are cores.", envvar="REFEED_THREADS")
    ] = 0,
) -> None:
    """Serve a model: lists and predictions over HTTP, ratings that people give, and a page to click on.

    Every option can be given as an environment variable, too: --max-body as REFEED_MAX_BODY.
    """
    from refeed.serve.run import prepare_sample
    from refeed.serve.run import serve as serve_models

    def say(line: str) -> None:
        typer.echo(line, err=True)

    if sample:
        _check_one(RUN=run, model=model or None, sample=sample)
        run = prepare_sample(Path("refeed-sample"), say)

    def settings() -> object:
        from refeed.serve.lineup import parse_models
        from refeed.serve.settings import Limits, Settings, Tokens

        places = parse_models(run, model or [])
        beside = places[0].run.absolute()
        return Settings(
            places,
            database or str(beside.with_name(f"{beside.name}.sqlite")),
            host=host,
            port=port,
            tokens=None if tokens is None else Tokens.read(tokens),
            limits=Limits(body=max_body, history=max_history, list_length=max_list, queue=queue, rate=rate),
            page=page,
            names=tuple(name or ()),
            origins=tuple(origin or ()),
            threads=threads,
        )

    serve_models(settings, access_log=access_log, say=say)


@app.command()
def retrain(
    run: Run,
    *,
    database: Annotated[
        str | None,
        typer.Option(
            help="Of the ratings that the server took. [default: RUN.sqlite, beside RUN]",
            envvar="REFEED_DATABASE",
        ),
    ] = None,
    hold_back: Annotated[
        float, typer.Option(help="Share of the new ratings to compare both models by.")
    ] = 0.1,
    tolerance: Annotated[float, typer.Option(help="By how much the new RMSE may be higher.")] = 0.0,
    force: Annotated[bool, typer.Option("--force", help="Also with few new ratings.")] = False,
    server: Annotated[
        str | None,
        typer.Option(metavar="URL", help="A server to load the new model.", envvar="REFEED_SERVER"),
    ] = None,
    model: Annotated[str, typer.Option(help="The model's name there.")] = "main",
    token: Annotated[
        str | None,
        typer.Option(
            help="One that may write; better as the variable.", envvar="REFEED_TOKEN", show_default=False
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Train a served model anew with the ratings that were given since, and swap it in if it is not worse.

    Who was forgotten is left out. The old folder stays as RUN.previous.
    """
    _check_served()
    from refeed.serve.retrain import reload_server
    from refeed.serve.retrain import retrain as train_again
    from refeed.training.progress import reporting

    beside = run.absolute()
    with reporting() as reporter:
        done = train_again(
            run,
            database or str(beside.with_name(f"{beside.name}.sqlite")),
            hold_back=hold_back,
            tolerance=tolerance,
            force=force,
            reporter=reporter,
        )
    if done.swapped and server is not None:
        reload_server(server, token, model)
    if as_json:
        _print_json(asdict(done))
    else:
        typer.echo(str(done))


def _check_served() -> None:
    from importlib.util import find_spec

    if find_spec("sqlalchemy") is None:
        raise UserError(
            "this needs SQLAlchemy, which is not installed; install it by: pip install 'refeed[serve]'"
        )


@app.command()
def doctor(*, as_json: AsJson = False) -> None:
    """Print the facts about this machine that decide how refeed runs on it."""
    from refeed.doctor import environment

    facts = environment()
    if as_json:
        _print_json(facts)
    else:
        typer.echo("\n".join(f"{name:15} {'none' if fact is None else fact}" for name, fact in facts.items()))


def _opened(path: Path) -> "Ratings":
    from refeed.ratings.read import open_ratings
    from refeed.ratings.store import is_store

    ratings = open_ratings(path)
    duplicates = ratings.source.get("duplicates", 0)
    if duplicates and not is_store(path):  # a store's were reported when it was made
        typer.echo(f"{path}: {duplicates:,} rows left out, as a later one rates the same item", err=True)
    return ratings


def _person(user: str | None, rate: list[str] | None, history: Path | None) -> str | dict[str, float]:
    """Who is asked about: a user by id, or anyone by their ratings."""
    from refeed.inference.tables import parse_ratings, read_history

    _check_one(required=True, user=user, rate=rate or None, history=history)
    if user is not None:
        return user
    return read_history(history) if history else parse_ratings(rate or [])


def _check_one(*, required: bool = False, **options: object) -> None:
    """At most one of some options (exactly one, if required)."""
    given = [f"--{name}" for name, value in options.items() if value is not None]
    if len(given) > 1:
        raise ConfigError(f"{' and '.join(given)} exclude each other; give one of them")
    if required and not given:
        raise ConfigError(f"give one of {', '.join(f'--{name}' for name in options)}")


def _print_json(value: Mapping[str, object]) -> None:
    typer.echo(json.dumps(value, allow_nan=False))


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
