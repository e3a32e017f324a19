"""What an epoch costs against the number of items, and against the number of ratings.

    python benchmarks/catalogue.py [--ratings 10000000] [--recipe simple] [--set train.batch=512]

Trains one epoch on ratings of Netflix's shape, without re-feeds, in a process of its own for each case:
17,768, 100,000 and 1,000,000 items at the same ratings, and a quarter, half and all of the ratings at 100,000
items. Prints the seconds of the epoch (its flush included), those of the whole training with its files, the
processor's seconds of that in all threads, and the peak of the process's memory. Last, one JSON line. With
`--plot`, draws the seconds of the epoch (needs matplotlib).
"""

import argparse
import json
import platform
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from refeed.config import load_recipe
from refeed.ratings.simulate import simulate_ratings
from refeed.training.fit import fit

RATINGS_A_USER = 205
ITEMS = (17_768, 100_000, 1_000_000)
FIXED = 100_000  # items, where the ratings grow


def case(items: int, ratings: int, recipe: str, settings: list[str]) -> dict[str, float]:
    """Train one epoch in this process."""
    train = simulate_ratings(ratings // RATINGS_A_USER, items, ratings, seed=0)
    config = load_recipe(recipe, ["train.refeed=0", "train.epochs=1", *settings])
    with tempfile.TemporaryDirectory() as folder:
        started, busy = time.perf_counter(), time.process_time()
        fit(train, None, config, Path(folder) / "run")
        whole, busy = time.perf_counter() - started, time.process_time() - busy
        line = json.loads((Path(folder) / "run" / "metrics.jsonl").read_text())
    return {
        "items": items,
        "ratings": ratings,
        "epoch_s": line["seconds"],
        "whole_s": round(whole, 1),
        "cpu_s": round(busy, 1),
        "peak_gb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9, 2),
        "train_rmse": round(line["train_rmse"], 4),
    }


def apart(items: int, ratings: int, recipe: str, settings: list[str]) -> dict[str, float]:
    """The same in a process of its own, so that its peak of memory is its own."""
    words = ["--case", str(items), "--ratings", str(ratings), "--recipe", recipe]
    words += [word for setting in settings for word in ("--set", setting)]
    done = subprocess.run([sys.executable, __file__, *words], check=True, stdout=subprocess.PIPE, text=True)
    result: dict[str, float] = json.loads(done.stdout)
    print("  ".join(f"{key} {value:,}" for key, value in result.items()), flush=True)
    return result


def draw(by_items: list[dict[str, float]], by_ratings: list[dict[str, float]], path: Path) -> None:
    """Epoch seconds, against items and against ratings."""
    from matplotlib.figure import Figure  # noqa: PLC0415 - heavy, and only here

    figure = Figure(figsize=(8, 3.2), layout="constrained")
    for axis, lines, key in zip(
        figure.subplots(1, 2), (by_items, by_ratings), ("items", "ratings"), strict=True
    ):
        axis.plot([line[key] for line in lines], [line["epoch_s"] for line in lines], marker="o")
        axis.set(xscale="log", xlabel=key, ylabel="seconds an epoch", ylim=(0, None))
    figure.savefig(path, dpi=120)


def main() -> None:
    """Run all cases, or one."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--ratings", type=int, default=10_000_000)
    parser.add_argument("--recipe", default="deeprec-netflix-full")
    parser.add_argument("--set", dest="settings", action="append", default=[])
    parser.add_argument("--case", type=int, help="only this number of items, in this process")
    parser.add_argument("--plot", type=Path, help="the picture to draw")
    options = parser.parse_args()
    if options.case:
        print(json.dumps(case(options.case, options.ratings, options.recipe, options.settings)))
        return
    by_items = [apart(items, options.ratings, options.recipe, options.settings) for items in ITEMS]
    shares = [options.ratings // 4, options.ratings // 2]
    by_ratings = [apart(FIXED, ratings, options.recipe, options.settings) for ratings in shares]
    by_ratings.append(by_items[ITEMS.index(FIXED)])
    if options.plot:
        draw(by_items, by_ratings, options.plot)
    for line in by_items:
        print(
            f"{line['items']:>9,} items: {line['epoch_s'] / by_items[0]['epoch_s']:.2f} × the first's epoch, "
            f"{line['cpu_s'] / by_items[0]['cpu_s']:.2f} × its processor seconds"
        )
    results = {"by_items": by_items, "by_ratings": by_ratings}
    settings = {"recipe": options.recipe, "set": options.settings, "machine": platform.machine()}
    print(json.dumps({"benchmark": "catalogue", **settings, **results}))


if __name__ == "__main__":
    main()
