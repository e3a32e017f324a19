"""How this machine computes a training's steps: chosen once at the start, measured, and said."""

import time
from collections.abc import Callable
from typing import Literal

import torch

from refeed.config import TrainConfig
from refeed.kernels import kernels
from refeed.models.autoencoder.network import Autoencoder
from refeed.models.autoencoder.refeed_cost import timed_costs
from refeed.models.learner import Choices
from refeed.runtime import Runtime

__all__ = ["choose_paths", "takes_halves"]

_SIZE = 1024  # rows and columns of the products that are timed
_REPEATS = 5
_WORTH_IT = 1.3  # times faster
_TOO_SMALL = 1 << 28  # multiplications of a collapsed product; for a smaller one the counts decide


def choose_paths(
    model: Autoencoder,
    config: TrainConfig,
    choices: Choices,
    runtime: Runtime,
    say: Callable[[str], None],
) -> None:
    """Choose the precision of products and the path of re-feeds, or take what is noted.

    A training that goes on must compute as it did before, whatever the machine is busy with now; and all
    processes as the first one does.
    """
    if "half" not in choices:
        half, why = takes_halves(config.precision, runtime.device)
        choices["half"] = bool(_of_first(int(half), runtime))
        say(f"products in {'bf16' if choices['half'] else 'the precision of the weights'}: {why}")
    model.operand_type = torch.bfloat16 if choices["half"] else None
    out = model.item_out_weight
    measurable = model.linear_output and len(out) * out.shape[1] ** 2 >= _TOO_SMALL
    if config.refeed and config.refeed_path == "auto" and measurable and "collapse_from" not in choices:
        costs = timed_costs(model)
        choices["collapse_from"] = _of_first(costs.collapse_from, runtime)
        say(
            f"the products of a re-feed take {1e3 * costs.dense:.2g} ms a user dense, "
            f"{1e3 * costs.collapsed:.3g} ms a batch collapsed"
        )
    model.collapse_from = choices.get("collapse_from")
    if runtime.device.type == "cpu" and kernels() is None:
        say("the compiled kernels are not there (no C compiler when refeed was installed): PyTorch's serve")


def takes_halves(
    precision: Literal["auto", "float32", "bf16", "float64"], device: torch.device
) -> tuple[bool, str]:
    """Whether the operands of products are bf16, and why; "auto" times both, in hundredths of a second."""
    if precision != "auto":
        return precision == "bf16", f"{precision}, as set"
    ratio = _seconds(torch.float32, device) / _seconds(torch.bfloat16, device)
    what = f"processor ({torch.backends.cpu.get_cpu_capability()})" if device.type == "cpu" else "device"
    return ratio >= _WORTH_IT, f"bf16 is {ratio:.1f} × as fast as float32 on this {what}"


def _of_first(number: int, runtime: Runtime) -> int:
    """The first process's number."""
    return runtime.total(number if runtime.rank == 0 else 0)


def _seconds(dtype: torch.dtype, device: torch.device) -> float:
    """The shortest of some times of a product, after one go to warm up."""
    matrix = torch.ones(_SIZE, _SIZE, dtype=dtype, device=device)
    times = []
    for _ in range(1 + _REPEATS):
        started = time.perf_counter()
        matrix @ matrix
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        times.append(time.perf_counter() - started)
    return min(times[1:])
