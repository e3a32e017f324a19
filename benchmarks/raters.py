"""Which share of the learning rate should F take, where items have many raters?

    python benchmarks/raters.py --people 25000 --items 100 --filled 0.66 --width 16 --shares 1 0.3 0.1 0.03

Simulates ratings from −10 to 10 with a planted structure, by people whose levels differ much
(t-distributed), who answer more or less strongly, and some of whom rated everything. Trains the ridge
autoencoder at fixed priors, with F at each share of the rate, and prints the validation RMSE after some
numbers of updates.
"""

import argparse
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

import numpy as np
import pandas as pd

from refeed import Ratings
from refeed.config import load_recipe
from refeed.models.ridge import learner as learner_module
from refeed.models.variances import variances_of
from refeed.optim.optimizer import make_optimizer
from refeed.ratings.pairs import Aligned, align_to
from refeed.runtime import start_runtime
from refeed.training.batches import Batches
from refeed.training.checkpoint import Place
from refeed.training.loop import Update, train
from refeed.training.measure import valid_rmse
from refeed.training.members import make_learner

SHOWN = (10, 20, 40, 60, 80, 100, 160, 200, 250, 300)


def simulated(people: int, items: int, filled: float, seed: int = 0, rank: int = 8) -> list[Ratings]:
    """Training and validation ratings."""
    rng = np.random.default_rng(seed)
    share = np.full(people, filled)
    if filled > 0.5:
        share = np.where(rng.random(people) < 0.3, 1.0, rng.beta(1.6, 1.4, people))
        share = np.clip(share * filled / share.mean(), 0.05, 1)
    quality = rng.normal(0, 1.3, items)
    wanted = rng.gumbel(size=(people, items)) + quality * 0.35 - np.arange(items) / items * 1.5
    order = np.argsort(-wanted, axis=1)
    place = np.empty_like(order)
    np.put_along_axis(place, order, np.broadcast_to(np.arange(items), order.shape), 1)
    seen = place < np.maximum(3, np.round(share * items)).astype(int)[:, None]
    strengths = np.arange(1, rank + 1) ** -0.5
    tastes = rng.normal(size=(people, rank)) * strengths / np.linalg.norm(strengths) * 2.6
    kinds = rng.normal(size=(items, rank))
    level = rng.standard_t(6, people) * 2.4
    spread = np.exp(rng.normal(-0.1, 0.45, people))
    noise = rng.standard_t(5, (people, items)) * 3.0
    ratings = 0.8 + quality + level[:, None] + spread[:, None] * (tastes @ kinds.T + noise)
    ratings = np.clip(10 * np.tanh(ratings * 0.11), -10, 10).round(2)
    users, columns = np.nonzero(seen)
    cut = rng.random(len(users))
    parts = (cut < 0.9, (cut >= 0.9) & (cut < 0.95))
    return [
        Ratings.from_frame(
            pd.DataFrame(
                {
                    "user": np.char.add("u", users[part].astype(str)),
                    "item": np.char.add("i", columns[part].astype(str)),
                    "rating": ratings[users[part], columns[part]].astype(np.float32),
                }
            )
        )
        for part in parts
    ]


@contextmanager
def share_taken(share: float) -> Iterator[None]:
    """F takes this share of the rate."""
    with mock.patch.object(learner_module, "share_of_rate", return_value=share):
        yield


def errors(
    parts: list[Ratings], settings: list[str], share: float, updates: int
) -> tuple[dict[int, float], float]:
    """Validation RMSE after some numbers of updates, and the processor's seconds."""
    ratings, valid = parts
    config, found, started = load_recipe("default", settings), {}, time.process_time()
    with start_runtime() as runtime, share_taken(share):
        held_out: Aligned = align_to(valid, ratings)
        learner: Any = make_learner(config, ratings, valid, runtime.device)
        optimizer = make_optimizer(learner.parameter_groups(), config.train)
        batches: Batches[Any] = Batches(learner, config.train, runtime)
        done = 0
        for event in train(learner, optimizer, batches, config.train, runtime, Place()):
            done += isinstance(event, Update)
            if isinstance(event, Update) and done in SHOWN:
                found[done] = valid_rmse(learner.finished(), ratings, held_out, runtime) or 0.0
            if done >= updates:
                break
    return found, time.process_time() - started


def main() -> None:
    """Train with each share."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--people", type=int, default=25_000)
    parser.add_argument("--items", type=int, default=100)
    parser.add_argument("--filled", type=float, default=0.66)
    parser.add_argument("--width", type=int, default=16)
    parser.add_argument("--priors", type=float, nargs=2, default=None)
    parser.add_argument("--shares", type=float, nargs="+", default=[1, 0.3, 0.1, 0.03])
    parser.add_argument("--updates", type=int, default=300)
    asked = parser.parse_args()
    parts = simulated(asked.people, asked.items, asked.filled)
    of_users = 500 * (len(parts[0]) / 100_000) ** 0.5
    priors = asked.priors or (of_users, 2 * of_users)
    print(f"{len(parts[0]):,} ratings, {len(parts[0]) / parts[0].n_items:,.0f} an item", flush=True)
    for share in asked.shares:
        settings = [f"model.width={asked.width}", f"model.prior_users={priors[0]:.2g}"]
        settings += [f"model.prior_vectors={priors[1]:.2g}"]
        settings += [f"model.prior_bias={2 * variances_of(parts[0]).item_damping:.2g}"]
        found, seconds = errors(parts, settings, share, asked.updates)
        line = "  ".join(f"{updates}: {error:.4f}" for updates, error in found.items())
        print(f"share {share:g}  {line}  ({seconds:.0f} s)", flush=True)


if __name__ == "__main__":
    main()
