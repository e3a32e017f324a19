"""What do lists by both parts cost: who takes an item up, and how likely they are to like it?

Some users of simulated Netflix; a linear model of who takes what up and a ridge autoencoder of ratings, both
with random weights, which cost what trained ones do. The floor is what can't be done without: the sums of
items × items weights over the histories, and the product of codes and item vectors. Seconds of the processor,
one thread, the least of several, taken in turns.

    python benchmarks/score_lists.py [--users 2000] [--items 17768] [--width 48] [--repeats 3] [-k 100]
"""

import argparse
import json
import math
import resource
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from refeed.config import Config, LinearConfig, RidgeConfig
from refeed.inference.listing import listing_of
from refeed.inference.making import hide_seen, users_at_once
from refeed.inference.recommender import Recommender
from refeed.inference.scoring import rank, score
from refeed.model_items import Items
from refeed.models.autoencoder.sparse import encode
from refeed.models.interactions.linear import Linear
from refeed.models.intervals import LEVELS
from refeed.models.liked import probability_liked
from refeed.models.liking import Liking
from refeed.models.list_part import ListPart
from refeed.models.list_score import ListWeights, list_scores
from refeed.models.ridge.model import RidgeAutoencoder
from refeed.ratings.simulate import simulate_ratings
from refeed.ratings.store import Ratings
from refeed.trained_model import TrainedModel

PER_USER = 205
QUANTILES = torch.linspace(-2, 2, len(LEVELS), dtype=torch.float64)


def _recommender(train: Ratings, width: int) -> Recommender:
    items = train.n_items
    config = RidgeConfig(width=width, prior_users=500.0, prior_vectors=1000.0)
    model, taken = RidgeAutoencoder(config, items), Linear(items)
    for tensor in (model.vectors, model.bias, model.implicit):
        tensor.copy_(0.1 * torch.randn(tensor.shape))
    model.mean.fill_(3.5)
    model.scale.fill_(1.0)
    model.quantiles.copy_(QUANTILES)
    taken.weights.uniform_(0, 0.01)
    part = ListPart(
        LinearConfig(), taken, Liking(4.0, 3.5, QUANTILES.numpy()), ListWeights(), np.arange(1.0, 6.0)
    )
    return Recommender(
        TrainedModel(
            config=Config(model=config),
            model=model.eval(),
            items=Items.of(train),
            scale=train.scale,
            n_users=train.n_users,
            histories=train,
            lists=part,
        )
    )


class Clock:
    """Processor seconds of each stage of a pass."""

    def __init__(self) -> None:
        self.spent: dict[str, float] = {}

    def of(self, stage: str, call: Callable[..., Any], *arguments: Any) -> Any:
        """What the call returns; its time is added to the stage's."""
        start = time.process_time()
        found = call(*arguments)
        self.spent[stage] = self.spent.get(stage, 0.0) + time.process_time() - start
        return found


def _blocks(histories: Ratings) -> Iterator[Any]:
    """The users, a block at a time."""
    size = users_at_once(histories.n_items)
    for first in range(0, histories.n_users, size):
        yield np.arange(first, min(first + size, histories.n_users))


def _stages(recommender: Recommender, k: int) -> dict[str, float]:
    """Each stage of making the lists, in one pass."""
    histories, listing, clock = recommender.histories, listing_of(recommender.trained), Clock()
    model: Any = recommender.trained.model
    for some in _blocks(histories):
        taken = clock.of(
            "interaction scores", next, listing.part.interactions.score_blocks(histories, some, len(some))
        )
        rated = clock.of("predictions", next, model.predict_blocks(histories, some, len(some)))
        std = torch.from_numpy(clock.of("their uncertainty", model.predictive_std_all, histories, some))
        liked = clock.of("P(liked)", probability_liked, listing.liking, rated, std)
        scores = clock.of("scores", list_scores, taken, liked, listing.weights)
        clock.of("hide seen", hide_seen, scores, histories, some)
        clock.of("best k", rank, listing, histories, scores, some, k)
    return clock.spent


def _floor(recommender: Recommender) -> float:
    """The sums over the histories and the products of codes and vectors, alone."""
    histories, clock = recommender.histories, Clock()
    model: Any = recommender.trained.model
    taken: Any = listing_of(recommender.trained).part.interactions
    decoder = torch.cat([model.vectors, model.scale.expand(histories.n_items, 1)], dim=1).t()
    for some in _blocks(histories):
        batch = taken.inputs.batch(histories, some, torch.device("cpu"))
        clock.of("floor", encode, taken.weights, batch.values, batch)
        clock.of("floor", torch.mm, torch.randn(len(some), len(decoder)), decoder)
    return clock.spent["floor"]


def _whole(recommender: Recommender, k: int, by: str) -> float:
    with tempfile.TemporaryDirectory() as scratch:
        start = time.process_time()
        score(recommender, Path(scratch) / "lists.parquet", k=k, by=by)
        return time.process_time() - start


def main() -> None:
    """Print the table and the line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--users", type=int, default=2000)
    parser.add_argument("--items", type=int, default=17_768)
    parser.add_argument("--width", type=int, default=48)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("-k", type=int, default=100)
    asked = parser.parse_args()
    torch.manual_seed(0)
    torch.set_num_threads(1)
    train = simulate_ratings(asked.users, asked.items, asked.users * PER_USER, 0)
    recommender = _recommender(train, asked.width)
    floor, spent, total = math.inf, dict[str, float](), dict[str, float]()
    with torch.no_grad():
        for _ in range(asked.repeats):
            floor = min(floor, _floor(recommender))
            for stage, seconds in _stages(recommender, asked.k).items():
                spent[stage] = min(seconds, spent.get(stage, math.inf))
            for by in ("both", "interaction", "rating"):
                total[by] = min(_whole(recommender, asked.k, by), total.get(by, math.inf))
    print(f"{'sums and products alone':26}{floor:8.2f} s")
    for stage, seconds in spent.items():
        print(f"{stage:26}{seconds:8.2f} s {seconds / floor:7.2f} × the floor")
    for by, seconds in total.items():
        print(f"{'in all, by ' + by:26}{seconds:8.2f} s {seconds / floor:7.2f} × the floor")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    facts = {**vars(asked), "floor_s": floor, "total_s": total, "peak_gb": peak, "stages_s": spent}
    print(json.dumps({"benchmark": "score_lists", **facts}))


if __name__ == "__main__":
    main()
