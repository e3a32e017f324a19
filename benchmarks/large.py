"""The default's rating part on simulated ratings of any size: time, memory, and RMSE against the noise floor.

    python benchmarks/large.py --users 25000 --items 3000 --ratings 5000000 --window full
    python benchmarks/large.py --users 97356 --ratings 20000000 --random 0.02
    python benchmarks/large.py --random 0.01                      # of Netflix's size: 98 million
    python benchmarks/large.py … --set model.prior_users=900.0 --set model.prior_vectors=1800.0

Simulates and prepares once in --folder. Held out are ratings drawn at random, or what the paper's window
tests on (of `full` the last month; validation and test shared by the published coin). Prints what the
training says, its epochs, seconds, the most memory of its own (mapped files aside) and validation and test
RMSE, clipped.
"""

import argparse
import re
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from refeed.cli import main as refeed
from refeed.config import load_recipe
from refeed.paper.data import open_data
from refeed.ratings.pairs import align_to
from refeed.ratings.read import open_ratings
from refeed.ratings.store import Ratings
from refeed.training.fit import fit


def parts(asked: argparse.Namespace) -> list[Ratings]:
    """The training, validation and test ratings; made if they are not there yet."""
    size = ["--users", asked.users, "--items", asked.items, "--ratings", asked.ratings]
    name = f"{asked.users}-{asked.items}-{asked.ratings}"
    if asked.window:
        data = asked.folder / f"{name}-netflix"
        if not data.exists():
            _made("simulate", *size, "--format", "netflix", "--out", data)
        split = open_data(data, asked.folder / f"{name}-windows").parts(asked.window, "paper", 0)
        return [open_ratings(path) for path in (split.train, split.valid, split.test)]
    split = asked.folder / f"{name}-{asked.random}"
    if not split.exists():
        table, store = asked.folder / f"{name}.parquet", asked.folder / f"{name}-store"
        if not store.exists():
            _made("simulate", *size, "--out", table)
            _made("prepare", table, "--out", store)
        _made("split", store, "--random", asked.random, "--out", split)
    return [Ratings.load(split / part) for part in ("train", "valid", "test")]


def _made(*words: Any) -> None:
    if refeed([str(word) for word in words]):
        sys.exit(f"refeed {words[0]} failed")


class Said:
    """Prints what a training says, with its seconds."""

    def __init__(self) -> None:
        self._began = time.perf_counter()

    def say(self, line: str) -> None:
        """One line."""
        print(f"{time.perf_counter() - self._began:8.1f} s  {line}", flush=True)

    def __getattr__(self, name: str) -> Any:
        return lambda *_, **__: None


class Memory:
    """The most memory of this process's own, in GB, looked at every tenth of a second."""

    def __init__(self) -> None:
        self.most = 0.0
        threading.Thread(target=self._watch, daemon=True).start()

    def _watch(self) -> None:
        while True:
            found = re.search(r"RssAnon:\s+(\d+)", Path("/proc/self/status").read_text())
            self.most = max(self.most, int(found[1]) / 1e6 if found else 0.0)
            time.sleep(0.1)


def main(words: Sequence[str] | None = None) -> None:
    """Make, train, measure."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--users", type=int, default=477_412)
    parser.add_argument("--items", type=int, default=17_768)
    parser.add_argument("--ratings", type=int, default=98_074_901)
    held_out = parser.add_mutually_exclusive_group(required=True)
    held_out.add_argument("--random", type=float, help="share of the ratings for validation, and for test")
    held_out.add_argument("--window", help="of the paper: full, 3m, 6m or 1y")
    parser.add_argument("--folder", type=Path, default=Path("large"))
    parser.add_argument("--recipe", default="default")
    parser.add_argument("--set", action="append", default=[])
    asked = parser.parse_args(words)
    asked.folder.mkdir(parents=True, exist_ok=True)
    train, valid, test = parts(asked)
    config = load_recipe(asked.recipe, asked.set).model_copy(update={"interactions": None})
    memory, began = Memory(), time.perf_counter()
    trained = fit(train, valid, config, reporter=Said())
    seconds = time.perf_counter() - began
    for line in trained.metrics:
        print({name: value and round(value, 4) for name, value in line.items()})
    print(f"{len(train):,} ratings: {seconds:.0f} s, {memory.most:.2f} GB at most")
    for name, ratings in (("validation", valid), ("test", test)):
        pairs = align_to(ratings, train)
        predicted = np.clip(trained.model.predict(train, pairs.users, pairs.items), *trained.scale)
        print(
            f"{name} RMSE {np.sqrt(np.mean((predicted - pairs.values) ** 2)):.4f} of {len(pairs):,} ratings"
        )


if __name__ == "__main__":
    main()
