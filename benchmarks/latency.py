"""What one call costs against the number of items: a prediction, a list, an explanation, and loading.

    python benchmarks/latency.py [--items 2000 20000 200000] [--kinds ridge ensemble …] [--calls 200]

Untrained weights cost what trained ones do, so nothing is trained: models of each kind are filled with
random numbers, written to a folder and loaded from it, in a process of their own for each case and on one
thread. Users have 50 ratings each, whatever the number of items. Prints, for each case, the median and the
99th percentile of the milliseconds of `predict` (one user, one item), `recommend` (10 items) and `explain`,
and the median of the processor's milliseconds, which a busy machine changes less; those of loading; the
megabytes that the process holds more after it, and how far a list, and a list with `cautious=1`, raise
them. Last, one JSON line.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import nn

from refeed.config import AutoencoderConfig, BiasConfig, Config, RidgeConfig, TrainConfig
from refeed.config.baselines import SvdppConfig
from refeed.factory import build_model
from refeed.inference.recommender import Recommender
from refeed.model_folder import binding, create_folder, save_weights
from refeed.ratings.ids import Ids
from refeed.ratings.store import Ratings

USERS, PER_USER = 2000, 50
ITEMS = (2_000, 20_000, 200_000)

RIDGE = RidgeConfig(width=32, prior_users=500.0, prior_vectors=1000.0)
NETWORK = AutoencoderConfig.model_validate(
    {"encoder": [128, 128], "target": "residual", "output_activation": False, "bias_damping": [5.0, 3.0]}
)
KINDS = {
    "ridge": Config(model=RIDGE),
    "ensemble": Config(model=RIDGE, train=TrainConfig(ensemble=3)),
    "autoencoder": Config(model=NETWORK),
    "blend": Config(model=RIDGE, network=NETWORK, network_train=TrainConfig()),
    "bias": Config(model=BiasConfig()),
    "factors": Config(model=SvdppConfig()),
}


def ratings(items: int) -> Ratings:
    """So many different items for each user, at random."""
    rng = np.random.default_rng(0)
    each = np.stack([rng.permutation(items)[:PER_USER] for _ in range(USERS)])
    return Ratings.from_arrays(
        np.repeat(np.arange(USERS), PER_USER),
        each.ravel(),
        rng.integers(1, 6, USERS * PER_USER).astype(np.float32),
        user_ids=Ids(f"u{n}" for n in range(USERS)),
        item_ids=Ids(f"i{n}" for n in range(items)),
        titles=[f"The {n}th film" for n in range(items)],
    )


def write(kind: str, items: int, run: Path) -> None:
    """A model folder of that kind, with random weights."""
    torch.manual_seed(0)
    train, config = ratings(items), KINDS[kind]
    model = build_model(config, n_users=train.n_users, n_items=train.n_items)
    for name, tensor in model.state_dict().items():
        if name.rpartition(".")[2] in (
            "vectors",
            "bias",
            "drift",
            "implicit",
            "item_biases",
            "users",
            "items",
        ):
            tensor.copy_(0.1 * torch.randn(tensor.shape))
        elif name.rpartition(".")[2] in ("deviation", "scale", "doubt"):
            tensor.fill_(1.0)
        elif name.rpartition(".")[2] == "quantiles":
            tensor.copy_(torch.linspace(-2, 2, len(tensor)))
        elif name == "weight":
            tensor.fill_(0.5)  # of a blend
    create_folder(run, config, train)
    for weights in ("model", "last"):
        save_weights(
            run / f"{weights}.safetensors",
            model.state_dict(),
            binding(run, config, train.n_users, train.scale),
        )


def measured(call: Callable[[int], object], calls: int) -> dict[str, float]:
    """Milliseconds of a call, after some that are not counted."""
    spent, busy = [], []
    for number in range(-5, calls):
        start, own = time.perf_counter(), time.thread_time()
        call(number)
        if number >= 0:
            spent.append(1e3 * (time.perf_counter() - start))
            busy.append(1e3 * (time.thread_time() - own))
    return {
        "p50": round(float(np.median(spent)), 3),
        "p99": round(float(np.quantile(spent, 0.99)), 3),
        "cpu": round(float(np.median(busy)), 3),
    }


def megabytes() -> float:
    """What this process holds in memory now."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def raised(call: Callable[[], object]) -> float:
    """How many megabytes more the process holds at the most, while it makes a call for the first time."""
    before, most, over = megabytes(), 0.0, threading.Event()

    def watch() -> None:
        nonlocal most
        while not over.wait(0.0005):
            most = max(most, megabytes() - before)

    watcher = threading.Thread(target=watch)
    watcher.start()
    call()
    over.set()
    watcher.join()
    return round(most, 1)


def case(run: Path, calls: int) -> dict[str, object]:
    """Measure in this process."""
    torch.set_num_threads(1)
    imported = megabytes()
    start = time.perf_counter()
    recommender = Recommender.load(run)
    loaded = time.perf_counter() - start
    held = megabytes() - imported
    model, ids = recommender.trained.model, recommender.item_ids
    assert isinstance(model, nn.Module)  # noqa: S101
    asked = np.random.default_rng(1).integers(len(ids), size=calls + 5)
    line: dict[str, object] = {"load_ms": round(1e3 * loaded, 1), "held_mb": round(held, 1)}
    recommender.predict("u0", ids[0])  # the first one makes the tables of ids
    line["list_mb"] = raised(lambda: recommender.recommend("u1"))
    if hasattr(model, "predictive_std"):
        line["cautious_mb"] = raised(lambda: recommender.recommend("u2", cautious=1))
    line["predict_ms"] = measured(lambda n: recommender.predict(f"u{n % USERS}", ids[int(asked[n])]), calls)
    line["list_ms"] = measured(lambda n: recommender.recommend(f"u{n % USERS}"), max(20, calls // 5))
    if hasattr(model, "explain"):
        line["explain_ms"] = measured(
            lambda n: recommender.explain(f"u{n % USERS}", ids[int(asked[n])]), calls
        )
    return line


def apart(kind: str, items: int, calls: int) -> dict[str, object]:
    """One case, in a process of its own: its memory is its own."""
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        write(kind, items, run)
        words = ["--case", str(run), "--kinds", kind, "--calls", str(calls)]
        done = subprocess.run(
            [sys.executable, __file__, *words], check=True, stdout=subprocess.PIPE, text=True
        )
    line: dict[str, object] = {"kind": kind, "items": items, **json.loads(done.stdout)}
    print("  ".join(f"{key} {value}" for key, value in line.items()), flush=True)
    return line


def main() -> None:
    """Run all cases, or one."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--items", type=int, nargs="+", default=ITEMS)
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS))
    parser.add_argument("--calls", type=int, default=200)
    parser.add_argument("--case", type=Path, help="only this model folder, in this process")
    options = parser.parse_args()
    if options.case:
        print(json.dumps(case(options.case, options.calls)))
        return
    lines = [apart(kind, items, options.calls) for kind in options.kinds for items in options.items]
    print(json.dumps({"benchmark": "latency", "calls": options.calls, "lines": lines}))


if __name__ == "__main__":
    main()
