"""What does it cost to be new: folded in from one's history, against having been trained with it?

    python benchmarks/new_users.py SPLIT… [--recipe default] [--share 0.1] [--seeds 0]

A share of a split's users is kept out of the training, histories and all. A model that has never met them
then predicts their test ratings from their histories (one forward pass), and so does a model that was trained
with them. The target is a loss of at most 0.5 % RMSE. Part of it is that the first model has fewer users to
learn from: what that costs the others, whom both models know, is printed beside. Prints a table and one JSON
line.
"""

import argparse
import json
import tempfile
from pathlib import Path

import numpy as np
from accuracy import part

from refeed.config import load_recipe
from refeed.models.interface import Model
from refeed.ratings.pairs import align_to
from refeed.ratings.store import Ratings
from refeed.trained_model import TrainedModel
from refeed.training.fit import fit


def trained(train: Ratings, valid: Ratings, recipe: str, seed: int) -> tuple[Model, tuple[float, float]]:
    """A model, and the scale of its ratings."""
    name, *settings = recipe.split(",")
    with tempfile.TemporaryDirectory() as scratch:
        out = Path(scratch) / "run"
        fit(train, valid, load_recipe(name, [*settings, f"train.seed={seed}"]), out)
        trained = TrainedModel.load(out)
        return trained.model, trained.scale


def main() -> None:
    """Measure every split with every seed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("splits", nargs="+", type=Path)
    parser.add_argument("--recipe", default="default")
    parser.add_argument("--share", type=float, default=0.1)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    asked = parser.parse_args()
    facts = []
    for split in asked.splits:
        train, valid, test = (part(split, name) for name in ("train", "valid", "test"))
        for seed in asked.seeds:
            everybody = np.random.default_rng(seed).permutation(train.n_users)
            new = np.zeros(train.n_users, dtype=bool)
            new[everybody[: round(asked.share * train.n_users)]] = True
            # Users and items stay in their places; the new users have no rating left.
            others = train.select(~new[train.users])
            pairs = align_to(test, train)
            theirs = new[pairs.users]
            errors, of_others = {}, {}
            for name, ratings in (("folded in", others), ("trained with", train)):
                model, scale = trained(ratings, valid, asked.recipe, seed)
                predicted = np.clip(model.predict(train, pairs.users, pairs.items), *scale)
                squared = (predicted - pairs.values) ** 2
                errors[name] = float(np.sqrt(np.mean(squared[theirs])))
                of_others[name] = float(np.sqrt(np.mean(squared[~theirs])))
            loss = errors["folded in"] / errors["trained with"] - 1
            fewer = of_others["folded in"] / of_others["trained with"] - 1
            print(
                f"{split.name:28} seed {seed}  {new.sum():,} new users, {theirs.sum():,} test ratings: "
                f"folded in {errors['folded in']:.4f}, trained with {errors['trained with']:.4f}, "
                f"loss {loss:+.2%}; the other users, with that many fewer to learn from: {fewer:+.2%}",
                flush=True,
            )
            facts.append(
                {
                    "split": split.name,
                    "seed": seed,
                    "ratings": int(theirs.sum()),
                    **errors,
                    "others": of_others,
                }
            )
    print(json.dumps({"benchmark": "new_users", "recipe": asked.recipe, "share": asked.share, "runs": facts}))


if __name__ == "__main__":
    main()
