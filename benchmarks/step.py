"""What a training step costs a user: ours against a plain dense float32 step, in one run.

    python benchmarks/step.py [--users 8192] [--repeats 7]

The paper's largest net (17,768 items, 512-512-1024, code dropout 0.8) on ratings of Netflix's shape. The
dense step is the paper's section 2.2 word for word on dense matrices (`dense.py`). Both include making
the batch and the optimizer; ours also with bf16 products. Prints, for each case, the milliseconds a user of
the fastest of the repeats (others use the machine too), the ratio to the dense step at batch 128, and a
roofline: the floating-point operations of the matrix products over this machine's measured peak in their
precision, and the bytes of weights and optimizer state over its measured memory bandwidth. Last, one JSON
line.
"""

import argparse
import json
import platform
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from functools import partial
from itertools import pairwise, product

import numpy as np
import torch
from dense import DenseStep

from refeed.config import AutoencoderConfig, TrainConfig
from refeed.models.autoencoder.dropout import Dropout
from refeed.models.autoencoder.example import whole
from refeed.models.autoencoder.network import Autoencoder
from refeed.models.autoencoder.paths import takes_halves
from refeed.models.autoencoder.refeed_cost import collapses
from refeed.models.autoencoder.step import train_step
from refeed.optim.optimizer import make_optimizer
from refeed.ratings.simulate import simulate_ratings
from refeed.ratings.store import Ratings
from refeed.runtime import Runtime, keep_freed_memory

WIDTHS = [512, 512, 1024]
ITEMS = 17_768
DROPOUT = 0.8


class OurStep:
    """The step that refeed trains with."""

    def __init__(
        self, refeeds: int, half: torch.dtype | None, *, output_activation: bool, sparse: bool = False
    ) -> None:
        config = AutoencoderConfig(encoder=WIDTHS, dropout=DROPOUT, output_activation=output_activation)
        self.model = Autoencoder(config, ITEMS, torch.Generator().manual_seed(0))
        self.model.operand_type = half
        self.train = TrainConfig(lr=1e-4, refeed=refeeds)
        self.model.sparse_gradients = sparse
        matrices = self.model.item_matrices if sparse else ()
        self.optimizer = make_optimizer(self.model.parameters(), self.train, matrices)
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
    bf16_gflops: float
    gigabytes_per_second: float

    @classmethod
    def measured(cls) -> "Peaks":
        a = torch.randn(2048, 2048)
        b = a.to(torch.bfloat16)
        whole, half = (2 * 2048**3 / seconds(partial(torch.mm, x, x), 9) / 1e9 for x in (a, b))
        block, target = torch.randn(64 << 20), torch.empty(64 << 20)
        copy = seconds(lambda: target.copy_(block), 9)
        return cls(whole, half, 2 * block.numel() * 4 / copy / 1e9)


def seconds(work: Callable[[], object], repeats: int) -> float:
    """The shortest time of a piece of work, after one go to warm up."""
    work()
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        work()
        times.append(time.perf_counter() - started)
    return min(times)


def floor(
    batch: int,
    ratings_a_user: float,
    refeeds: int,
    half: torch.dtype | None,
    peaks: Peaks,
    *,
    collapsed: bool,
) -> float:
    """Seconds a user that the arithmetic and the memory traffic of our step need at the machine's peaks."""
    inner = 2 * sum(a * b for a, b in pairwise(WIDTHS))  # weights between the hidden layers
    width = WIDTHS[0]
    sparse = 5 * 2 * ratings_a_user * width  # always float32
    dense = 6.5 * 2 * ITEMS * width**2 / batch if collapsed else 6 * 2 * ITEMS * width
    products = 6 * inner + refeeds * (dense + 6 * inner)
    parameters = 2 * ITEMS * width + inner
    # Per update: the gradient written and read, weights and momentum read and written.
    traffic = (1 + refeeds) * parameters * 4 * 6 / batch
    arithmetic = sparse / peaks.gflops + products / (peaks.bf16_gflops if half else peaks.gflops)
    return arithmetic / 1e9 + traffic / peaks.gigabytes_per_second / 1e9


def main() -> None:
    """Time all cases."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--users", type=int, default=8192)
    parser.add_argument("--repeats", type=int, default=7)
    options = parser.parse_args()
    ratings = simulate_ratings(options.users, ITEMS, options.users * 205, seed=0)
    order = np.random.default_rng(0).permutation(options.users)
    peaks = Peaks.measured()
    print(f"{platform.machine()}, {torch.get_num_threads()} threads, {asdict(peaks)}")

    dense = DenseStep(ITEMS, WIDTHS, DROPOUT, output_activation=True)
    base = {
        refeeds: seconds(partial(dense.step, ratings, order[:128], refeeds), options.repeats) / 128
        for refeeds in (0, 1)
    }
    results = [{"case": "dense step", "batch": 128, "refeeds": k, "ms_a_user": 1e3 * base[k]} for k in base]
    kept = ExitStack()
    kept.enter_context(keep_freed_memory())  # as `refeed train` does
    print(f"bf16 for products: {takes_halves('auto', torch.device('cpu'))}")
    cases = ((0, False, False), (0, False, True), (1, False, False), (1, True, False))
    for batch, (refeeds, linear, sparse), half in product((128, 1024, 4096), cases, (None, torch.bfloat16)):
        if batch == 4096 and refeeds and not linear:
            continue  # users × items twice: what the collapsed re-feed is there to avoid
        ours = OurStep(refeeds, half, output_activation=not linear, sparse=sparse)
        spent = seconds(partial(ours.step, ratings, order[:batch]), options.repeats) / batch
        collapsed = collapses(ours.model, batch)
        results.append(
            {
                "case": "ours, linear output" if linear else "ours, sparse updates" if sparse else "ours",
                "products": "bf16" if half else "float32",
                "batch": batch,
                "refeeds": refeeds,
                "collapsed": bool(refeeds) and collapsed,
                "ms_a_user": 1e3 * spent,
                "times_faster": base[refeeds] / spent,
                "floor_ms": 1e3 * floor(batch, 205, refeeds, half, peaks, collapsed=collapsed),
            }
        )
    kept.close()
    for line in results:
        print("  ".join(f"{k} {v:.3f}" if isinstance(v, float) else f"{k} {v}" for k, v in line.items()))
    print(json.dumps({"benchmark": "step", "peaks": asdict(peaks), "results": results}))


if __name__ == "__main__":
    main()
