"""Doing all runs of a report, each in a process of its own; those that are done already are left alone."""

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from refeed.config import AutoencoderConfig, Config
from refeed.errors import UserError
from refeed.paper.data import Data, Parts
from refeed.paper.trial import Result, Run, read_result

__all__ = ["Outcomes", "carry_out", "effort"]

Say = Callable[[str], None]

_START = 1e11
"""Multiplications that would take as long as to start a process."""


@dataclass(frozen=True)
class Outcomes:
    """What became of the runs.

    Args:
        results: of the runs that ended, well or diverged.
        failed: why each of the others gave nothing.
    """

    results: Mapping[Run, Result]
    failed: Mapping[Run, str] = field(default_factory=dict)


@dataclass(frozen=True)
class _Job:
    run: Run
    parts: Parts
    folder: Path

    @property
    def key(self) -> str:
        return self.run.key(self.parts)

    def text(self) -> str:
        parts = {name: str(getattr(self.parts, name)) for name in ("train", "valid", "test")}
        job = {"run": str(self.folder), "key": self.key, "config": self.run.config.to_toml(), **parts}
        return json.dumps(job) + "\n"


def carry_out(runs: Iterable[Run], data: Data, out: Path, *, jobs: int, say: Say) -> Outcomes:
    """Do all runs that aren't done; whatever is interrupted goes on the next time.

    Args:
        runs: in the order to do them; one that occurs twice is done once.
        data: their ratings.
        out: the folder of the run folders.
        jobs: processes at a time.
        say: hears the plan, and a line for each run that ends.
    """
    out.mkdir(parents=True, exist_ok=True)
    folders: dict[Run, Path] = {}
    failed: dict[Run, str] = {}
    todo: dict[Path, _Job] = {}
    done: dict[Path, Result | str] = {}
    for run in dict.fromkeys(runs):
        try:
            parts = data.parts(run.window, run.protocol, run.seed)
        except UserError as error:
            failed[run] = str(error)
            continue
        # Runs of different experiments with the same settings share a folder.
        job = _Job(run, parts, out / run.name(parts))
        folders[run] = job.folder
        result = read_result(job.folder, job.key)
        if result is None:
            todo[job.folder] = job
        else:
            done[job.folder] = result
    begun = sum((folder / "config.toml").is_file() for folder in todo)
    say(
        f"{len(done) + len(todo)} trainings: {len(done)} are done, {begun} are begun and go on, "
        f"{len(todo) - begun} are to do; stop when you like, the same command goes on"
    )
    children = _Children(jobs)
    try:
        done |= {job.folder: outcome for job, outcome in children.each(list(todo.values()), say)}
    finally:
        children.stop()
    results = {}
    for run, folder in folders.items():
        outcome = done[folder]
        if isinstance(outcome, str):
            failed[run] = outcome
        else:
            results[run] = outcome
    return Outcomes(results, failed)


