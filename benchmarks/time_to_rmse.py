"""How much sooner do we reach the validation RMSE that the plain dense step reaches after 10 epochs?

Simulated ratings of Netflix's shape, 5 % of them held out at random. The thing to beat is the dense float32
step at batch 128 (`dense.py`) with the rates of the published software (SGD, 0.005, momentum 0.9), its clock
running while it trains; ours is `refeed train` with the recipes named, and its clock is the `seconds` of
metrics.jsonl. Time spent on validation counts for neither. Recipes train until their validation RMSE is as
good as the dense step's, or their epochs are over.

    python benchmarks/time_to_rmse.py [--ratings 2000000] [--epochs 10] [--refeeds 1] [--linear]
        [--recipes deeprec-netflix-full-large …] [--set train.epochs=40]…
"""

import argparse
import json
import math
import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import numpy as np
import torch
from dense import DenseStep, dense_rows

from refeed.config import AutoencoderConfig, load_recipe
from refeed.progress import silent
from refeed.ratings.pairs import align_to
from refeed.ratings.simulate import simulate_ratings
from refeed.ratings.store import Ratings
from refeed.training.fit import fit

ITEMS, PER_USER, BATCH, LR = 17_768, 205, 128, 0.005


class Goal(Exception):  # noqa: N818 - it is no error
    """A training is as good as it should be."""


class Curve:
    """Hears a training's epochs: seconds so far and validation RMSE; stops it at the goal."""

    def __init__(self, goal: float) -> None:
        self.goal = goal
        self.seconds = 0.0
        self.points: list[tuple[float, float]] = []

    def say(self, line: str) -> None:
        """Facts about the machine aren't of interest here."""
        silent.say(line)

    def start_epoch(self, epoch: int, epochs: int, done: int, users: int) -> None:
        """Nothing to do."""

    def advance(self, users: int, loss: float) -> None:
        """Nothing to do."""

    def end_epoch(self, metrics: Mapping[str, int | float | None]) -> None:
        """Note it.

        Raises:
            Goal: it is reached.
        """
        self.seconds += metrics["seconds"] or 0.0
        self.points.append((self.seconds, metrics["valid_rmse"] or math.nan))
        print(f"  {self.seconds:8.1f} s  {self.points[-1][1]:.4f}", flush=True)
        if self.points[-1][1] <= self.goal:
            raise Goal


def dense_curve(train: Ratings, valid: Ratings, options: argparse.Namespace) -> list[tuple[float, float]]:
    """Seconds so far and validation RMSE of the dense step after each of its epochs."""
    model = load_recipe(options.recipes[0]).model
    if not isinstance(model, AutoencoderConfig):
        raise SystemExit(
            f"{options.recipes[0]} is no autoencoder; the dense step takes its layers from there"
        )
    torch.manual_seed(0)
    dense = DenseStep(
        ITEMS, model.encoder, model.dropout, output_activation=not options.linear, lr=options.dense_lr
    )
    points, spent = [], 0.0
    known = np.flatnonzero(train.user_counts)
    for epoch in range(options.epochs):
        started = time.perf_counter()
        order = np.random.default_rng([0, epoch]).permutation(known)
        for first in range(0, len(order), BATCH):
            dense.step(train, order[first : first + BATCH], options.refeeds)
        spent += time.perf_counter() - started
        points.append((spent, dense_rmse(dense, train, valid)))
        print(f"  {spent:8.1f} s  {points[-1][1]:.4f}", flush=True)
    return points


@torch.no_grad()
def dense_rmse(dense: DenseStep, train: Ratings, valid: Ratings) -> float:
    """Over the held-out ratings of known users and items, as `refeed train` measures it."""
    pairs = align_to(valid, train)
    users, places = np.unique(pairs.users, return_inverse=True)
    error = 0.0
    for first in range(0, len(users), 512):
        some = users[first : first + 512]
        predicted = dense.forward(dense_rows(train, some), training=False).numpy()
        mine = (places >= first) & (places < first + 512)
        values = predicted[places[mine] - first, pairs.items[mine]]
        error += float(np.square(values.astype(np.float64) - pairs.values[mine]).sum())
    return math.sqrt(error / len(pairs))


def recipe_curve(
    recipe: str, settings: list[str], train: Ratings, valid: Ratings, goal: float
) -> list[tuple[float, float]]:
    """Seconds so far and validation RMSE of a recipe after each epoch, until the goal is reached."""
    curve = Curve(goal)
    with tempfile.TemporaryDirectory() as scratch, suppress(Goal):
        fit(train, valid, load_recipe(recipe, settings), Path(scratch) / "run", reporter=curve)
    return curve.points


def main() -> None:
    """Train the dense step, then each recipe; print the table and the line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--ratings", type=int, default=2_000_000)
    parser.add_argument("--epochs", type=int, default=10, help="of the dense step")
    parser.add_argument("--refeeds", type=int, default=1, help="of the dense step")
    parser.add_argument("--linear", action="store_true", help="the dense step's output layer is linear")
    parser.add_argument("--dense-lr", type=float, default=LR)
    parser.add_argument("--recipes", nargs="+", default=["deeprec-netflix-full-large"])
    parser.add_argument("--set", dest="settings", action="append", default=[])
    options = parser.parse_args()
    ratings = simulate_ratings(options.ratings // PER_USER, ITEMS, options.ratings, 0)
    held_out = np.random.default_rng(1).random(len(ratings)) < 0.05
    train, valid = ratings.select(~held_out), ratings.select(held_out)

    print("dense step, batch 128", flush=True)
    dense = dense_curve(train, valid, options)
    seconds, goal = dense[-1]
    table, curves = [("dense step, batch 128", seconds, goal, 1.0)], {"dense": dense}
    for recipe in options.recipes:
        print(recipe, flush=True)
        points = curves[recipe] = recipe_curve(recipe, options.settings, train, valid, goal)
        spent, rmse = points[-1]
        table.append((recipe, spent, rmse, seconds / spent if rmse <= goal else math.nan))
    print(f"{'':32}{'seconds':>9}{'RMSE':>9}{'sooner':>9}")
    for name, spent, rmse, sooner in table:
        print(f"{name:32}{spent:9.1f}{rmse:9.4f}{sooner:8.1f} ×")
    facts = {**vars(options), "users": train.n_users, "threads": torch.get_num_threads(), "curves": curves}
    print(json.dumps({"benchmark": "time_to_rmse", **facts}))


if __name__ == "__main__":
    main()
