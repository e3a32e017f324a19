"""What a training step costs a user: ours against a plain dense float32 step, in one run.

    python benchmarks/step.py [--users 8192] [--repeats 5]

The paper's largest net (17,768 items, 512-512-1024, code dropout 0.8) on ratings of Netflix's shape. The
dense step is the paper's section 2.2 word for word on dense matrices (`DenseStep` below). Both include making
the batch and the optimizer. Prints, for each case, the median milliseconds a user, the ratio to the dense
step at batch 128, and a roofline: the floating-point operations of the matrix products over this machine's
measured peak, and the bytes of weights and optimizer state over its measured memory bandwidth. Last, one JSON
line.
"""

import argparse
import json
import platform
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor, nn

from refeed.config import AutoencoderConfig, TrainConfig
from refeed.model.autoencoder import Autoencoder
from refeed.model.dropout import Dropout
from refeed.ratings.simulate import simulate_ratings
from refeed.ratings.store import Ratings
from refeed.training.example import whole
from refeed.training.optimizer import make_optimizer
from refeed.training.runtime import Runtime
from refeed.training.step import train_step

WIDTHS = [512, 512, 1024]
ITEMS = 17_768
DROPOUT = 0.8


class DenseStep:
    """The paper's step on dense matrices, as one would write it down first."""

    def __init__(self, *, output_activation: bool) -> None:
        sizes = [ITEMS, *WIDTHS, *WIDTHS[-2::-1], ITEMS]
        self.layers = nn.ModuleList([nn.Linear(a, b) for a, b in pairwise(sizes)])
        self.optimizer = torch.optim.SGD(self.layers.parameters(), lr=1e-4, momentum=0.9)
        self.output_activation = output_activation

    def forward(self, x: Tensor) -> Tensor:
        for number, layer in enumerate(self.layers, start=1):
            x = layer(x)
            if number < len(self.layers) or self.output_activation:
                x = nn.functional.selu(x)
            if number == len(WIDTHS):
                x = nn.functional.dropout(x, DROPOUT)
        return x

    def step(self, ratings: Ratings, users: np.ndarray, refeeds: int) -> None:
        indptr, items, values = ratings.rows(users)
        x = torch.zeros(len(users), ITEMS)
        rows = np.repeat(np.arange(len(users)), np.diff(indptr))
        x[torch.from_numpy(rows), torch.from_numpy(items.astype(np.int64))] = torch.from_numpy(values)
        for _ in range(1 + refeeds):
            y = self.forward(x)
            mask = x != 0
            loss = ((y - x) * mask).square().sum() / mask.sum()
            self.optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            self.optimizer.step()
            x = y.detach()


class OurStep:
    """The step that refeed trains with."""

    def __init__(self, refeeds: int, *, output_activation: bool) -> None:
        config = AutoencoderConfig(encoder=WIDTHS, dropout=DROPOUT, output_activation=output_activation)
        self.model = Autoencoder(config, ITEMS, torch.Generator().manual_seed(0))
        self.train = TrainConfig(lr=1e-4, refeed=refeeds)
        self.optimizer = make_optimizer(self.model.parameters(), self.train, ratings=1)
        self.generator = torch.Generator()

    def step(self, ratings: Ratings, users: np.ndarray) -> None:
        dropout = Dropout(DROPOUT, self.generator, slice(0, len(users)), len(users))
        example = whole(self.model, ratings, users)
        runtime = Runtime(torch.device("cpu"))
        train_step(self.model, example, self.optimizer, self.train, dropout, runtime)


@dataclass
class Peaks:
    """What this machine can do at best."""

    gflops: float
    gigabytes_per_second: float

    @classmethod
    def measured(cls) -> "Peaks":
        a, b = torch.randn(2048, 2048), torch.randn(2048, 2048)
        product = seconds(lambda: torch.mm(a, b), 5)
        block, target = torch.randn(32 << 20), torch.empty(32 << 20)
        copy = seconds(lambda: target.copy_(block), 5)
        return cls(2 * 2048**3 / product / 1e9, 2 * block.numel() * 4 / copy / 1e9)


def seconds(work: Callable[[], object], repeats: int) -> float:
    """The median time of a piece of work, after one go to warm up."""
    work()
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        work()
        times.append(time.perf_counter() - started)
    return statistics.median(times)


def floor(batch: int, ratings_a_user: float, refeeds: int, *, collapsed: bool, peaks: Peaks) -> float:
    """Seconds a user that the arithmetic and the memory traffic of our step need at the machine's peaks."""
    inner = 2 * sum(a * b for a, b in pairwise(WIDTHS))  # weights between the hidden layers
    width = WIDTHS[0]
    sparse = 5 * 2 * ratings_a_user * width + 6 * inner
    dense = 7 * 2 * ITEMS * width**2 / batch if collapsed else 6 * 2 * ITEMS * width
    operations = sparse + refeeds * (dense + 6 * inner)
    parameters = 2 * ITEMS * width + inner
    # Per update: the gradient written and read, weights and momentum read and written.
    traffic = (1 + refeeds) * parameters * 4 * 6 / batch
    return operations / peaks.gflops / 1e9 + traffic / peaks.gigabytes_per_second / 1e9


def main() -> None:
    """Time all cases."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--users", type=int, default=8192)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    ratings = simulate_ratings(options.users, ITEMS, options.users * 205, seed=0)
    order = np.random.default_rng(0).permutation(options.users)
    peaks = Peaks.measured()
    print(f"{platform.machine()}, {torch.get_num_threads()} threads, {asdict(peaks)}")

    dense = DenseStep(output_activation=True)
    base = {
        refeeds: seconds(partial(dense.step, ratings, order[:128], refeeds), options.repeats) / 128
        for refeeds in (0, 1)
    }
    results = [{"case": "dense step", "batch": 128, "refeeds": k, "ms_a_user": 1e3 * base[k]} for k in base]
    for batch in (128, 512, 1024, 4096):
        for refeeds, linear in ((0, False), (1, False), (1, True)):
            if batch == 4096 and refeeds and not linear:
                continue  # users × items twice: what the collapsed re-feed is there to avoid
            ours = OurStep(refeeds, output_activation=not linear)
            users = order[:batch]
            spent = seconds(partial(ours.step, ratings, users), options.repeats) / batch
            collapsed = linear and batch * 6 > WIDTHS[0] * 7
            least = floor(batch, 205, refeeds, collapsed=collapsed, peaks=peaks)
            results.append(
                {
                    "case": "ours, linear output" if linear else "ours",
                    "batch": batch,
                    "refeeds": refeeds,
                    "ms_a_user": 1e3 * spent,
                    "times_faster": base[refeeds] / spent,
                    "floor_ms": 1e3 * least,
                }
            )
    for line in results:
        print("  ".join(f"{k} {v:.3f}" if isinstance(v, float) else f"{k} {v}" for k, v in line.items()))
    print(json.dumps({"benchmark": "step", "peaks": asdict(peaks), "results": results}))


if __name__ == "__main__":
    main()
