"""Bounds on errors over real ratings, as measured after saving and loading."""

from pathlib import Path

import pytest

from refeed.config import load_recipe
from refeed.evaluation.evaluate import Evaluation, compare, evaluate
from refeed.ratings.read import open_ratings
from refeed.ratings.sample import load_sample
from refeed.ratings.split import split_last
from refeed.ratings.store import Ratings
from refeed.trained_model import TrainedModel
from refeed.training.fit import fit


def errors(
    recipe: str, settings: list[str], parts: tuple[Ratings, Ratings, Ratings], out: Path
) -> Evaluation:
    train, valid, test = parts
    of_ratings = load_recipe(recipe, settings).model_copy(update={"interactions": None})
    fit(train, valid, of_ratings, out)
    folder = TrainedModel.load(out)
    assert folder.histories is not None
    return evaluate(folder.model, folder.histories, test, scale=folder.scale)


def test_on_the_sample_biases_beat_the_mean_by_far_and_a_short_default_does_not_lose_to_them(
    tmp_path: Path,
) -> None:
    split = split_last(load_sample(), 0.2)
    parts = split.train, split.valid, split.test
    mean = errors("mean", [], parts, tmp_path / "mean")
    bias = errors("bias", [], parts, tmp_path / "bias")
    short = ["train.steps=60", "train.warmup=10", "model.width=8", "model.prior_users=150.0"]
    default = errors("default", short, parts, tmp_path / "default")
    assert mean.rmse.value == pytest.approx(1.0498, abs=5e-4)
    assert bias.rmse.value == pytest.approx(0.8922, abs=5e-4)
    assert default.rmse.value < bias.rmse.value - 0.005


def test_on_ml_100k_simple_is_clearly_better_than_the_tuned_biases(shared: Path, tmp_path: Path) -> None:
    train, valid, test = (
        open_ratings(shared / "splits" / "ml-100k-user" / f"{name}.parquet")
        for name in ("train", "valid", "test")
    )
    bias = errors("bias", [], (train, valid, test), tmp_path / "bias")
    simple = errors("simple", [], (train, valid, test), tmp_path / "simple")
    difference = compare(simple, bias)
    assert bias.rmse_clipped.value == pytest.approx(0.9906, abs=5e-4)
    assert difference.rmse.high is not None
    assert difference.rmse.high < -0.01
