"""The optimizers."""

import inspect
from collections.abc import Callable, Collection, Iterable
from typing import Any

import torch
from torch import nn

from refeed.config import TrainConfig
from refeed.optim.lazy_updates import AdamW, Momentum, Rule
from refeed.optim.row_sparse import RowSparse

__all__ = ["flush", "make_optimizer", "set_learning_rate", "takes_sparse_path", "uncompiled"]

# A sparse update costs more for a row than a dense one (benchmarks/step.py, catalogue.py): with the compiled
# kernels about three times as much, else more.
_SPARSE_LIMITS = {True: (10_000, 0.35), False: (20_000, 0.25)}  # compiled → least rows, largest share


def takes_sparse_path(config: TrainConfig, items: int, touched: float, *, compiled: bool) -> bool:
    """Whether the matrices with a row an item are updated sparsely.

    Args:
        config: may demand one or the other; re-feeds touch every row.
        items: how many rows these matrices have.
        touched: the share of them that a batch touches.
        compiled: whether the compiled kernels serve these matrices.
    """
    if config.update_path != "auto" or config.refeed or config.l2 or config.optimizer == "adam":
        return config.update_path == "sparse"
    rows, share = _SPARSE_LIMITS[compiled]
    return items > rows and touched < share


def make_optimizer(
    parameters: Iterable[nn.Parameter] | Iterable[dict[str, Any]],
    config: TrainConfig,
    sparse: Collection[nn.Parameter] = (),
) -> torch.optim.Optimizer:
    """The optimizer that the config names, one fused pass over the weights.

    SGD with momentum (the paper), AdamW (Loshchilov & Hutter 2019) or Adam (Kingma & Ba 2015; decay is L2).

    Args:
        parameters: what to update; or groups of them as PyTorch's optimizers take them, dicts of `params` and
            perhaps a `weight_decay` of its own, and the `share` of the learning rate that it takes.
        config: which optimizer, and its rates.
        sparse: those of the parameters whose gradients are sparse: only the rows in these are updated at
            once, the others before they are read (`RowSparse`).
    """
    given = list(parameters)
    groups = [part for part in given if isinstance(part, dict)] or [{"params": given}]
    if not sparse:
        return _dense(groups, config)
    chosen = {id(parameter) for parameter in sparse}
    rest = _dense(
        [
            {**group, "params": [parameter for parameter in group["params"] if id(parameter) not in chosen]}
            for group in groups
        ],
        config,
    )
    terms = 16 if next(iter(sparse)).dtype == torch.float64 else 8
    sgd = config.optimizer == "sgd"
    rule: Rule = (
        Momentum(config.momentum, config.weight_decay) if sgd else AdamW(config.weight_decay, terms=terms)
    )
    return RowSparse(sparse, rule, rest, config.lr)


def _dense(parameters: Iterable[dict[str, Any]], config: TrainConfig) -> torch.optim.Optimizer:
    if config.optimizer == "sgd":
        return uncompiled(torch.optim.SGD)(
            parameters, config.lr, momentum=config.momentum, weight_decay=config.weight_decay, fused=True
        )
    kind = torch.optim.Adam if config.optimizer == "adam" else torch.optim.AdamW
    return uncompiled(kind)(parameters, config.lr, weight_decay=config.weight_decay, fused=True)


def uncompiled(kind: type[torch.optim.Optimizer]) -> Callable[..., torch.optim.Optimizer]:
    """The same optimizer without what `torch.compile` needs around its methods.

    PyTorch's decorators import the compiler when a method is first called, which takes two seconds, more than
    many a training. Nothing here is compiled.

    Args:
        kind: one of PyTorch's optimizers, all of whose updates are made without gradients.
    """
    names = ("add_param_group", "load_state_dict", "state_dict", "zero_grad")
    bare = {name: inspect.unwrap(getattr(kind, name)) for name in names}
    return type(kind.__name__, (kind,), {**bare, "step": torch.no_grad()(inspect.unwrap(kind.step))})


def flush(optimizer: torch.optim.Optimizer) -> None:
    """Make the weights those that the updates so far make of them, before somebody else reads them."""
    if isinstance(optimizer, RowSparse):
        optimizer.flush()


def set_learning_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Let the next updates use this rate; of a group with a `share`, that share of it."""
    for group in optimizer.param_groups:
        group["lr"] = rate * group.get("share", 1.0)
