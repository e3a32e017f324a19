"""refeed on splits that others have published figures for, every test pair counted.

    python benchmarks/published.py ml-100k FOLDER [--recipe default] [--seeds 0]
    python benchmarks/published.py ml-1m FOLDER [--seeds 0 1 2 3 4]
    python benchmarks/published.py flixster FOLDER

FOLDER holds, for ml-100k, the official files (u1.base, u1.test, and u2 to u5 if they are there); for ml-1m
the official folder or a table of ratings, of which a tenth is held out at random for each seed; for flixster
the tables train, valid and test of the mask of Monti et al. (2017), whose held-out ratings are valid and
test together. A twentieth of the training ratings, drawn at random, chooses the settings; the test ratings
are looked at once, at the end. Users and items that are unknown to training are predicted by what is known
(`cold="fallback"`), as the published protocols count every pair.

Prints a line for each split: RMSE of the clipped predictions, pairs counted, those of them cold, seconds; and
the published figures, with their sources. Several splits are averaged.
"""

import argparse
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

import refeed
from refeed import Ratings

PUBLISHED: dict[str, list[tuple[str, float, str]]] = {
    "ml-100k": [
        ("GC-MC, without features", 0.910, "van den Berg, Kipf & Welling 2017; split u1"),
        ("IGMC", 0.905, "Zhang & Chen 2020; split u1"),
        ("GLocal-K", 0.889, "Han et al. 2021; split u1; epoch chosen on the test"),
    ],
    "ml-1m": [
        ("I-AutoRec", 0.831, "Sedhain et al. 2015"),
        ("CF-NADE, item, 2 layers", 0.829, "Zheng et al. 2016"),
        ("SparseFC", 0.824, "Muller, Martel & Indiveri 2018"),
        ("GLocal-K", 0.8227, "Han et al. 2021; epoch chosen on the test"),
        ("Bayesian timeSVD++, flipped", 0.8161, "Rendle, Zhang & Koren 2019"),
    ],
    "flixster": [
        ("sRGCNN", 0.926, "Monti, Bronstein & Bresson 2017"),
        ("GC-MC, with features", 0.917, "van den Berg, Kipf & Welling 2017"),
        ("IGMC", 0.872, "Zhang & Chen 2020"),
    ],
}
"""Figures as their papers print them, without side information unless said; RMSE on every test pair."""

HELD_BACK = 0.05  # of the training ratings, for validation


def splits(name: str, folder: Path, seeds: list[int]) -> Iterator[tuple[str, Ratings, Ratings]]:
    """Name, training and test ratings of each split."""
    if name == "ml-100k":
        for number in range(1, 6):
            base = folder / f"u{number}.base"
            if base.is_file():
                yield f"u{number}", refeed.read(base), refeed.read(base.with_suffix(".test"))
    elif name == "ml-1m":
        # Its draws need no times, and some tables of it have them in part.
        ratings = refeed.read(folder, columns="timestamp=none" if folder.is_file() else None)
        for seed in seeds:
            train, _, test = drawn(ratings, 0.1, seed)
            yield f"seed {seed}", train, test
    else:
        tables = [folder / f"{part}.parquet" for part in ("train", "valid", "test")]
        yield "mask", refeed.read(tables[0]), refeed.read(*tables[1:])


def drawn(ratings: Ratings, share: float, seed: int) -> tuple[Ratings, None, Ratings]:
    """A share of all ratings held out at random, unknown users and items included."""
    held = np.random.default_rng(seed).random(len(ratings)) < share
    return ratings.select(~held), None, ratings.select(held)


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("name", choices=sorted(PUBLISHED))
    parser.add_argument("folder", type=Path)
    parser.add_argument("--recipe", default="default")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    given = parser.parse_args()
    errors = []
    for split, base, test in splits(given.name, given.folder, given.seeds):
        train, _, valid = drawn(base, HELD_BACK, 0)
        for seed in given.seeds if given.name != "ml-1m" else [0]:
            started = time.perf_counter()
            model = refeed.fit(train.compact(), valid.compact(), recipe=given.recipe, seed=seed)
            measured = model.evaluate(test, cold="fallback")
            errors.append(measured.rmse_clipped.value)
            print(
                f"{given.name} {split}, seed {seed}: RMSE {errors[-1]:.4f} on {measured.ratings:,} pairs, "
                f"{measured.cold_ratings:,} of them cold; {time.perf_counter() - started:.0f} s",
                flush=True,
            )
    if not errors:
        sys.exit(f"there is no such split in {given.folder}")
    print(f"refeed, {given.recipe}: {np.mean(errors):.4f} ± {np.std(errors):.4f}")
    for system, error, source in PUBLISHED[given.name]:
        print(f"{system}: {error:.4f} ({source})")


if __name__ == "__main__":
    main()
