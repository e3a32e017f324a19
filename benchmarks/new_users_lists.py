"""What do lists cost to be new: folded in from one's history, against having been trained with it?

    python benchmarks/new_users_lists.py SPLIT RUN [--share 0.1] [--folds 1] [--by both] [--liked 4]

A share of a split's users is kept out of the training, histories and all, a fold after the other. A model
with the settings of RUN, which was trained on all of SPLIT's train, is trained on the others alone and makes
lists for the ones kept out from their histories; RUN makes lists for the same users, as it knows them. Prints
nDCG@10 of both, over the users of all folds.
"""

import argparse
from pathlib import Path
from typing import Any

import numpy as np

import refeed
from refeed.ratings.store import Ratings


def settings_of(run: Path) -> dict[str, Any]:
    """What RUN resolved, so that only the people differ."""
    trained = refeed.load(run).trained
    found = {f"model.{name}": value for name, value in trained.config.model.model_dump().items()}
    if found.get("model.drift") == "auto":
        found["model.drift"] = 0.0
    if trained.lists is None:
        return found
    found |= {f"interactions.{name}": value for name, value in trained.lists.config.model_dump().items()}
    weights = trained.lists.weights
    return found | {"lists.beta": weights.beta, "lists.floor": weights.floor}


def of_users(ratings: Ratings, users: set[str], *, kept: bool) -> Ratings:
    """The ratings of these users, or of all the others."""
    inside = np.array([user in users for user in ratings.user_ids.as_array().tolist()])
    return ratings.select((inside if kept else ~inside)[ratings.users]).compact()


def figures(model: Any, test: Ratings, given: Ratings | None, asked: argparse.Namespace) -> Any:
    """nDCG@10 of each user: of what is liked, and of all."""
    each = {}
    for kind, liked in (("liked", asked.liked), ("all", None)):
        result = model.evaluate_lists(test, k=(10,), liked=liked, given=given, by=asked.by)
        each[kind] = result.evidence.values[:, 0]
    return each


def main() -> None:
    """Measure the folds."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("split", type=Path)
    parser.add_argument("run", type=Path)
    parser.add_argument("--share", type=float, default=0.1)
    parser.add_argument("--folds", type=int, default=1)
    parser.add_argument("--by", default="both")
    parser.add_argument("--liked", type=float, default=4.0)
    asked = parser.parse_args()
    train, valid, test = (refeed.read(asked.split / f"{name}.parquet") for name in ("train", "valid", "test"))
    known, settings = refeed.load(asked.run), settings_of(asked.run)
    if asked.by == "interaction":  # a rating model wouldn't matter
        settings = {name: value for name, value in settings.items() if not name.startswith("model.")}
    recipe = "mean" if asked.by == "interaction" else "default"
    ids = np.random.default_rng(0).permutation(np.sort(train.user_ids.as_array()))
    size = round(asked.share * len(ids))
    found: dict[str, list[Any]] = {"liked": [], "all": []}
    for fold in range(asked.folds):
        users = set(ids[fold * size : (fold + 1) * size].tolist())
        others = [of_users(part, users, kept=False) for part in (train, valid)]
        new = refeed.fit(*others, recipe=recipe, **settings)
        own = of_users(test, users, kept=True)
        as_new = figures(new, own, of_users(train, users, kept=True), asked)
        as_known = figures(known, own, None, asked)
        for kind, pairs in found.items():
            pairs.append((as_new[kind], as_known[kind]))
        for kind, pairs in found.items():
            one, two = (np.concatenate(values) for values in zip(*pairs, strict=True))
            error = (one - two).std() / len(one) ** 0.5 / two.mean()
            loss = f"{one.mean() / two.mean() - 1:+.2%} (standard error {error:.2%})"
            figures_of_both = f"folded in {one.mean():.4f}, trained with {two.mean():.4f}: {loss}"
            print(f"{fold + 1} folds, {kind}: {len(one):,} users, nDCG@10 {figures_of_both}", flush=True)


if __name__ == "__main__":
    main()
