"""How close do the best items of everybody come to their matrix products' floor?

Some users of simulated Netflix, the paper's largest network (untrained weights cost what trained ones do).
The floor is the time of the network's matrix products alone, on blocks of the same size, in the same run.
Each figure is the least of several, taken in turns.

    python benchmarks/score.py [--users 4000] [--repeats 5] [-k 100] [--activation selu] [--residual]
"""

import argparse
import json
import math
import resource
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from refeed.config import AutoencoderConfig, Config
from refeed.inference.block_ranking import block_scores
from refeed.inference.listing import listing_of
from refeed.inference.making import hide_seen, users_at_once
from refeed.inference.recommender import Recommender
from refeed.inference.scoring import rank, score
from refeed.model_items import Items
from refeed.models.autoencoder.network import Autoencoder
from refeed.models.interface import predict_blocks
from refeed.ratings.simulate import simulate_ratings
from refeed.ratings.store import Ratings
from refeed.trained_model import TrainedModel

ITEMS, PER_USER = 17_768, 205


def _recommender(train: Ratings, activation: str, *, residual: bool) -> Recommender:
    config = AutoencoderConfig.model_validate(
        {
            "encoder": [512, 512, 1024],
            "activation": activation,
            "output_activation": not residual,
            "target": "residual" if residual else "rating",
        }
    )
    model = Autoencoder(config, ITEMS, torch.Generator().manual_seed(0))
    if residual:
        model.fit_biases(train, None)
    return Recommender(
        TrainedModel(
            config=Config(model=config),
            model=model.eval(),
            items=Items.of(train),
            scale=train.scale,
            n_users=train.n_users,
            histories=train,
        )
    )


def _products(users: int) -> float:
    """Seconds of the matrix products alone, into memory that is there already."""
    size = users_at_once(ITEMS)
    layers = [
        torch.randn(after, before) for before, after in [(512, 512), (512, 1024), (1024, 512), (512, 512)]
    ]
    last, out = torch.randn(ITEMS, 512), torch.empty(size, ITEMS)
    start = time.perf_counter()
    for first in range(0, users, size):
        units = torch.ones(min(size, users - first), 512)
        for layer in layers:
            units = units @ layer.t()
        torch.mm(units, last.t(), out=out[: len(units)])
    return time.perf_counter() - start


def _stages(recommender: Recommender, users: int, k: int) -> dict[str, float]:
    """Seconds of each stage of making the lists, in one pass."""
    trained, histories, size = recommender.trained, recommender.histories, users_at_once(ITEMS)
    spent = dict.fromkeys(("predict", "level and shrink", "hide seen", "best k"), 0.0)
    last = time.perf_counter()

    def done(stage: str) -> None:
        nonlocal last
        now = time.perf_counter()
        spent[stage] += now - last
        last = now

    listing, everybody = listing_of(trained), np.arange(users)
    for at, block in enumerate(predict_blocks(trained.model, histories, everybody, size)):
        done("predict")
        some = everybody[at * size : at * size + len(block)]
        scores = block_scores(block, trained.items.counts)
        done("level and shrink")
        hide_seen(scores, histories, some)
        done("hide seen")
        rank(listing, histories, scores, some, k)
        done("best k")
    return spent


def _whole(recommender: Recommender, k: int) -> float:
    with tempfile.TemporaryDirectory() as scratch:
        start = time.perf_counter()
        score(recommender, Path(scratch) / "lists.parquet", k=k)
        return time.perf_counter() - start


def main() -> None:
    """Print the table and the line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--users", type=int, default=4000)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("-k", type=int, default=100)
    parser.add_argument("--activation", default="selu")
    parser.add_argument("--residual", action="store_true")
    asked = parser.parse_args()
    torch.manual_seed(0)
    train = simulate_ratings(asked.users, ITEMS, asked.users * PER_USER, 0)
    recommender = _recommender(train, asked.activation, residual=asked.residual)
    _products(users_at_once(ITEMS))
    floor, spent, total = math.inf, dict[str, float](), math.inf
    for _ in range(asked.repeats):
        floor = min(floor, _products(asked.users))
        stages = _stages(recommender, asked.users, asked.k)
        spent = {stage: min(seconds, spent.get(stage, seconds)) for stage, seconds in stages.items()}
        total = min(total, _whole(recommender, asked.k))
    spent["write"] = total - sum(spent.values())
    print(f"{'matrix products alone':24}{floor:8.2f} s")
    for stage, seconds in spent.items():
        print(f"{stage:24}{seconds:8.2f} s {seconds / total:7.0%}")
    print(f"{'in all':24}{total:8.2f} s {total / floor:7.2f} × the floor")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    facts = {**vars(asked), "floor_s": floor, "total_s": total, "ratio": total / floor, "peak_gb": peak}
    print(json.dumps({"benchmark": "score", **facts, "stages_s": spent}))


if __name__ == "__main__":
    main()
