"""Do batches of thousands learn as well as batches of 128, and in how much less time?

    python benchmarks/large_batches.py [--ratings 5000000] [--encoder 128 256 256] [--seeds 0]

Simulated Netflix of so many ratings, 5 % held out at random, half of it for validation; the paper's net of
three months with a linear output that starts at the mean, code dropout .65, AdamW with its rate scaled by the
root of the batch (`train.lr_for_batch`), warm-up and a cosine. The larger batch gets about twice the epochs.
Prints the validation RMSE of the best epoch, seconds of training, when the error of the small batch was
reached, and one JSON line.
"""

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

from refeed.config import AutoencoderConfig, Config, TrainConfig
from refeed.ratings.simulate import simulate_ratings
from refeed.ratings.split import Split, split_random
from refeed.training.fit import fit

USERS, ITEMS, RATINGS = 477_412, 17_768, 98_074_901  # Netflix's
CASES: list[dict[str, Any]] = [
    {"batch": 128, "epochs": 10, "warmup": 400, "precision": "auto"},
    {"batch": 4096, "epochs": 22, "warmup": 24, "precision": "auto"},
]


def curve(split: Split, encoder: list[int], seed: int, case: dict[str, Any]) -> list[tuple[float, float]]:
    """Seconds of training since the start, and the validation RMSE, at the end of every epoch."""
    model = AutoencoderConfig(encoder=encoder, dropout=0.65, output_activation=False, output_start="mean")
    train = {"optimizer": "adamw", "lr": 0.00035, "lr_for_batch": 128, "schedule": "cosine", "seed": seed}
    config = Config(model=model, train=TrainConfig.model_validate({**train, **case}))
    with tempfile.TemporaryDirectory() as scratch:
        out = Path(scratch) / "run"
        fit(split.train, split.valid, config, out)
        lines = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    seconds = 0.0
    points = []
    for line in lines:
        seconds += line["seconds"]
        points.append((seconds, line["valid_rmse"]))
    return points


def main() -> None:
    """Train with both batches."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--ratings", type=int, default=5_000_000)
    parser.add_argument("--encoder", nargs="+", type=int, default=[128, 256, 256])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    asked = parser.parse_args()
    users = round(USERS * asked.ratings / RATINGS)
    split = split_random(simulate_ratings(users, ITEMS, asked.ratings, seed=0), 0.05)
    facts = []
    for seed in asked.seeds:
        small, large = (curve(split, asked.encoder, seed, case) for case in CASES)
        goal = min(error for _, error in small)
        reached = next((seconds for seconds, error in large if error <= goal + 0.001), None)
        for case, points in zip(CASES, (small, large), strict=True):
            best = min(error for _, error in points)
            print(
                f"seed {seed}  batch {case['batch']:5}  RMSE {best:.4f}  {points[-1][0]:6.1f} s", flush=True
            )
        print(f"        within .001 of the small batch's after {reached or float('nan'):.1f} s", flush=True)
        facts.append({"seed": seed, "small": small, "large": large, "reached_s": reached})
    print(json.dumps({"benchmark": "large_batches", **vars(asked), "runs": facts}))


if __name__ == "__main__":
    main()
