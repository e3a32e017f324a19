"""The networks of a model, trained one after the other: one, an ensemble's, or a blend's."""

import copy
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch

from refeed.config import Config, RidgeConfig
from refeed.errors import TrainingDivergedError
from refeed.factory import assemble, build_member, config_of_member
from refeed.models.autoencoder.learner import AutoencoderLearner
from refeed.models.autoencoder.network import Autoencoder
from refeed.models.blend.model import Blend
from refeed.models.blend.weight import weigh, will_weigh_nothing
from refeed.models.calibrate import calibrate
from refeed.models.ensemble import Ensemble, ensemble_of
from refeed.models.interface import Model
from refeed.models.intervals import Uncertain
from refeed.models.ridge.learner import RidgeLearner
from refeed.models.ridge.warm import WarmRidge
from refeed.optim.optimizer import flush, make_optimizer
from refeed.progress import Reporter
from refeed.ratings.pairs import Aligned
from refeed.ratings.store import Ratings
from refeed.runtime import Runtime
from refeed.trained_model import TrainedModel
from refeed.training.batches import Batches
from refeed.training.checkpoint import Place, load_checkpoint, place_of
from refeed.training.loop import EpochEnd, EpochStart, epochs_of, train
from refeed.training.measure import valid_rmse
from refeed.training.output import Folder, Metrics, Output
from refeed.training.stopping import catch_stop_signals
from refeed.training.too_fast import is_too_fast, is_worse_than_trials, lower_rate

__all__ = ["Task", "make_learner", "train_members"]

_Learner = AutoencoderLearner | RidgeLearner
_LONG = 8  # epochs that a network's training must have for half of them to tell what it will weigh


@dataclass(frozen=True)
class Task:
    """What stays the same during a training.

    Args:
        config: every "auto" resolved.
        train: the training ratings.
        valid: the validation ratings, with ids of their own.
        held_out: the same in the positions of the training ratings.
        runtime: the processes that train.
        reporter: hears about the progress.
        output: where results go.
        warm: where the first members start.
        tried: the lowest validation RMSE of the trials that chose settings; inf: there were none.
    """

    config: Config
    train: Ratings
    valid: Ratings | None
    held_out: Aligned | None
    runtime: Runtime
    reporter: Reporter
    output: Output
    warm: Sequence[WarmRidge] = ()
    tried: float = math.inf


def make_learner(
    config: Config, train: Ratings, valid: Ratings | None, device: torch.device
) -> AutoencoderLearner | RidgeLearner:
    """A network at its start.

    Args:
        config: says which.
        train: the training ratings.
        valid: held-out ratings, on which a residual model's damping is chosen and a ridge's intervals rest.
        device: where to train.
    """
    if isinstance(config.model, RidgeConfig):
        return RidgeLearner(config, train, device, calibrated=valid is None)
    model = build_member(config, n_users=train.n_users, n_items=train.n_items)
    if not isinstance(model, Autoencoder):
        raise TypeError(f"a model of kind {config.model.kind} is not trained in steps")
    model.fit_biases(train, valid)
    return AutoencoderLearner(model.to(device), config, train)


def train_members(task: Task, resumed: Folder | None = None) -> tuple[Model, list[Metrics]]:
    """Train all networks of a model.

    Args:
        task: what to train.
        resumed: a folder with a training to go on with.

    Returns:
        The model, each of its members at its best epoch, and the errors of every epoch.

    Raises:
        TrainingDivergedError: the loss became NaN or infinite.
        KeyboardInterrupt: the user stopped it.
    """
    place, whole = Place(tried=task.tried), None
    members: list[Model] = []
    if resumed is not None and resumed.has_state:
        place = place_of(resumed.checkpoint)
        members = _saved_members(task, resumed)
    best = members[place.member] if place.best_epoch else None
    members = members[: place.member]
    for number in range(place.member, task.config.members):
        member = _Member(task, members, number, place)
        whole = member.train(best, resumed)
        members = [*members, member.trained]
        place = Place(member=number + 1, metrics=member.place.metrics, tried=member.place.tried)
        best, resumed = None, None
    if whole is None:
        raise TypeError("a model has at least one member")
    return whole, place.metrics


def _saved_members(task: Task, folder: Folder) -> list[Model]:
    """The networks in a folder, each at its best."""
    model = TrainedModel.load(folder.path).model
    model.to(task.runtime.device)  # type: ignore[attr-defined]  # models are modules, too
    return model.each() if isinstance(model, Ensemble | Blend) else [model]


def _whole(task: Task, members: Sequence[Model]) -> Model:
    """The model that these members make, and copies or starts in place of those to come.

    Networks to come that a ridge autoencoder is blended with are at their start, and weigh nothing.
    """
    every = list(members)
    for number in range(len(members), task.config.members):
        config = config_of_member(task.config, number)
        if config.model == config_of_member(task.config, len(members) - 1).model:
            every.append(copy.deepcopy(members[-1]))
        else:
            every.append(build_member(config, n_users=task.train.n_users, n_items=task.train.n_items))
    whole = assemble(task.config, every)
    if isinstance(whole, Uncertain):
        calibrate(whole, task.train, task.held_out, task.config.train.seed)
    return whole


