"""How far predictions are from held-out ratings: recipes against each other, on the same splits.

    python benchmarks/accuracy.py SPLIT… [--recipes bias simple …] [--seeds 0 1 2]

A SPLIT is a folder with train, valid and test: stores, or tables such as train.parquet. Prints a table and
one JSON line a run. Settings are chosen on validation alone; the test ratings are looked at once, at the end.
"""

import argparse
import json
import resource
import tempfile
import time
from pathlib import Path

import numpy as np

from refeed.config import load_recipe
from refeed.evaluation.evaluate import Evaluation, evaluate
from refeed.model_folder import ModelFolder
from refeed.ratings.read import open_ratings
from refeed.ratings.store import Ratings
from refeed.training.fit import fit


def part(split: Path, name: str) -> Ratings:
    """One part of a split: a store, or the table beside its name."""
    store = split / name
    return open_ratings(store if store.exists() else store.with_suffix(".parquet"))


def run(split: Path, recipe: str, seed: int) -> tuple[Evaluation, float, float]:
    """Train and test once: the errors, the seconds of training, the best validation RMSE."""
    train, valid, test = (part(split, name) for name in ("train", "valid", "test"))
    with tempfile.TemporaryDirectory() as scratch:
        out = Path(scratch) / "run"
        started = time.perf_counter()
        fit(train, valid, load_recipe(recipe, [f"train.seed={seed}"]), out)
        seconds = time.perf_counter() - started
        folder = ModelFolder.load(out)
        best = min(json.loads(line)["valid_rmse"] for line in (out / "metrics.jsonl").open())
        return evaluate(folder.model, train, test, scale=folder.scale), seconds, best


def main() -> None:
    """Run every recipe on every split with every seed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("splits", nargs="+", type=Path)
    parser.add_argument("--recipes", nargs="+", default=["bias", "simple"])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    options = parser.parse_args()
    for split in options.splits:
        for recipe in options.recipes:
            errors: list[float] = []
            for seed in options.seeds:
                error, seconds, best = run(split, recipe, seed)
                errors.append(error.rmse_clipped.value)
                line = {
                    "split": split.name,
                    "recipe": recipe,
                    "seed": seed,
                    "valid_rmse": best,
                    "test_rmse": error.rmse.value,
                    "test_rmse_clipped": error.rmse_clipped.value,
                    "seconds": round(seconds, 1),
                    "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
                }
                print(json.dumps(line), flush=True)
            print(f"{split.name:32} {recipe:12} {np.mean(errors):.4f} ± {np.std(errors):.4f}", flush=True)


if __name__ == "__main__":
    main()