class _Children:
    """At most `jobs` worker processes at a time."""

    def __init__(self, jobs: int) -> None:
        self._jobs = jobs
        self._pool = ThreadPoolExecutor(jobs)
        self._pipes: set[int] = set()  # to the workers that run: as one closes, its worker saves and ends
        self._lock = threading.Lock()
        self._stopped = False

    def stop(self) -> None:
        """Stop the workers that still run, and wait for them."""
        with self._lock:
            self._stopped = True
            while self._pipes:
                os.close(self._pipes.pop())
        self._pool.shutdown(cancel_futures=True)

    def each(self, todo: list[_Job], say: Say) -> Iterable[tuple[_Job, Result | str]]:
        """Every job with its result, or the message of its failure, as they end."""
        futures: dict[Future[Result | str], _Job] = {self._pool.submit(self._run, job): job for job in todo}
        pace = _Pace(todo)
        waiting = set(futures)
        while waiting:
            ended, waiting = wait(waiting, return_when=FIRST_COMPLETED)
            for future in ended:
                job, outcome = futures[future], future.result()
                say(f"{job.folder.name}: {_told(outcome)}; {pace.ended(job, outcome)}")
                yield job, outcome

    def _run(self, job: _Job) -> Result | str:
        log = job.folder.with_name(f"{job.folder.name}.log")
        with log.open("a", encoding="utf-8") as stderr:
            with self._lock:
                if self._stopped:
                    raise KeyboardInterrupt
                stdin, pipe = os.pipe()
                child = subprocess.Popen(
                    [sys.executable, "-m", "refeed.paper.worker"],
                    stdin=stdin,
                    stderr=stderr,
                    env=self._environment(),
                    start_new_session=True,  # Ctrl-C is for us: the worker stops as its stdin closes
                )
                os.close(stdin)
                self._pipes.add(pipe)
                with suppress(BrokenPipeError):  # it ended at once; the log says why
                    os.write(pipe, job.text().encode())
            code = child.wait()
            with self._lock:
                if pipe in self._pipes:
                    self._pipes.remove(pipe)
                    os.close(pipe)
        result = read_result(job.folder, job.key)
        return result if code == 0 and result is not None else _why(log, code)

    def _environment(self) -> dict[str, str]:
        if self._jobs == 1 or "OMP_NUM_THREADS" in os.environ:
            return dict(os.environ)
        threads = max(1, (os.cpu_count() or 1) // self._jobs)
        return {**os.environ, "OMP_NUM_THREADS": str(threads)}


class _Pace:
    """How long what is left will take: as much for each multiplication as what was done."""

    def __init__(self, todo: list[_Job]) -> None:
        self._efforts = {job.folder: effort(job.run.config, *job.parts.shape) for job in todo}
        self._began = time.monotonic()
        self._done = 0.0

    def ended(self, job: _Job, outcome: Result | str) -> str:
        """In words, once a job ended."""
        its = self._efforts.pop(job.folder)
        self._done += 0.0 if isinstance(outcome, str) else its
        if not self._efforts or not self._done:
            return f"{len(self._efforts)} to go"
        seconds = (time.monotonic() - self._began) * sum(self._efforts.values()) / self._done
        return f"{len(self._efforts)} to go, about {_duration(seconds)}"


def _duration(seconds: float) -> str:
    minutes = round(seconds / 60)
    return f"{minutes // 60} h {minutes % 60:02} min" if minutes >= 60 else f"{max(1, minutes)} min"


def _why(log: Path, code: int) -> str:
    """The last thing that a worker said, as it was the reason why it ended."""
    text = log.read_text(encoding="utf-8").rstrip()
    _, of_the_users, message = text.rpartition("refeed: error: ")
    if code == 2 and of_the_users:
        return message
    return f"{text.splitlines()[-1] if text else 'no message'} (exit code {code}; {log} has more)"


def effort(config: Config, users: int, items: int, ratings: int) -> float:
    """Multiplications of a training, roughly: what one takes in proportion to another.

    Args:
        config: what is trained.
        users: of the training ratings.
        items: likewise.
        ratings: their number.
    """
    model, train = config.model, config.train
    if not isinstance(model, AutoencoderConfig):  # no more than a guess, from some that fit themselves
        return _START + 2e4 * ratings * getattr(model, "epochs", getattr(model, "iterations", 0))
    if model.axis == "item":
        users, items = items, users
    widths = [*model.encoder, *(model.encoder[-2::-1] if model.decoder is None else model.decoder)]
    inner = sum(a * b for a, b in pairwise(widths))
    ends = widths[0] + widths[-1]
    sparse = 4.0 * ratings * ends  # no matrix products, so slower for each multiplication
    dense = users * (inner + train.refeed * (inner + items * ends))
    batches = users / (128 if train.batch == "auto" else train.batch)
    update = (1 + train.refeed) * batches * (items * ends + inner)
    return _START + 3.0 * train.epochs * (sparse + dense + update)


def _told(outcome: Result | str) -> str:
    if isinstance(outcome, str):
        return f"failed: {outcome}"
    if outcome.diverged is not None:
        return f"diverged after {outcome.epochs} epochs"
    return f"test RMSE {outcome.test_rmse:.4f}, {outcome.seconds:.0f} s of training"
