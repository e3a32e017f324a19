"""From real ratings to lists: split, train, measure, recommend, draw. Read it as an example of the API.

    .venv/bin/python scripts/demo.py [--epochs N]

What it makes lies in demo-output/ (which it replaces). It takes about two minutes on two cores.
"""

import argparse
import json
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import refeed
from refeed.evaluation.significance import Estimate
from refeed.plots import learning_curves

OUT = Path(__file__).resolve().parent.parent / "demo-output"

MODELS = {
    "mean": "mean of all ratings",
    "bias": "damped user + item bias",
    "deeprec-netflix-3m": "the paper's recipe",
    "default": "refeed's default recipe",
}
"""Recipe → what it is."""

UNTUNED = {
    "model.width": 8,
    "model.prior_users": 150.0,
    "model.prior_vectors": 150.0,
    "interactions.kind": "local",
    "interactions.neighbours": 20,
    "interactions.ridge": 50.0,
    "interactions.ridge_power": 0.0,
    "interactions.user_power": 0.5,
    "interactions.grade": 0.0,
    "interactions.recency": 0.0,
    "interactions.popularity": 0.1,
    "interactions.trend": 0.0,
}
"""Settings that the default recipe finds on the validation ratings; given where only the demo is tried."""

PERSON = {
    "Matrix, The (1999)": 5,
    "Alien (1979)": 5,
    "Blade Runner (1982)": 4.5,
    "Titanic (1997)": 1.5,
    "Notting Hill (1999)": 2,
}
"""Somebody whom the model has never seen, and five films that they rated."""


def main(out: Path = OUT, epochs: int | None = None) -> None:
    """Run the demo.

    Args:
        out: the folder to write; it is replaced.
        epochs: how long to train the networks, to try the demo itself; None: as their recipes say.
    """
    started = time.perf_counter()
    shutil.rmtree(out, ignore_errors=True)
    split = split_the_sample()
    settings = {} if epochs is None else {"train.epochs": epochs}
    steps = {} if epochs is None else {"train.steps": 10 * epochs, **UNTUNED}
    models = {
        recipe: train(recipe, split, out / recipe, steps if recipe == "default" else settings)
        for recipe in MODELS
    }
    measure(models, split.test)
    measure_lists(models["default"], split)
    recommend(models["default"])
    draw({recipe: out / recipe for recipe in MODELS}, out / "learning-curves.png")
    heading(f"Done in {time.perf_counter() - started:.0f} s; the models are in {out}")


def heading(text: str) -> None:
    """Print a line that starts a step."""
    print(f"\n=== {text}", flush=True)


def split_the_sample() -> refeed.Split:
    """Load real ratings, and hold out the last fifth of each user's."""
    heading("Ratings: MovieLens latest-small, as collected by GroupLens")
    ratings = refeed.load_sample()
    low, high = ratings.scale
    scale = f"ratings from {low:g} to {high:g}"
    print(f"{len(ratings):,} {scale} of {ratings.n_items:,} films by {ratings.n_users} people")

    heading("Split: the last 20 % of each person's ratings, half for validation, half for the test")
    tested = refeed.split(ratings).report.tested_users
    print(
        "Why not one date for all, which is what real use is like? Most of these people gave all their\n"
        "ratings within a week: a date that leaves 10 % of the ratings after it has "
        f"{tested} people on both of its\nsides, too few to measure on."
    )
    split = refeed.split(ratings, last=0.2)
    print(split.report)
    return split


@dataclass
class EveryTenth:
    """Hears about the training (a `refeed.progress.Reporter`), and prints some of it.

    Args:
        epochs: how many there will be at most.
        best: the lowest RMSE on validation, and its epoch.
    """

    epochs: int = 1
    best: tuple[float, float] = (float("inf"), 0)

    def say(self, line: str) -> None:
        """Print a fact."""
        print(line)

    def start_epoch(self, epoch: int, epochs: int, done: int, users: int) -> None:  # noqa: ARG002
        """Note how many epochs there will be."""
        self.epochs = epochs

    def advance(self, users: int, loss: float) -> None:
        """Nothing to show within an epoch."""

    def end_epoch(self, metrics: Mapping[str, int | float | None]) -> None:
        """Print every tenth epoch, and the last; note the best."""
        epoch, train, valid = (metrics[key] or 0 for key in ("epoch", "train_rmse", "valid_rmse"))
        self.best = min(self.best, (valid, epoch))
        if epoch % 10 == 0 or epoch == self.epochs:
            errors = f"RMSE on training {train:.4f}, on validation {valid:.4f}"
            print(f"epoch {epoch:3} of {self.epochs}: {errors}", flush=True)


