"""When does dense re-feeding help? Its three readings, on the paper's net and on a good base.

    python benchmarks/refeeding.py SPLIT [--bases deeprec-netflix-3m simple] [--epochs 30] [--seeds 0]

Every reading gets as many updates as the base without re-feeding: one with two updates a batch trains half as
many epochs. For each, the learning rate is searched on validation (the recipe's, a third and three times it);
the test ratings are looked at for the rate that was chosen alone. Prints a table and one JSON line.
"""

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

from accuracy import part

from refeed.config import load_recipe
from refeed.evaluation.evaluate import evaluate
from refeed.ratings.store import Ratings
from refeed.trained_model import TrainedModel
from refeed.training.fit import fit

READINGS = {
    "none": [],
    "output (the paper)": ["train.refeed=1", "train.refeed_label=output"],
    "ratings": ["train.refeed=1", "train.refeed_label=ratings"],
    "joint": ["train.refeed=1", "train.refeed_label=joint"],
}
UPDATES = {"none": 1, "output (the paper)": 2, "ratings": 2, "joint": 1}  # a batch


def run(parts: tuple[Ratings, Ratings, Ratings], recipe: str, settings: list[str]) -> tuple[float, float]:
    """Validation and test RMSE, clipped, of the epoch that is best on validation."""
    train, valid, test = parts
    with tempfile.TemporaryDirectory() as scratch:
        fit(train, valid, load_recipe(recipe, settings), Path(scratch) / "run")
        trained = TrainedModel.load(Path(scratch) / "run")
        errors = [
            evaluate(trained.model, train, held, scale=trained.scale, resamples=2) for held in (valid, test)
        ]
    return errors[0].rmse_clipped.value, errors[1].rmse_clipped.value


def main() -> None:
    """Search every reading on every base."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("split", type=Path)
    parser.add_argument("--bases", nargs="+", default=["deeprec-netflix-3m", "simple"])
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    asked = parser.parse_args()
    train, valid, test = (part(asked.split, name) for name in ("train", "valid", "test"))
    facts: list[dict[str, Any]] = []
    for base in asked.bases:
        rate = load_recipe(base).train.lr
        for reading, settings in READINGS.items():
            epochs = asked.epochs // UPDATES[reading]
            for seed in asked.seeds:
                tried = {}
                for lr in (rate / 3, rate, rate * 3):
                    given = [f"train.lr={lr:.6f}", f"train.epochs={epochs}", f"train.seed={seed}"]
                    plain = [] if settings else ["train.refeed=0"]
                    tried[lr] = run((train, valid, test), base, [*settings, *plain, *given])
                best = min(tried, key=lambda lr: tried[lr][0])
                print(
                    f"{base:20} {reading:20} seed {seed}  {epochs} epochs at {best:.2g}: "
                    f"valid {tried[best][0]:.4f}, test {tried[best][1]:.4f}",
                    flush=True,
                )
                facts.append(
                    {"base": base, "reading": reading, "seed": seed, "epochs": epochs, "lr": best}
                    | {"valid": tried[best][0], "test": tried[best][1]}
                )
    print(json.dumps({"benchmark": "refeeding", "split": asked.split.name, "runs": facts}))


if __name__ == "__main__":
    main()
