"""What training says while it runs: a bar on a terminal, one plain line an epoch elsewhere."""

import logging
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Protocol, TextIO, runtime_checkable

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TaskID, TextColumn, TimeRemainingColumn
from rich.text import Text

__all__ = ["Reporter", "logged", "report_progress", "silent"]

_LOGGER = logging.getLogger("refeed")
_LOGGER.addHandler(logging.NullHandler())


@runtime_checkable
class Reporter(Protocol):
    """Hears what training does."""

    def say(self, line: str) -> None:
        """A fact for the user."""
        ...

    def start_epoch(self, epoch: int, epochs: int, done: int, users: int) -> None:
        """An epoch starts, or goes on after `done` of its users."""
        ...

    def advance(self, users: int, loss: float) -> None:
        """A batch of so many users was trained on; its loss (MMSE) is of their ratings, before the update."""
        ...

    def end_epoch(self, metrics: Mapping[str, int | float | None]) -> None:
        """An epoch ended with this line of metrics.jsonl."""
        ...


def _line(metrics: Mapping[str, int | float | None]) -> str:
    valid = "" if metrics["valid_rmse"] is None else f"  valid RMSE {metrics['valid_rmse']:.4f}"
    return (
        f"epoch {metrics['epoch']:g}  train RMSE {metrics['train_rmse']:.4f}{valid}"
        f"  {metrics['seconds']:.1f} s  {metrics['users_per_second']:,.0f} users/s  lr {metrics['lr']:.2g}"
    )


class _Silent:
    """Says nothing (ranks other than the first, and callers who don't want to hear)."""

    def say(self, line: str) -> None: ...
    def start_epoch(self, epoch: int, epochs: int, done: int, users: int) -> None: ...
    def advance(self, users: int, loss: float) -> None: ...
    def end_epoch(self, metrics: Mapping[str, int | float | None]) -> None: ...


silent: Reporter = _Silent()


class _Logged(_Silent):
    """Tells the logger `refeed`, at the level INFO."""

    def say(self, line: str) -> None:
        _LOGGER.info(line)

    def end_epoch(self, metrics: Mapping[str, int | float | None]) -> None:
        _LOGGER.info(_line(metrics))


logged: Reporter = _Logged()
"""For library use: nothing is printed unless the program asks, as by `logging.basicConfig(level="INFO")`."""


class _Lines(_Silent):
    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def say(self, line: str) -> None:
        print(line, file=self._stream, flush=True)

    def end_epoch(self, metrics: Mapping[str, int | float | None]) -> None:
        self.say(_line(metrics))


class _Speed(ProgressColumn):
    def render(self, task: Task) -> Text:
        return Text("" if task.speed is None else f"{task.speed:,.0f} users/s")


class _Bar:
    """A bar for all epochs together, so that the time left is that of the whole training."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._task: TaskID | None = None

    def say(self, line: str) -> None:
        self._progress.console.print(line, highlight=False)

    def start_epoch(self, epoch: int, epochs: int, done: int, users: int) -> None:
        if self._task is None:
            self._task = self._progress.add_task("", total=epochs * users, completed=epoch * users + done)
        self._progress.update(self._task, description=f"epoch {epoch + 1}/{epochs}")

    def advance(self, users: int, loss: float) -> None:  # noqa: ARG002 - a Reporter's, and no part of a bar
        if self._task is not None:
            self._progress.advance(self._task, users)

    def end_epoch(self, metrics: Mapping[str, int | float | None]) -> None:
        self.say(_line(metrics))


@contextmanager
def report_progress(stream: TextIO | None = None) -> Iterator[Reporter]:
    """A reporter that fits the stream (default: stderr): a bar on a terminal, plain lines elsewhere."""
    stream = stream or sys.stderr
    if not stream.isatty():
        yield _Lines(stream)
        return
    columns = TextColumn("{task.description}"), BarColumn(), _Speed(), TimeRemainingColumn()
    with Progress(*columns, console=Console(file=stream), transient=True) as progress:
        yield _Bar(progress)
