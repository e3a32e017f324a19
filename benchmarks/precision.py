"""What bf16 products do to accuracy: the validation RMSE of both precisions over some seeds.

    python benchmarks/precision.py [--users 6000] [--items 1500] [--ratings 500000] [--seeds 5] [--epochs 6]

Simulated ratings of Netflix's shape, 10 % held out at random; the paper's net with 128-128-256 units, code
dropout 0.5 and one re-feed, once with a SELU on the output (re-feeds dense) and once linear (collapsed).
Prints the mean and the deviation over the seeds of each precision, and one JSON line.
"""

import argparse
import json
import tempfile
from pathlib import Path
from typing import Literal

import numpy as np

from refeed.config import AutoencoderConfig, Config, TrainConfig
from refeed.ratings.simulate import simulate_ratings
from refeed.ratings.split import Split, split_random
from refeed.training.fit import fit

Precision = Literal["float32", "bf16"]


def valid_rmse(split: Split, precision: Precision, seed: int, epochs: int, *, linear: bool) -> float:
    """Train once; the RMSE after the last epoch."""
    config = Config(
        model=AutoencoderConfig(encoder=[128, 128, 256], dropout=0.5, output_activation=not linear),
        train=TrainConfig(
            lr=0.005,
            refeed=1,
            refeed_path="collapsed" if linear else "dense",
            precision=precision,
            epochs=epochs,
            seed=seed,
        ),
    )
    with tempfile.TemporaryDirectory() as scratch:
        out = Path(scratch) / "run"
        fit(split.train, split.valid, config, out)
        lines = (out / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
        return float(json.loads(lines[-1])["valid_rmse"])


def main() -> None:
    """Both precisions, both outputs, all seeds."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for name, default in (
        ("users", 6000),
        ("items", 1500),
        ("ratings", 500_000),
        ("seeds", 5),
        ("epochs", 6),
    ):
        parser.add_argument(f"--{name}", type=int, default=default)
    options = parser.parse_args()
    ratings = simulate_ratings(options.users, options.items, options.ratings, seed=0)
    split = split_random(ratings, 0.1, valid=0.99, seed=0)
    precisions: tuple[Precision, ...] = ("float32", "bf16")
    found: dict[str, dict[str, list[float]]] = {}
    for linear in (False, True):
        case = "linear output, collapsed" if linear else "SELU output, dense"
        found[case] = {
            precision: [
                valid_rmse(split, precision, seed, options.epochs, linear=linear)
                for seed in range(options.seeds)
            ]
            for precision in precisions
        }
        for precision, errors in found[case].items():
            mean, deviation = np.mean(errors), np.std(errors, ddof=1)
            print(f"{case:26} {precision:8} {mean:.5f} ± {deviation:.5f}", flush=True)
        apart = np.subtract(found[case]["bf16"], found[case]["float32"])
        print(f"{case:26} same seed, bf16 - float32: {np.mean(apart):+.5f} ± {np.std(apart, ddof=1):.5f}")
    print(json.dumps({"benchmark": "precision", **vars(options), "valid_rmse": found}))


if __name__ == "__main__":
    main()
