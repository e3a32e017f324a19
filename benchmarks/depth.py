"""Where does depth pay? The ridge autoencoder, autoencoders of one to five hidden layers, and blends of both.

    python benchmarks/depth.py --ratings 1000000 [--seeds 0] [--recipes …]
    python benchmarks/depth.py --split SPLIT [--share 0.2]

On simulated Netflix of so many ratings (the last tenth by time is held out, half of it for validation), or
on a split; with --share of a part of the training users alone. The deep networks are `simple` with more
layers: residuals of biases, inputs scaled by the root, hidden inputs. A blend is the least-squares
combination of two models' predictions, fitted on validation. Prints validation and test RMSE (clipped),
seconds, and one JSON line.
"""

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from accuracy import part

from refeed.config import load_recipe
from refeed.ratings.pairs import align_to
from refeed.ratings.simulate import simulate_ratings
from refeed.ratings.split import split_by_time
from refeed.ratings.store import Ratings
from refeed.trained_model import TrainedModel
from refeed.training.fit import fit

USERS, ITEMS, RATINGS = 477_412, 17_768, 98_074_901  # Netflix's

RECIPES = [
    "default",
    "simple",
    "simple,model.encoder=[512;256]",
    "simple,model.encoder=[512;512;1024],model.dropout=0.8",
]


def predictions(parts: tuple[Ratings, Ratings, Ratings], recipe: str, seed: int) -> dict[str, Any]:
    """Clipped predictions of the validation and the test ratings, and the seconds of training."""
    train, valid, test = parts
    name, *settings = recipe.split(",")
    settings = [setting.replace(";", ",") for setting in settings]
    with tempfile.TemporaryDirectory() as scratch:
        started = time.perf_counter()
        config = load_recipe(name, [*settings, f"train.seed={seed}"])
        fit(train, valid, config, Path(scratch) / "run")
        seconds = time.perf_counter() - started
        trained = TrainedModel.load(Path(scratch) / "run")
    made: dict[str, Any] = {"seconds": seconds}
    for held_out, ratings in (("valid", valid), ("test", test)):
        pairs = align_to(ratings, train)
        predicted = trained.model.predict(train, pairs.users, pairs.items)
        made[held_out] = np.clip(predicted, *trained.scale)
        made[f"{held_out} values"] = pairs.values.astype(np.float64)
    return made


def rmse(predicted: np.ndarray, values: np.ndarray) -> float:
    """The root of the mean squared error."""
    return float(np.sqrt(np.mean((predicted - values) ** 2)))


def blend(one: dict[str, Any], other: dict[str, Any]) -> tuple[float, float, list[float]]:
    """Validation and test RMSE of the least-squares combination, and its weights."""

    def columns(part: str) -> np.ndarray:
        return np.column_stack([one[part], other[part], np.ones(len(one[part]))])

    weights = np.linalg.lstsq(columns("valid"), one["valid values"], rcond=None)[0]
    valid, test = (rmse(columns(part) @ weights, one[f"{part} values"]) for part in ("valid", "test"))
    return valid, test, weights.round(3).tolist()


def main() -> None:
    """Train all, then blend each with the first."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--ratings", type=int, default=1_000_000)
    parser.add_argument("--split", type=Path)
    parser.add_argument("--share", type=float, default=1.0)
    parser.add_argument("--recipes", nargs="+", default=RECIPES)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    if asked.split:
        parts = part(asked.split, "train"), part(asked.split, "valid"), part(asked.split, "test")
    else:
        users = round(USERS * asked.ratings / RATINGS)
        split = split_by_time(simulate_ratings(users, ITEMS, asked.ratings, seed=0))
        parts = split.train, split.valid, split.test
    if asked.share < 1:
        kept = np.random.default_rng(0).random(parts[0].n_users) < asked.share
        parts = parts[0].select(np.repeat(kept, parts[0].user_counts)).compact(), *parts[1:]
    print(f"{len(parts[0]):,} training, {len(parts[2]):,} test ratings", flush=True)
    facts, first = [], None
    for recipe in asked.recipes:
        made = predictions(parts, recipe, asked.seed)
        line = {part: rmse(made[part], made[f"{part} values"]) for part in ("valid", "test")}
        print(f"{recipe:56} {line['valid']:.4f} {line['test']:.4f} {made['seconds']:7.1f} s", flush=True)
        facts.append({"recipe": recipe, **line, "seconds": made["seconds"]})
        if first is not None:
            valid, test, weights = blend(first, made)
            print(f"{'  blended with the first':56} {valid:.4f} {test:.4f}  weights {weights}", flush=True)
            facts[-1] |= {"blend_valid": valid, "blend_test": test, "weights": weights}
        first = first or made
    print(json.dumps({"benchmark": "depth", "ratings": len(parts[0]), "seed": asked.seed, "runs": facts}))


if __name__ == "__main__":
    main()
