"""The learning rate at every update."""

import math

from refeed.config import TrainConfig

__all__ = ["base_rate", "learning_rate"]


def base_rate(config: TrainConfig, users: int) -> float:
    """The rate before warm-up and schedule, scaled to the batch if the config wants that.

    A batch k times as large makes 1/k of the updates, from gradients with 1/√k of the noise. SGD's rate grows
    with k (Goyal et al. 2017), AdamW's, whose updates don't depend on the gradient's size, with √k
    (Malladi et al. 2022).

    Args:
        config: optimizer and rates.
        users: of a full batch.
    """
    if config.lr_for_batch is None:
        return config.lr
    larger = users / config.lr_for_batch
    return config.lr * (larger if config.optimizer == "sgd" else math.sqrt(larger))


def learning_rate(config: TrainConfig, epoch: int, batch: int, *, batches: int, users: int) -> float:
    """The rate of one batch, a pure function of its place: there is no schedule to save and restore.

    Args:
        config: schedule and rates.
        epoch: counted from 0.
        batch: of the epoch, counted from 0.
        batches: of an epoch.
        users: of a full batch.
    """
    done = epoch * batches + batch
    rate = base_rate(config, users)
    if config.warmup:
        rate *= min(1.0, (done + 1) / config.warmup)
    if config.schedule == "steps":
        rate *= config.gamma ** sum(epoch >= milestone for milestone in config.milestones)
    if config.schedule == "cosine":
        total = config.steps or config.epochs * batches
        rate *= (1 + math.cos(math.pi * done / total)) / 2
    return rate
