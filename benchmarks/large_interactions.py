"""What models of who takes what up cost on many items: seconds, memory announced and taken.

    python benchmarks/large_interactions.py --kind local --items 1000000 --ratings 10000000 [--per-user 20]
    python benchmarks/large_interactions.py --kind linear --items 17768 --ratings 10000000 [--per-user 205]

Interactions with the shape of Netflix (a few items are in most histories). The settings are given, as a
search trains several times on the most taken items. `linear` is timed beside the Cholesky factorisation of a
matrix of its size, in the same process. Prints seconds of the clock and of the processors, and the memory
that the process held before the fit and at its peak.
"""

import argparse
import os
import resource
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from refeed.config.interactions import LinearConfig, LocalConfig
from refeed.models.interactions.choose import fit_interactions
from refeed.ratings.simulate import simulate_ratings

GIVEN: dict[str, Any] = {
    "ridge": 100.0,
    "ridge_power": 0.5,
    "user_power": 0.5,
    "grade": 0.0,
    "recency": 0.0,
    "popularity": 0.1,
    "trend": 0.0,
}


def resident() -> int:
    """Bytes that this process holds now."""
    pages = Path("/proc/self/statm").read_text(encoding="ascii").split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


def factorise(items: int) -> None:
    """The Cholesky factorisation of a matrix of this size, in its own place."""
    matrix = torch.full((items, items), 0.1)
    matrix.diagonal().add_(items)
    start, used = time.perf_counter(), time.process_time()
    torch.linalg.cholesky_ex(matrix.mT, out=(matrix.mT, torch.empty((), dtype=torch.int32)))
    seconds, of_processors = time.perf_counter() - start, time.process_time() - used
    print(f"Cholesky factorisation: {seconds:.1f} s, {of_processors:.1f} s of processors")


def main() -> None:
    """Simulate, fit, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kind", choices=("local", "linear"), default="local")
    parser.add_argument("--items", type=int, default=1_000_000)
    parser.add_argument("--ratings", type=int, default=10_000_000)
    parser.add_argument("--per-user", type=int, default=20)
    asked = parser.parse_args()
    train = simulate_ratings(asked.ratings // asked.per_user, asked.items, asked.ratings, seed=0)
    print(f"{train.n_users:,} users, {train.n_items:,} items, {len(train):,} interactions")
    print(f"the longest history has {int(train.user_counts.max()):,}")
    if asked.kind == "linear":
        factorise(asked.items)
    before, start, used = resident(), time.perf_counter(), time.process_time()
    config = LocalConfig(**GIVEN) if asked.kind == "local" else LinearConfig(**GIVEN)
    _, model = fit_interactions(config, train)
    seconds, of_processors = time.perf_counter() - start, time.process_time() - used
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    threads = torch.get_num_threads()
    print(f"{asked.kind}: {seconds:.1f} s, {of_processors:.1f} s of processors, {threads} threads")
    print(f"memory: {before / 1e9:.2f} GB before the fit, {peak / 1e9:.2f} GB at the peak")
    start = time.perf_counter()
    users = np.arange(256)
    best = next(model.score_blocks(train, users, len(users))).topk(100).indices
    print(f"top 100 of {len(users)} users: {time.perf_counter() - start:.1f} s, {best.shape[1]} items each")


if __name__ == "__main__":
    main()
