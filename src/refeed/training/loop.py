"""The training loop: an update a batch, from wherever the place says, and what happens between.

It is a generator. Whoever trains iterates over it, and decides at each turn what to do: show progress, stop,
save, evaluate. `training/members.py` does all of these; a trial of settings does none.
"""

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch

from refeed.config import TrainConfig
from refeed.errors import TrainingDivergedError
from refeed.models.learner import Learner
from refeed.models.share import Share
from refeed.optim.optimizer import flush, set_learning_rate
from refeed.runtime import Runtime
from refeed.seeds import mixed
from refeed.training.batches import Batches
from refeed.training.checkpoint import Place
from refeed.training.schedule import learning_rate

__all__ = ["EpochEnd", "EpochStart", "Event", "Update", "epochs_of", "train"]


@dataclass(frozen=True)
class EpochStart:
    """An epoch starts, or goes on.

    Args:
        epoch: counted from 0.
        epochs: how many there will be, at most.
        done: users of this epoch who have been trained on already.
        users: of a whole epoch.
    """

    epoch: int
    epochs: int
    done: int
    users: int


@dataclass(frozen=True)
class Update:
    """A batch was trained on.

    Args:
        users: how many it had, on all processes.
        loss: the mean squared error of its ratings, before the update.
    """

    users: int
    loss: float


@dataclass(frozen=True)
class EpochEnd:
    """An epoch ended; the learner's parameters are what all its updates make of them.

    Args:
        epoch: counted from 1.
        train_rmse: the root of the mean loss of its batches.
        seconds: spent on them.
        users_per_second: trained on.
        lr: of the last batch.
    """

    epoch: int
    train_rmse: float
    seconds: float
    users_per_second: float
    lr: float


Event = EpochStart | Update | EpochEnd


def train(
    learner: Learner[Any],
    optimizer: torch.optim.Optimizer,
    batches: Batches[Any],
    config: TrainConfig,
    runtime: Runtime,
    place: Place,
) -> Iterator[Event]:
    """Train from a place on, until all epochs or steps are done, patience is over, or the place is idle.

    Everything random follows from (seed, epoch, batch), so a training that goes on from a place makes the
    same updates as one that never stopped, and two trainings of one config and seed are the same training.

    Args:
        learner: is trained.
        optimizer: of its parameters.
        batches: of its rows.
        config: of the training.
        runtime: the processes that share each batch.
        place: where to start; it is kept up to date, so that it can be saved at any turn.

    Raises:
        TrainingDivergedError: a loss became NaN or infinite.
    """
    generator = torch.Generator(runtime.device)
    while not _is_over(place, config, len(batches)):
        yield EpochStart(place.epoch, epochs_of(config, len(batches)), place.users, batches.users_an_epoch)
        learner.train()  # type: ignore[attr-defined]  # learners are modules, too
        for share in batches.epoch(place.epoch, place.batch):
            if config.steps is not None and place.epoch * len(batches) + place.batch >= config.steps:
                break
            started = time.perf_counter()
            rate = _rate(config, batches, place.epoch, share.number)
            set_learning_rate(optimizer, rate)
            generator.manual_seed(mixed(config.seed, place.epoch, share.number))
            losses = learner.step(share, optimizer, generator, runtime)
            loss = _finite(losses, runtime, share, place, _rate(config, batches, place.epoch, share.number))
            place.loss, place.users, place.batch = (
                place.loss + loss,
                place.users + share.total,
                share.number + 1,
            )
            place.seconds += time.perf_counter() - started
            yield Update(share.total, loss)
        flush(optimizer)
        learner.eval()  # type: ignore[attr-defined]
        end = EpochEnd(
            epoch=place.epoch + 1,
            train_rmse=math.sqrt(place.loss / place.batch),
            seconds=round(place.seconds, 3),
            users_per_second=round(place.users / max(place.seconds, 1e-9), 1),
            lr=_rate(config, batches, place.epoch, place.batch - 1),
        )
        place.finish_epoch()
        yield end


def _rate(config: TrainConfig, batches: Batches[Any], epoch: int, batch: int) -> float:
    return learning_rate(config, epoch, batch, batches=len(batches), users=batches.size)


def _finite(
    losses: list[torch.Tensor], runtime: Runtime, share: Share[Any], place: Place, rate: float
) -> float:
    """The loss of the ratings, on all processes; an error if any loss of the batch isn't finite."""
    together = runtime.sum_tensor(torch.stack(losses)).tolist()
    if all(math.isfinite(loss) for loss in together):
        return float(together[0])
    raise TrainingDivergedError(
        f"the loss became {together[0]:g} in epoch {place.epoch + 1}, batch {share.number + 1}, at learning "
        f"rate {rate:g}"
    )


def epochs_of(config: TrainConfig, batches: int) -> int:
    """How many epochs a training has at most, the last perhaps in part."""
    return config.epochs if config.steps is None else math.ceil(config.steps / batches)


def _is_over(place: Place, config: TrainConfig, batches: int) -> bool:
    patience_is_over = config.patience > 0 and place.epoch - place.best_epoch >= config.patience
    return patience_is_over or place.idle or place.epoch >= epochs_of(config, batches)