def _weighed(task: Task, members: Sequence[Model]) -> tuple[Model, str | None]:
    """The model that these members make, the last of them complete; and what came out of weighing them."""
    whole = _whole(task, members)
    if not isinstance(whole, Blend) or len(members) < task.config.members or task.held_out is None:
        return whole, None
    said = weigh(whole, task.train, task.held_out)
    calibrate(whole, task.train, task.held_out, task.config.train.seed)
    return whole, said


class _Member:
    """One network in training, and what to do at each turn of the loop.

    Args:
        task: what is trained.
        before: the members that are trained already.
        number: of this one.
        place: where to start.
    """

    def __init__(self, task: Task, before: Sequence[Model], number: int, place: Place) -> None:
        self.task, self.before, self.place = task, before, place
        self.config = config_of_member(task.config, number)
        self._start()

    def _start(self) -> None:
        """Make all that is trained, at its start."""
        task = self.task
        self.learner: _Learner = make_learner(self.config, task.train, task.valid, task.runtime.device)
        if self.place.member < len(task.warm) and isinstance(self.learner, RidgeLearner):
            known = task.warm[self.place.member].start(self.learner)
            task.reporter.say(f"{known:,} of {task.train.n_items:,} items start where they were")
        self.batches: Batches[Any] = Batches(self.learner, self.config.train, task.runtime)
        self.optimizer = make_optimizer(
            self.learner.parameter_groups(),
            self.config.train,
            self.learner.sparse_matrices(self.batches.touched),
        )
        self.best: Model | None = None

    def train(self, best: Model | None, resumed: Folder | None) -> Model:
        """Train to the end; the whole model, this member and those before at their best epochs.

        Args:
            best: of a training that goes on, the network of its best epoch so far.
            resumed: where its state is.
        """
        task, self.best = self.task, best
        if resumed is not None and resumed.has_state:
            self.place = load_checkpoint(resumed.checkpoint, self.learner, self.optimizer)
        self.learner.choose_paths(self.place.choices, task.runtime, task.reporter.say)
        self._say_facts()
        with catch_stop_signals() as stop:
            try:
                while (why := self._train(stop)) is not None:
                    self._start_again(why)
            except TrainingDivergedError as error:
                raise TrainingDivergedError(
                    f"{error}. {task.output.kept(self.place)}. Try " + ", or ".join(self._hints())
                ) from error
        task.runtime.wait()  # until the weights are written
        return self._complete()

    def _train(self, stop: Callable[[], bool]) -> str | None:
        """Train to the end; or the reason why it must start again at a lower rate."""
        task, saved = self.task, time.perf_counter()
        config, epochs = lower_rate(self.config, self.place).train, 0
        # A training that was stopped between an epoch and this question is asked it when it goes on.
        if (why := self._too_fast(epochs_of(config, len(self.batches)))) is not None:
            return why
        loop = train(self.learner, self.optimizer, self.batches, config, task.runtime, self.place)
        for event in loop:
            if isinstance(event, EpochStart):
                epochs = event.epochs
                task.reporter.start_epoch(event.epoch, event.epochs, event.done, event.users)
            elif isinstance(event, EpochEnd):
                self._end_epoch(event, epochs)
                if (why := self._too_fast(epochs)) is not None:
                    return why
            else:
                task.reporter.advance(event.users, event.loss)
                if task.runtime.total(int(stop())):
                    self._stop()
                if time.perf_counter() - saved <= 60 * self.config.train.checkpoint_minutes:
                    continue
                task.output.save_checkpoint(self.learner, self.optimizer, self.place)
            saved = time.perf_counter()
        if isinstance(self.config.model, RidgeConfig) and is_worse_than_trials(
            self.place, self.trained, task.train, task.held_out, seed=task.config.train.seed
        ):
            return f"the training ends worse than a trial of its settings did ({self.place.tried:.4f})"
        return None

    def _too_fast(self, epochs: int) -> str | None:
        """Why the rate is too high, if it is."""
        if not is_too_fast(self.config, self.place, epochs):
            return None
        return (
            f"the validation RMSE was lowest after the first epoch, {self.place.best_rmse:.4f}, "
            f"and only got worse (the last: {self.place.metrics[-1]['valid_rmse']:.4f})"
        )

    def _start_again(self, why: str) -> None:
        """Forget this member's training, and lower its rate."""
        place, number = self.place, self.place.member
        others = [line for line in place.metrics if line.get("member", 1) != number + 1]
        self.place = Place(member=number, metrics=others, lowered=place.lowered + 1, tried=place.tried)
        self.task.reporter.say(
            f"{why}: it starts again at a learning rate of {lower_rate(self.config, self.place).train.lr:.2g}"
        )
        self._start()
        self.learner.choose_paths(self.place.choices, self.task.runtime, self.task.reporter.say)

    def _end_epoch(self, event: EpochEnd, epochs: int) -> None:
        """Evaluate, note the metrics, and save what there is."""
        task, place = self.task, self.place
        model = self.learner.finished()
        error = valid_rmse(model, task.train, task.held_out, task.runtime)
        if error is not None and not math.isfinite(error):
            raise TrainingDivergedError(f"the validation RMSE became {error:g} after epoch {event.epoch}")
        metrics: Metrics = {
            "epoch": event.epoch,
            "train_rmse": event.train_rmse,
            "valid_rmse": error,
            "seconds": event.seconds,
            "users_per_second": event.users_per_second,
            "lr": event.lr,
        }
        task.reporter.end_epoch(metrics)
        place.metrics.append(metrics | ({"member": place.member + 1} if task.config.members > 1 else {}))
        better = error is None or error < place.best_rmse
        if better:
            place.best_epoch, place.best_rmse = event.epoch, error or place.best_rmse
            # Later updates change a network itself; without validation the last epoch's is the best.
            self.best = model if error is None else copy.deepcopy(model)
        place.idle = self._is_idle(model, epochs)
        task.output.save("model" if better else "last", lambda: _whole(task, [*self.before, model]))
        if better:
            task.output.repeat("model", "last")
        task.output.save_metrics(place.metrics)
        task.output.save_checkpoint(self.learner, self.optimizer, place)

    def _is_idle(self, model: Model, epochs: int) -> bool:
        """Whether this is a network that would weigh nothing, half way: the rest is spared."""
        task, half = self.task, math.ceil(epochs / 2)
        if self.place.member < task.config.train.ensemble or self.place.epoch != half or epochs < _LONG:
            return False
        ridges = self.before[: task.config.train.ensemble]
        ridge = ridges[0] if len(ridges) == 1 else ensemble_of(ridges)
        idle = task.held_out is not None and will_weigh_nothing(ridge, model, task.train, task.held_out)
        if idle:
            task.reporter.say(
                f"after {half} of {epochs} epochs the network's weight in the blend would be below 0 beyond "
                "chance: its training ends here"
            )
        return idle

    def _stop(self) -> None:
        """Save everything, and end as Ctrl-C does."""
        task, place = self.task, self.place
        task.output.save_checkpoint(self.learner, self.optimizer, place)
        flush(
            self.optimizer
        )  # after the checkpoint, which keeps the rounding of a training that never stopped
        whole = partial(_whole, task, [*self.before, self.learner.finished()])
        task.output.save("last", whole)
        if not (place.best_epoch or place.member):
            task.output.save("model", whole)
        task.reporter.say(
            f"stopped in epoch {place.epoch + 1} after batch {place.batch}; {task.output.kept_on_stop()}"
        )
        raise KeyboardInterrupt

    def _complete(self) -> Model:
        """What can be done only once a network is trained; done anew where a training went on."""
        task, last = self.task, self.learner.finished()
        best_is_last = self.place.best_epoch == self.place.epoch or self.best is None
        if best_is_last:
            self.best = last
        else:
            self.learner.complete(last, task.train, task.held_out)
            task.output.save("last", lambda: _weighed(task, [*self.before, last])[0])
        best = self.trained
        completed = self.learner.complete(best, task.train, task.held_out)
        whole, weighed = _weighed(task, [*self.before, best])
        task.output.save("model", lambda: whole)
        if best_is_last:
            task.output.repeat("model", "last")
        for said in (completed, weighed):
            if said:
                task.reporter.say(said)
        return whole

    @property
    def trained(self) -> Model:
        """The network at its best epoch."""
        if self.best is None:
            raise TypeError("the network is not trained yet")
        return self.best

    def _hints(self) -> list[str]:
        section = "train" if self.place.member < self.task.config.train.ensemble else "network_train"
        config = self.config.train
        hints = [f"a smaller rate (--set {section}.lr={config.lr / 5:.2g})"]
        hints += [] if config.warmup else [f"a warm-up (--set {section}.warmup=500)"]
        hints += [f"no re-feeding (--set {section}.refeed=0)"] if config.refeed else []
        return hints + self.learner.hints()

    def _say_facts(self) -> None:
        task, train_ratings = self.task, self.task.train
        if task.config.members > 1:
            task.reporter.say(f"model {self.place.member + 1} of {task.config.members}")
        parameters = sum(parameter.numel() for parameter in self.learner.parameters())
        task.reporter.say(
            f"{len(train_ratings):,} ratings, {train_ratings.n_users:,} users, {train_ratings.n_items:,} "
            f"items; {parameters:,} parameters, {len(self.batches):,} batches an epoch; {task.runtime}"
        )
        for fact in self.learner.facts(self.batches.size, self.batches.touched, task.runtime):
            task.reporter.say(fact)
