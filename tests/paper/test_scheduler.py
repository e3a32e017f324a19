"""Trainings as processes of their own: done once, gone on with, and reported if they fail."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from refeed.config import load_recipe
from refeed.paper.data import Data, open_data
from refeed.paper.report import make_report
from refeed.paper.scheduler import carry_out, effort
from refeed.paper.trial import Run
from refeed.ratings.simulate import simulate_ratings

SMALL = ("model.encoder=[4]", "train.batch=50")


def data_of(folder: Path) -> Data:
    if not (folder / "store").exists():
        simulate_ratings(users=300, items=40, ratings=5_000, seed=1).save(folder / "store")
    return open_data(folder / "store", folder / "data")


def metrics(folder: Path) -> list[dict[str, Any]]:
    """Without what depends on the machine's speed."""
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text("utf-8").splitlines()]
    return [{key: line[key] for key in ("epoch", "train_rmse", "valid_rmse", "lr")} for line in lines]


def test_a_run_leaves_its_result_and_is_not_done_again(tmp_path: Path) -> None:
    data, said = data_of(tmp_path), list[str]()
    run = Run("full", "deeprec-netflix-full", SMALL, epochs=2)
    same = Run("full", "deeprec-netflix-full", (*SMALL, "train.lr=0.005"), epochs=2)
    first = carry_out([run, same], data, tmp_path / "runs", jobs=1, say=said.append)
    assert said[0].startswith("1 trainings: 0 are done, 0 are begun and go on, 1 are to do")
    result = first.results[run]
    assert first.results[same].folder == result.folder
    assert result.epochs == 2
    assert result.peak_mib > 50
    assert result.valid_rmse == min(line["valid_rmse"] for line in metrics(result.folder))
    users, table = result.errors()
    assert len(users) == len(set(users.tolist()))
    assert (table[:, 1].sum() / table[:, 0].sum()) ** 0.5 == pytest.approx(result.test_rmse)
    epochs = [line["train_rmse"] ** 2 for line in metrics(result.folder)]
    batches = (result.batch_rmse**2).reshape(2, -1).mean(axis=1)
    assert batches.tolist() == pytest.approx(epochs, rel=1e-5)
    left = {path.name for path in result.folder.iterdir()}
    assert not left & {"history", "resume.pt", "last.safetensors"}
    written = (result.folder / "result.json").stat().st_mtime_ns
    again = carry_out([run], data, tmp_path / "runs", jobs=1, say=said.append)
    assert said[-1].startswith("1 trainings: 1 are done")
    assert (again.results[run].folder / "result.json").stat().st_mtime_ns == written


def test_several_jobs_give_the_numbers_of_one(tmp_path: Path) -> None:
    data = data_of(tmp_path)
    runs = [Run("full", "bias", seed=seed) for seed in (0, 1)]
    alone = carry_out(runs, data, tmp_path / "one", jobs=1, say=lambda _: None)
    together = carry_out(runs, data, tmp_path / "two", jobs=2, say=lambda _: None)
    assert [alone.results[run].test_rmse for run in runs] == [together.results[run].test_rmse for run in runs]
    assert alone.results[runs[0]].test_rmse != alone.results[runs[1]].test_rmse


def test_a_training_that_diverges_is_a_result_and_one_that_fails_is_named(tmp_path: Path) -> None:
    data = data_of(tmp_path)
    wild = Run("full", "deeprec-netflix-full", (*SMALL, "model.activation=none", "train.lr=1e6"), epochs=3)
    lost = Run("full", "mean", seed=7)
    parts = data.parts("full", "paper", 7)
    (parts.test / "values.npy").write_bytes(b"damaged")
    outcomes = carry_out([wild, lost], data, tmp_path / "runs", jobs=1, say=lambda _: None)
    assert "the loss became" in str(outcomes.results[wild].diverged)
    assert outcomes.results[wild].test_rmse is None
    assert "values.npy is damaged (its checksum differs)" in outcomes.failed[lost]


def test_a_report_that_was_stopped_and_killed_goes_on_to_the_numbers_of_one_that_was_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data_of(tmp_path)
    words = ("table4", tmp_path / "store")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    options = ["--window", "full", "--epochs", "25", "--out", str(tmp_path / "killed")]
    command = [sys.executable, "-m", "refeed", "paper", words[0], "--data", str(words[1]), *options]
    trained = 0
    for times, (how, code) in enumerate([(signal.SIGINT, 130), (signal.SIGKILL, -signal.SIGKILL)], start=1):
        started = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        while not (begun := [*(tmp_path / "killed/runs").glob("*/metrics.jsonl")]) or (
            len(metrics(begun[0].parent)) <= trained
        ):
            assert started.poll() is None
            time.sleep(0.02)
        started.send_signal(how)
        assert started.wait() == code
        # The worker hears of it and stops by itself, with everything saved, long before its last epoch.
        (log,) = (tmp_path / "killed/runs").glob("*.log")
        while log.read_text("utf-8").count("everything is saved") < times:
            assert not (begun[0].parent / "result.json").exists()
            time.sleep(0.02)
        trained = len(metrics(begun[0].parent))
        assert trained < 25
    said: list[str] = []
    resumed = str(make_report(*words, tmp_path / "killed", windows=["full"], epochs=25, say=said.append))
    assert "2 trainings: 0 are done, 1 are begun and go on, 1 are to do" in said[1]
    whole = str(make_report(*words, tmp_path / "whole", windows=["full"], epochs=25, say=said.append))
    assert resumed == whole
    for folder in (tmp_path / "whole/runs").glob("*seed0-????????"):
        assert metrics(folder) == metrics(tmp_path / "killed/runs" / folder.name)
        assert len(metrics(folder)) == 25


def test_more_work_is_estimated_to_take_longer() -> None:
    shape = (6_000, 3_700, 900_000)
    full = load_recipe("deeprec-netflix-full")
    unfed = load_recipe("deeprec-netflix-full", ["train.refeed=0"])
    short = load_recipe("deeprec-netflix-full", ["train.epochs=10"])
    assert effort(load_recipe("bias"), *shape) < effort(short, *shape) < effort(unfed, *shape)
    assert effort(unfed, *shape) < effort(full, *shape)