def train(recipe: str, split: refeed.Split, out: Path, settings: Mapping[str, Any]) -> refeed.Recommender:
    """Train one model; the validation ratings choose its best epoch, and the settings of its lists."""
    heading(f"Training: {MODELS[recipe]} (recipe {recipe})")
    reporter = EveryTenth()
    model = refeed.fit(split.train, split.valid, recipe=recipe, out=out, reporter=reporter, **settings)
    print("kept: epoch {1}, with an RMSE of {0:.4f} on validation".format(*reporter.best))
    return model


def measure(models: Mapping[str, refeed.Recommender], test: refeed.Ratings) -> None:
    """Print the errors of all models on the same test ratings."""
    errors = {recipe: model.evaluate(test) for recipe, model in models.items()}
    bias = errors["bias"]
    heading(f"Errors on the same {bias.ratings:,} test ratings by {bias.users} people")
    rows = [("", "RMSE", "MAE", "RMSE less that of the biases", "")]
    for recipe, error in errors.items():
        difference = refeed.compare(error, bias).rmse
        rows.append(
            (
                MODELS[recipe],
                interval(error.rmse),
                interval(error.mae),
                "" if recipe == "bias" else interval(difference, sign="+"),
                "" if recipe == "bias" else verdict(difference),
            )
        )
    print_table(rows)
    print(
        "Lower is better; in brackets are 95 % intervals over people (1,000 draws of people). The paper's\n"
        "net was made for a hundred million ratings and starts from nothing; the biases are two averages a\n"
        "rating, and hard to beat on a hundred thousand ratings. The default recipe is another autoencoder,\n"
        "whose code is found in closed form."
    )


def interval(estimate: Estimate, sign: str = "") -> str:
    """A number with its interval."""
    if estimate.low is None or estimate.high is None:
        return f"{estimate.value:{sign}.4f}"
    return f"{estimate.value:{sign}.4f} ({estimate.low:{sign}.4f} to {estimate.high:{sign}.4f})"


def verdict(difference: Estimate) -> str:
    """Whether a difference in errors is more than chance."""
    if difference.low is None or difference.high is None or difference.low <= 0 <= difference.high:
        return "no clear difference"
    return "better" if difference.high < 0 else "worse"


def print_table(rows: Sequence[Sequence[str]]) -> None:
    """Print rows in columns."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        print("  ".join(f"{cell:{width}}" for cell, width in zip(row, widths, strict=True)).rstrip())


def measure_lists(model: refeed.Recommender, split: refeed.Split) -> None:
    """Print how good lists are that are ranked by the predicted rating, by interaction, and by both."""
    liked = model.trained.lists.liking.liked  # type: ignore[union-attr]
    heading(f"Lists of ten: nDCG@10, relevant are the test items rated {liked:g} or more")
    rows = []
    for by in ("rating", "interaction", "both"):
        found = model.evaluate_lists(split.test, k=[10], liked=liked, seen=[split.valid], by=by)
        rows.append((f"ranked by {by}", interval(found["ndcg@10"])))
    print_table(rows)


def recommend(model: refeed.Recommender) -> None:
    """Print a list for somebody new: one forward pass over five ratings, nothing is trained."""
    heading("Ten recommendations for somebody new, who rated five films")
    for title, rating in PERSON.items():
        print(f"  {rating:g} for {title}")
    started = time.perf_counter()
    lines = model.recommend(PERSON, k=10)
    milliseconds = 1000 * (time.perf_counter() - started)
    print(f"\nin {milliseconds:.0f} ms, by the default recipe's model:")
    rows = [("predicted", "liked", "rated by", "film")]
    rows += [
        (f"{line.rating:.2f}", f"{line.p_liked:.0%}", str(line.support), line.title or line.item)
        for line in lines
    ]
    print_table(rows)


def draw(runs: Mapping[str, Path], picture: Path) -> None:
    """Draw how the two networks learned."""
    heading("Learning curves")
    bias = json.loads((runs["bias"] / "metrics.jsonl").read_text(encoding="utf-8"))["valid_rmse"]
    networks = {MODELS[recipe]: runs[recipe] for recipe in ("deeprec-netflix-3m", "default")}
    learning_curves(networks, picture, level=("the biases, on validation", bias))
    print(picture)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description="The whole way on real ratings; the results lie in demo-output/."
    )
    parser.add_argument(
        "--epochs", type=int, help="train networks for so many epochs, to try the demo itself"
    )
    main(epochs=parser.parse_args().epochs)
