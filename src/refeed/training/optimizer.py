"""The optimizers."""

from collections.abc import Iterable

import torch
from torch import nn

from refeed.config import TrainConfig

__all__ = ["make_optimizer", "set_learning_rate"]


def make_optimizer(parameters: Iterable[nn.Parameter], config: TrainConfig) -> torch.optim.Optimizer:
    """SGD with momentum (the paper) or AdamW (Loshchilov & Hutter 2019), one fused pass over the weights."""
    if config.optimizer == "sgd":
        return torch.optim.SGD(
            parameters, config.lr, momentum=config.momentum, weight_decay=config.weight_decay, fused=True
        )
    return torch.optim.AdamW(parameters, config.lr, weight_decay=config.weight_decay, fused=True)


def set_learning_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Let the next updates use this rate."""
    for group in optimizer.param_groups:
        group["lr"] = rate
