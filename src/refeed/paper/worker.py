"""A process that trains and measures one run: `python -m refeed.paper.worker`, a job as JSON on stdin.

A process of its own, so that its peak memory is the run's alone. It goes on with a training that was stopped,
and stops, with everything saved, when stdin is closed: when the process that started it ends, however.
"""

import fcntl
import json
import math
import os
import resource
import shutil
import signal
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TextIO

import numpy as np
import torch

from refeed.config import config_from_toml
from refeed.errors import TrainingDivergedError, UserError
from refeed.evaluation.evaluate import evaluate
from refeed.evaluation.metrics import UserErrors
from refeed.files import atomic_file
from refeed.paper.trial import Result, read_result, write_result
from refeed.progress import Reporter, report_progress
from refeed.ratings.pairs import align_to
from refeed.ratings.store import Ratings
from refeed.trained_model import TrainedModel
from refeed.training.fit import fit

__all__ = ["main"]

_NO_LONGER_NEEDED = ("history", "resume.pt", "last.safetensors")


def main() -> int:
    """Do the job on stdin; progress goes to stderr.

    Returns:
        The exit code, as of the command line.
    """
    # Another process may still be saving what it did of this run; both write to the same log.
    fcntl.flock(sys.stderr.fileno(), fcntl.LOCK_EX)
    job: dict[str, Any] = json.loads(sys.stdin.readline())
    threading.Thread(target=_stop_with_parent, daemon=True).start()
    try:
        _work(job)
    except UserError as error:
        sys.stderr.write(f"refeed: error: {error}\n")
        return 2
    except KeyboardInterrupt:
        return 130
    return 0


def _stop_with_parent() -> None:
    sys.stdin.read()
    os.kill(os.getpid(), signal.SIGTERM)


def _work(job: Mapping[str, Any]) -> None:
    run = Path(job["run"])
    if read_result(run, job["key"]) is not None:  # another command did it while this one waited
        return
    config = config_from_toml(job["config"], where=run.name)
    train, valid, test = (Ratings.load(Path(job[part])) for part in ("train", "valid", "test"))
    begun = (run / "config.toml").is_file()
    if not begun:  # stopped before there was anything to go on with
        shutil.rmtree(run, ignore_errors=True)
    diverged = None
    try:
        with report_progress() as reporter, _Batches.beside(run, reporter) as batches:
            fit(train, valid, config, run, resume=begun, reporter=batches)
    except TrainingDivergedError as error:
        diverged = str(error).partition(". ")[0]  # what follows is advice on settings, and names the folder
    peak = _peak_mib()
    result = _measured(run, job["key"], peak, diverged, train, test)
    write_result(result)
    for name in _NO_LONGER_NEEDED:
        path = run / name
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)


class _Batches:
    """Passes on what a reporter hears, and notes the loss of every batch in batches.csv."""

    def __init__(self, path: Path, heard: Reporter) -> None:
        self._path = path
        self._heard = heard
        self._file: TextIO | None = None
        self._epoch = 0
        self._users = 0

    @classmethod
    @contextmanager
    def beside(cls, run: Path, heard: Reporter) -> Iterator["_Batches"]:
        batches = cls(run / "batches.csv", heard)
        try:
            yield batches
        finally:
            if batches._file is not None:
                batches._file.close()

    def say(self, line: str) -> None:
        self._heard.say(line)

    def start_epoch(self, epoch: int, epochs: int, done: int, users: int) -> None:
        self._epoch, self._users = epoch, done
        self._heard.start_epoch(epoch, epochs, done, users)

    def advance(self, users: int, loss: float) -> None:
        self._file = self._file or self._path.open("a", encoding="utf-8", buffering=1)
        self._users += users
        self._file.write(f"{self._epoch},{self._users},{loss:.7g}\n")
        self._heard.advance(users, loss)

    def end_epoch(self, metrics: Mapping[str, int | float | None]) -> None:
        self._heard.end_epoch(metrics)


def _measured(
    run: Path, key: str, peak: float, diverged: str | None, train: Ratings, test: Ratings
) -> Result:
    lines = []
    with suppress(FileNotFoundError):
        lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text("utf-8").splitlines()]
    facts: dict[str, Any] = {
        "key": key,
        "folder": run,
        "diverged": diverged,
        "epochs": len(lines),
        "seconds": math.fsum(line["seconds"] for line in lines),
        "peak_mib": peak,
    }
    if diverged is not None:
        return Result(**facts)
    model = TrainedModel.load(run).model
    measured = evaluate(model, train, test, scale=train.scale, resamples=1)
    users = np.unique(align_to(test, train).users)
    by_id = np.array(sorted(users.tolist(), key=lambda user: train.user_ids[user]), dtype=np.int64)
    with atomic_file(run / "errors.npz") as beside, beside.open("wb") as file:
        evidence = measured.evidence
        np.savez(file, users=by_id, raw=_table(evidence.errors), clipped=_table(evidence.clipped))
    best = min(lines, key=lambda line: line["valid_rmse"])
    return Result(
        **facts,
        best_epoch=best["epoch"],
        valid_rmse=best["valid_rmse"],
        test_rmse=measured.rmse.value,
        test_rmse_clipped=measured.rmse_clipped.value,
        cold=measured.cold_ratings,
        pairs=evidence.pairs,
        parameters=_parameters(model),
    )


def _parameters(model: object) -> int | None:
    if not isinstance(model, torch.nn.Module):
        return None
    return sum(each.numel() for each in model.parameters()) or None


def _table(errors: UserErrors) -> np.ndarray[Any, np.dtype[np.float64]]:
    return np.stack([errors.counts, errors.squared, errors.absolute], axis=1)


def _peak_mib() -> float:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak / (2**20 if sys.platform == "darwin" else 2**10), 1)  # bytes there, KiB on Linux


if __name__ == "__main__":
    sys.exit(main())
