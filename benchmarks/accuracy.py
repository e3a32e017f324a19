"""How far predictions are from held-out ratings: recipes against each other, on the same splits.

    python benchmarks/accuracy.py SPLIT… [--recipes default bias …] [--seeds 0 1 2] [--out accuracy]

A SPLIT is a folder with train, valid and test: stores, or tables such as train.parquet. A recipe may carry
settings, as in `default,train.ensemble=3`. Every run is a process of its own, so that seconds and peak memory
are its own; its predictions stay in --out, and what is there already is not run again. Settings are chosen on
validation alone; the test ratings are looked at once, at the end.

Prints a table for each split: test RMSE (clipped to the scale), mean ± deviation over the seeds; seconds;
peak memory; and the difference to the first recipe with its 95 % interval and p (paired bootstrap over users,
first seed; first recipe − this one: negative says that the first is better). Then one JSON line a run.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from refeed.config import load_recipe
from refeed.evaluation.metrics import user_errors
from refeed.evaluation.significance import paired
from refeed.ratings.pairs import align_to
from refeed.ratings.read import open_ratings
from refeed.ratings.store import Ratings
from refeed.trained_model import TrainedModel
from refeed.training.fit import fit


def part(split: Path, name: str) -> Ratings:
    """One part of a split: a store, or the table beside its name."""
    store = split / name
    return open_ratings(store if store.exists() else store.with_suffix(".parquet"))


def run(split: Path, recipe: str, seed: int, out: Path) -> None:
    """Train and predict once; `out` gets the predictions and, last, the numbers."""
    train, valid, test = (part(split, name) for name in ("train", "valid", "test"))
    name, *settings = recipe.split(",")
    config = load_recipe(name, [*settings, f"train.seed={seed}"])
    with tempfile.TemporaryDirectory() as scratch:
        started = time.perf_counter()
        fit(train, valid, config, Path(scratch) / "run")
        seconds = time.perf_counter() - started
        trained = TrainedModel.load(Path(scratch) / "run")
    low, high = trained.scale
    numbers: dict[str, Any] = {"split": split.name, "recipe": recipe, "seed": seed, "seconds": seconds}
    for held_out, ratings in (("valid", valid), ("test", test)):
        pairs = align_to(ratings, train)
        predicted = trained.model.predict(train, pairs.users, pairs.items)
        clipped = np.clip(predicted, low, high)
        numbers[f"{held_out}_rmse"] = float(np.sqrt(np.mean((predicted - pairs.values) ** 2)))
        numbers[f"{held_out}_rmse_clipped"] = float(np.sqrt(np.mean((clipped - pairs.values) ** 2)))
        arrays = {"users": pairs.users, "predicted": clipped, "values": pairs.values}
        np.savez(out.with_suffix(f".{held_out}.npz"), allow_pickle=False, **arrays)
    numbers["peak_gb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    numbers["model"] = trained.config.model.model_dump()
    out.write_text(json.dumps(numbers) + "\n", encoding="utf-8")


def numbers_of(split: Path, recipe: str, seed: int, folder: Path) -> tuple[dict[str, Any], Path]:
    """The numbers of a run, which is made if it isn't there yet, and where its predictions lie."""
    folder.mkdir(parents=True, exist_ok=True)
    out = folder / f"{split.name} {recipe.replace('/', '_')} {seed}.json"
    if not out.exists():
        one = [str(split), "--recipes", recipe, "--seeds", str(seed), "--one", str(out)]
        subprocess.run([sys.executable, __file__, *one], check=True)
    return json.loads(out.read_text(encoding="utf-8")), out


def difference(one: Path, other: Path) -> str:
    """The first run's test RMSE less the other's."""
    errors = []
    for path in (one, other):
        with np.load(path.with_suffix(".test.npz")) as saved:
            _, users = np.unique(saved["users"], return_inverse=True)
            errors.append(user_errors(users, saved["predicted"], saved["values"], n_users=users.max() + 1))
    ((rmse, _),) = paired(errors[:1], errors[1:], seed=0, resamples=1000)
    return f"{rmse.value:+.4f} ({rmse.low:+.4f} to {rmse.high:+.4f}), p = {rmse.p:.3f}"


def main() -> None:
    """Run every recipe on every split with every seed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("splits", nargs="+", type=Path)
    parser.add_argument("--recipes", nargs="+", default=["default", "bias", "simple"])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--out", type=Path, default=Path("accuracy"))
    parser.add_argument("--one", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.one:
        run(asked.splits[0], asked.recipes[0], asked.seeds[0], asked.one)
        return
    lines = []
    for split in asked.splits:
        print(f"\n{split.name}", flush=True)
        first: Path | None = None
        for recipe in asked.recipes:
            runs = [numbers_of(split, recipe, seed, asked.out) for seed in asked.seeds]
            lines += [numbers for numbers, _ in runs]
            errors = [numbers["test_rmse_clipped"] for numbers, _ in runs]
            against = "" if first is None else difference(first, runs[0][1])
            first = first or runs[0][1]
            print(
                f"  {recipe:32} {np.mean(errors):.4f} ± {np.std(errors):.4f}  "
                f"{np.mean([numbers['seconds'] for numbers, _ in runs]):7.1f} s  "
                f"{max(numbers['peak_gb'] for numbers, _ in runs):5.2f} GB  {against}",
                flush=True,
            )
    for line in lines:
        print(json.dumps(line))


if __name__ == "__main__":
    main()
