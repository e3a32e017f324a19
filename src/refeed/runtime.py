"""Where the numbers are computed: the device, and the processes that share the work."""

import ctypes
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.distributed
from torch import Tensor, nn

__all__ = ["Runtime", "keep_freed_memory", "running"]

_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4  # of glibc's malloc.h


@dataclass(frozen=True)
class Runtime:
    """One process among `world`; each holds a share of every batch, and sums make them one.

    Losses are divided by the counts of all processes, so gradients add up to those of one process with the
    whole batch, and so do the metrics.
    """

    device: torch.device
    rank: int = 0
    world: int = 1

    def share(self, count: int) -> slice:
        """This process's part of `count` things."""
        return slice(self.rank * count // self.world, (self.rank + 1) * count // self.world)

    def total(self, count: int) -> int:
        """The sum of a count over all processes."""
        if self.world == 1:
            return count
        return int(self.sum_tensor(torch.tensor(count, device=self.device)))

    def sum_gradients(self, model: nn.Module) -> None:
        """Replace every gradient by its sum over all processes."""
        if self.world == 1:
            return
        for parameter in model.parameters():
            # A process whose share is empty has no gradient of its own.
            gradient = parameter.grad if parameter.grad is not None else torch.zeros_like(parameter)
            if gradient.is_sparse:
                gradient = self._sum_rows(gradient)
            else:
                torch.distributed.all_reduce(gradient)
            parameter.grad = gradient

    def _sum_rows(self, gradient: Tensor) -> Tensor:
        """The sum of a sparse gradient: everybody's rows, padded to the longest, one after the other."""
        gradient = gradient.coalesce()
        own = gradient.indices()[0], gradient.values()
        counts = [torch.zeros(1, dtype=torch.int64, device=self.device) for _ in range(self.world)]
        torch.distributed.all_gather(counts, torch.tensor([len(own[0])], device=self.device))
        longest = int(max(counts))
        gathered = []
        for tensor in own:
            padded = tensor.new_zeros(longest, *tensor.shape[1:])
            padded[: len(tensor)] = tensor
            parts = [torch.empty_like(padded) for _ in counts]
            torch.distributed.all_gather(parts, padded)
            gathered.append(torch.cat([part[: int(n)] for part, n in zip(parts, counts, strict=True)]))
        rows, sums = gathered
        # In the order of the processes, so that all of them round alike.
        return torch.sparse_coo_tensor(rows[None], sums, gradient.shape, check_invariants=False).coalesce()

    def sum_tensor(self, tensor: Tensor) -> Tensor:
        """The sum of a tensor over all processes, in place."""
        if self.world > 1:
            torch.distributed.all_reduce(tensor)
        return tensor

    def wait(self) -> None:
        """Until every process is here."""
        if self.world > 1:
            torch.distributed.barrier()

    def __str__(self) -> str:
        """The facts that a user wants to see at the start."""
        threads = f"{torch.get_num_threads()} threads" if self.device.type == "cpu" else ""
        processes = f"process {self.rank + 1} of {self.world}" if self.world > 1 else ""
        return ", ".join(part for part in (str(self.device), threads, processes) if part)


@contextmanager
def running() -> Iterator[Runtime]:
    """The runtime of this process: CUDA if there is one, and all processes if torchrun started several."""
    keep_freed_memory()
    world, local = int(os.environ.get("WORLD_SIZE", "1")), int(os.environ.get("LOCAL_RANK", "0"))
    device = torch.device("cuda", local) if torch.cuda.is_available() else torch.device("cpu")
    if world == 1:
        yield Runtime(device)
        return
    torch.distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        yield Runtime(device, torch.distributed.get_rank(), world)
    finally:
        torch.distributed.destroy_process_group()


def keep_freed_memory() -> None:
    """Let glibc keep freed memory for the next step.

    By default it hands every large block back to the system and asks for it again, and the system clears its
    pages each time: of a step with 36 MB matrices that is a third.
    """
    if sys.platform != "linux":
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # absent in other C libraries
    if mallopt is not None:
        mallopt(_M_MMAP_MAX, 0)
        mallopt(_M_TRIM_THRESHOLD, 2**31 - 1)
