"""A thin split of dense ratings: of each person a few to learn from, and many of the others to test on.

    python benchmarks/thinned.py ratings.parquet --mean 5 --seed 1 --out thin4-1

How many ratings of a person are kept is geometric with a mean of --mean (fewer where there are not so many);
a tenth of those is for validation. The test draws --test of all others, a person the likelier the more of
theirs are kept. What is held out has its user and item in the training. The table has the columns user (whole
numbers), item and rating. Writes train, valid and test, which benchmarks/accuracy.py takes.
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd


def main() -> None:
    """Cut and write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("ratings", type=Path)
    parser.add_argument("--mean", type=float, default=5)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--test", type=int, default=100_000)
    parser.add_argument("--out", type=Path, required=True)
    asked = parser.parse_args()
    ratings = pd.read_parquet(asked.ratings)[["user", "item", "rating"]]
    rng = np.random.default_rng(asked.seed)
    kept_of = rng.geometric(1 / asked.mean, ratings.user.max() + 1)[ratings.user]
    place = pd.Series(rng.random(len(ratings))).groupby(ratings.user.to_numpy()).rank().to_numpy()
    few = place <= kept_of
    kept, others = ratings[few], ratings[~few]
    held = rng.random(len(kept)) < 0.1
    train, valid = kept[~held], kept[held]
    likely = kept_of[~few] / others.groupby("user").user.transform("size").to_numpy()
    test = others.sample(asked.test, weights=likely, random_state=asked.seed)
    asked.out.mkdir(parents=True, exist_ok=True)
    for name, part in (("train", train), ("valid", valid), ("test", test)):
        known = part[part.user.isin(train.user) & part.item.isin(train.item)]
        known.to_parquet(asked.out / f"{name}.parquet", index=False)
        print(
            f"{name:6}{len(known):9,} ratings {known.user.nunique():9,} users {known.item.nunique():9,} items"
        )


if __name__ == "__main__":
    main()
