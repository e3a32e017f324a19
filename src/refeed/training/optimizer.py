"""The optimizers and the learning rate at every update."""

import math
from collections.abc import Iterable
from typing import Any

import torch
from torch import nn

from refeed.config import TrainConfig

__all__ = ["learning_rate", "make_optimizer", "set_learning_rate"]


def make_optimizer(
    parameters: Iterable[nn.Parameter] | Iterable[dict[str, Any]], config: TrainConfig
) -> torch.optim.Optimizer:
    """The optimizer that the config names, one fused pass over the weights.

    SGD with momentum (the paper), AdamW (Loshchilov & Hutter 2019) or Adam (Kingma & Ba 2015; decay is L2).
    Groups of parameters may have weight decays of their own.
    """
    if config.optimizer == "sgd":
        return torch.optim.SGD(
            parameters, config.lr, momentum=config.momentum, weight_decay=config.weight_decay, fused=True
        )
    if config.optimizer == "adam":
        return torch.optim.Adam(parameters, config.lr, weight_decay=config.weight_decay, fused=True)
    return torch.optim.AdamW(parameters, config.lr, weight_decay=config.weight_decay, fused=True)


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
        total = config.steps or config.epochs * batches
        rate *= (1 + math.cos(math.pi * done / total)) / 2
    return rate


def set_learning_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Let the next updates use this rate."""
    for group in optimizer.param_groups:
        group["lr"] = rate
