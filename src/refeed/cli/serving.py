"""Verbs that run a server: serve, retrain."""
# ruff: noqa: PLC0415 - torch and FastAPI take seconds to import, `refeed --help` and a wrong option shouldn't

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from refeed.cli.options import AsJson, Run, check_one, print_json
from refeed.errors import UserError


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
        check_one(RUN=run, model=model or None, sample=sample)
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
    tolerance: Annotated[
        float, typer.Option(help="By how much the new RMSE may be higher, or nDCG@10 lower.")
    ] = 0.0,
    force: Annotated[bool, typer.Option("--force", help="Also with few new ratings.")] = False,
    anew: Annotated[
        bool, typer.Option("--anew", help="Do not start from what the old model has learned.")
    ] = False,
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
    """Train a served model further with the ratings that were given since, and swap it in if it is not worse.

    Who was forgotten is left out. The old folder stays as RUN.previous.
    """
    check_served()
    from refeed.progress import report_progress
    from refeed.serve.retrain import reload_server
    from refeed.serve.retrain import retrain as train_again

    beside = run.absolute()
    with report_progress() as reporter:
        done = train_again(
            run,
            database or str(beside.with_name(f"{beside.name}.sqlite")),
            hold_back=hold_back,
            tolerance=tolerance,
            force=force,
            anew=anew,
            reporter=reporter,
        )
    if done.swapped and server is not None:
        reload_server(server, token, model)
    if as_json:
        print_json(asdict(done))
    else:
        typer.echo(str(done))


def check_served() -> None:
    from importlib.util import find_spec

    if find_spec("sqlalchemy") is None:
        raise UserError(
            "this needs SQLAlchemy, which is not installed; install it by: pip install 'refeed[serve]'"
        )
