"""The command line: a file for each group of verbs, one function a verb, no logic.

Results go to stdout, notes and progress to stderr. Exit codes: 0 done, 2 the user's mistake, 1 ours, 130
stopped by Ctrl-C.
"""
# ruff: noqa: PLC0415 - torch and DuckDB take seconds to import, `refeed --help` and a wrong option shouldn't

from collections.abc import Callable, Sequence
from typing import Annotated

import typer

from refeed.cli import data, evaluation, exporting, inference, reports, serving, training
from refeed.errors import UserError

__all__ = ["app", "main"]

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="Learn from a table of ratings, and predict the ones that are missing.",
)

_VERBS: list[Callable[..., None]] = [
    data.prepare,
    data.split,
    training.train,
    evaluation.evaluate,
    inference.predict,
    inference.recommend,
    inference.explain,
    inference.score,
    exporting.export,
    serving.serve,
    serving.retrain,
    data.simulate,
    reports.paper,
    reports.doctor,
]
for _verb in _VERBS:
    app.command(cls=evaluation.SeveralLengths if _verb is evaluation.evaluate else None)(_verb)


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
    except (MemoryError, RuntimeError) as error:
        if not _lacks_memory(error):
            raise
        what = str(error).partition("\n")[0]
        typer.echo(
            f"refeed: error: not enough memory: {what}; stop other programs, or use a machine with more",
            err=True,
        )
        return 2
    return 0


def _lacks_memory(error: MemoryError | RuntimeError) -> bool:
    """PyTorch's errors are RuntimeErrors, with a type of their own on GPUs alone."""
    return (
        isinstance(error, MemoryError)
        or type(error).__name__ == "OutOfMemoryError"
        or "DefaultCPUAllocator" in str(error)
    )


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
