"""The optimizers and the learning rate at every update."""

import math
from collections.abc import Iterable
from typing import Any

import torch
from torch import nn

from refeed.config import TrainConfig

__all__ = ["learning_rate", "make_optimizer", "set_learning_rate"]


def make_optimizer(
    parameters: Iterable[nn.Parameter], config: TrainConfig, *, ratings: int
) -> torch.optim.Optimizer:
    """SGD with momentum (the paper), Adam (Kingma & Ba 2015) or AdamW (Loshchilov & Hutter 2019), fused.

    Losses are means over a batch's ratings, so the λ of `l2`, which stands beside a sum, is divided by the
    number of all training ratings.
    """
    every, decay = list(parameters), config.weight_decay
    groups: list[dict[str, Any]] = [{"params": every, "weight_decay": decay}]
    if config.l2:
        matrices = [parameter for parameter in every if parameter.dim() > 1]
        vectors = [parameter for parameter in every if parameter.dim() <= 1]
        groups = [
            {"params": matrices, "weight_decay": decay + config.l2 / ratings},
            {"params": vectors, "weight_decay": decay},
        ]
    if config.optimizer == "sgd":
        return torch.optim.SGD(groups, config.lr, momentum=config.momentum, fused=True)
    kind = torch.optim.Adam if config.optimizer == "adam" else torch.optim.AdamW
    return kind(groups, config.lr, fused=True)


def learning_rate(config: TrainConfig, epoch: int, batch: int, batches: int) -> float:
    """The rate of one batch, a pure function of its place: there is no schedule to save and restore.

    Args:
        config: schedule and rates.
        epoch: counted from 0.
        batch: of the epoch, counted from 0.
        batches: of an epoch.
    """
    done = epoch * batches + batch
    rate = config.lr
    if config.warmup:
        rate *= min(1.0, (done + 1) / config.warmup)
    if config.schedule == "steps":
        rate *= config.gamma ** sum(epoch >= milestone for milestone in config.milestones)
    if config.schedule == "cosine":
        rate *= (1 + math.cos(math.pi * done / (config.epochs * batches))) / 2
    return rate


def set_learning_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Let the next updates use this rate."""
    for group in optimizer.param_groups:
        group["lr"] = rate
