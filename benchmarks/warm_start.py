"""Retraining from an old model's rows against retraining from nothing, on the films that come with refeed.

A random tenth of the ratings is held out, and another tenth comes after the old model's training; the other
trainings see all but what is held out. python benchmarks/warm_start.py [STEPS]
"""

import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from refeed import load_recipe, load_sample
from refeed.evaluation.evaluate import evaluate
from refeed.models.interface import Model
from refeed.serve.warm import shorter, warm_rows
from refeed.training.fit import fit


def main(steps: int) -> None:
    """Train all four, and print a line each."""
    ratings = load_sample()
    order = np.random.default_rng(0).permutation(len(ratings))
    held, late = np.zeros(len(ratings), dtype=bool), np.zeros(len(ratings), dtype=bool)
    held[order[: len(order) // 10]], late[order[: len(order) // 5]] = True, True
    early, train, test = (ratings.select(mask) for mask in (~late, ~held, held))
    given = [f"train.steps={steps}", "model.prior_users=300.0", "model.prior_vectors=600.0"]
    config = load_recipe("default", given).model_copy(update={"interactions": None})

    def say(name: str, model: Model, seconds: float) -> None:
        error = evaluate(model, train, test, scale=ratings.scale).rmse_clipped
        print(f"{name:28} RMSE {error.value:.4f}  {seconds:5.1f} s")

    with tempfile.TemporaryDirectory() as folder:
        old = fit(early, None, config, Path(folder) / "old")
        say("old", old.model, 0.0)
        warm = warm_rows(Path(folder) / "old", old)
    trainings = {
        "anew": (config, ()),
        "from its rows, a third": (shorter(config), warm),
        "anew, a third": (shorter(config), ()),
    }
    for name, (settings, start) in trainings.items():
        began = time.process_time()
        say(name, fit(train, None, settings, warm=start).model, time.process_time() - began)


main(int(sys.argv[1]) if len(sys.argv) > 1 else 300)
