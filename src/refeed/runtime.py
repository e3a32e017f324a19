"""Where the numbers are computed: the device, and the processes that share the work."""

import ctypes
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

import torch
import torch.distributed
from torch import Tensor, nn
from torch.distributed.distributed_c10d import PrefixStore
from torch.distributed.rendezvous import rendezvous

from refeed.errors import ConfigError, ProcessError

__all__ = ["Runtime", "keep_freed_memory", "start_runtime"]

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_MMAP_MAX = -1, -3, -4  # of glibc's malloc.h
_MMAP_MAX, _MMAP_THRESHOLD = 65_536, 8 << 20  # its default; larger blocks go back when they are freed

_TIMEOUT = "REFEED_PROCESS_TIMEOUT"
_LONGEST = 1e8  # seconds


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
            parameter.grad = self._sum_rows(gradient) if gradient.is_sparse else self.sum_tensor(gradient)

    def _sum_rows(self, gradient: Tensor) -> Tensor:
        """The sum of a sparse gradient: everybody's rows, padded to the longest, one after the other."""
        gradient = gradient.coalesce()
        own = gradient.indices()[0], gradient.values()
        counts = [torch.zeros(1, dtype=torch.int64, device=self.device) for _ in range(self.world)]
        with _among_processes():
            torch.distributed.all_gather(counts, torch.tensor([len(own[0])], device=self.device))
        longest = int(max(counts))
        gathered = []
        for tensor in own:
            padded = tensor.new_zeros(longest, *tensor.shape[1:])
            padded[: len(tensor)] = tensor
            parts = [torch.empty_like(padded) for _ in counts]
            with _among_processes():
                torch.distributed.all_gather(parts, padded)
            gathered.append(torch.cat([part[: int(n)] for part, n in zip(parts, counts, strict=True)]))
        rows, sums = gathered
        # In the order of the processes, so that all of them round alike.
        return torch.sparse_coo_tensor(rows[None], sums, gradient.shape, check_invariants=False).coalesce()

    def sum_tensor(self, tensor: Tensor) -> Tensor:
        """The sum of a tensor over all processes, in place."""
        if self.world > 1:
            with _among_processes():
                torch.distributed.all_reduce(tensor)
        return tensor

    def wait(self) -> None:
        """Until every process is here."""
        if self.world > 1:
            with _among_processes():
                torch.distributed.barrier()

    def __str__(self) -> str:
        """The facts that a user wants to see at the start."""
        threads = f"{torch.get_num_threads()} threads" if self.device.type == "cpu" else ""
        processes = f"process {self.rank + 1} of {self.world}" if self.world > 1 else ""
        return ", ".join(part for part in (str(self.device), threads, processes) if part)


@contextmanager
def start_runtime() -> Iterator[Runtime]:
    """The runtime of this process: CUDA if there is one, and all processes if torchrun started several.

    A process that waits longer for the others than `REFEED_PROCESS_TIMEOUT` says (seconds; 600 by default)
    ends with an error, so a training of which one process hangs ends, too.

    Raises:
        ConfigError: that variable is no number above 0.
        ProcessError: the processes don't find each other in that time.
    """
    world, local = int(os.environ.get("WORLD_SIZE", "1")), int(os.environ.get("LOCAL_RANK", "0"))
    device = torch.device("cuda", local) if torch.cuda.is_available() else torch.device("cpu")
    with keep_freed_memory():
        if world == 1:
            yield Runtime(device)
            return
        rank = _join_group("nccl" if device.type == "cuda" else "gloo", _process_timeout())
        try:
            yield Runtime(device, rank, world)
        finally:
            torch.distributed.destroy_process_group()


def _join_group(backend: str, timeout: timedelta) -> int:
    """Meet the other processes; gives this one's rank."""
    # torchrun keeps one store for all its attempts: without a prefix of their own the processes that it
    # starts after a failure would read there the addresses of those that have died.
    attempt = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")
    with _among_processes():
        store, rank, world = next(rendezvous("env://", timeout=timeout))
        store.set_timeout(timeout)
        torch.distributed.init_process_group(
            backend,
            store=PrefixStore(f"refeed/attempt-{attempt}", store),
            rank=rank,
            world_size=world,
            timeout=timeout,
        )
    return int(rank)


def _process_timeout() -> timedelta:
    given = os.environ.get(_TIMEOUT, "600")
    try:
        seconds = float(given)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < _LONGEST:
        raise ConfigError(
            f"{_TIMEOUT}={given}: give the seconds that a process waits for the others at most, above 0"
        )
    return timedelta(seconds=seconds)


@contextmanager
def _among_processes() -> Iterator[None]:
    """Turn what a collective operation raises into an error that says what has happened."""
    try:
        yield
    except RuntimeError as error:
        raise ProcessError(
            "another process of this training has ended, or has not answered for "
            f"{_process_timeout().total_seconds():g} seconds ({_TIMEOUT} sets that time); its own messages "
            f"say why. Start all processes again with --resume (torch said: {str(error).splitlines()[0]})"
        ) from error


@contextmanager
def keep_freed_memory() -> Iterator[None]:
    """Let glibc keep freed memory for the next step; at the end it goes back to the system.

    By default glibc hands every large block back and asks for it again, and the system clears its pages each
    time: of a step with 36 MB matrices that is a third. Afterwards the thresholds are those that glibc itself
    arrives at once a block of 32 MB has been freed, so the process keeps little more than 64 MB for later.
    """
    libc = ctypes.CDLL(None) if sys.platform == "linux" else None
    mallopt, trim = getattr(libc, "mallopt", None), getattr(libc, "malloc_trim", None)
    if mallopt is None or trim is None:  # another C library
        yield
        return
    mallopt(_M_MMAP_MAX, 0)
    mallopt(_M_TRIM_THRESHOLD, 2**31 - 1)
    try:
        yield
    finally:
        mallopt(_M_MMAP_MAX, _MMAP_MAX)
        mallopt(_M_MMAP_THRESHOLD, _MMAP_THRESHOLD)
        mallopt(_M_TRIM_THRESHOLD, 2 * _MMAP_THRESHOLD)
        trim(0)
