"""From ratings to a trained model, in memory or in a folder."""

import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from refeed.config import AutoencoderConfig, Config, MeanConfig, RidgeConfig, TrainConfig
from refeed.errors import DataError
from refeed.factory import build_model
from refeed.models.blend.model import Blend
from refeed.models.interface import Model
from refeed.models.list_part import fit_list_part
from refeed.models.ridge.auto import resolve_auto
from refeed.models.ridge.warm import WarmRidge
from refeed.optim.optimizer import make_optimizer
from refeed.progress import Reporter, logged, silent
from refeed.ratings.pairs import Aligned, align_to
from refeed.ratings.store import Ratings
from refeed.runtime import Runtime, start_runtime
from refeed.trained_model import TrainedModel
from refeed.training.batches import Batches
from refeed.training.checkpoint import Place
from refeed.training.loop import train as updates
from refeed.training.measure import train_rmse, valid_rmse
from refeed.training.members import Task, make_learner, train_members
from refeed.training.output import Folder, Metrics, Output, output_of
from refeed.training.resume import can_resume, check_finished, is_finished, resumed_config

__all__ = ["fit"]


def fit(
    train: Ratings,
    valid: Ratings | None,
    config: Config,
    out: Path | None = None,
    *,
    resume: bool = False,
    reporter: Reporter = logged,
    warm: Sequence[WarmRidge] = (),
) -> TrainedModel:
    """Train a model, and write its folder if one is given.

    In the folder a checkpoint is written after every epoch: the best weights by validation RMSE (without
    validation ratings: the last) and the last ones. Ctrl-C or SIGTERM stops after the batch, with everything
    saved.

    Args:
        train: the ratings to learn from.
        valid: held-out ratings, matched by raw ids; they choose the best epoch.
        config: the model and how to train it.
        out: the folder to write; None: the model is in memory alone.
        resume: go on with the training in `out`, if one has begun there; the result is that of a training
            that never stopped.
        reporter: hears about the progress; by default the logger `refeed`.
        warm: where the first ridge autoencoders of the model start, one each; the others start anew.

    Returns:
        The model of the best epoch, the same with and without a folder.

    Raises:
        ModelError: `out` exists already, and no training has begun in it, or `resume` is not asked for.
        ConfigError: resumed with another config or other ratings.
        DataError: there are no ratings, or no validation rating of a known user and item.
        TrainingDivergedError: the loss became NaN or infinite.
        ProcessError: another process of the training has ended, or hangs.
        KeyboardInterrupt: the user stopped it; what was done is saved.
    """
    if not len(train):
        raise DataError("there is not a single training rating")
    with start_runtime() as runtime:
        reporter = reporter if runtime.rank == 0 else silent
        held_out = _held_out(train, valid, reporter)
        if train.kind == "interactions" and not isinstance(config.model, MeanConfig):
            reporter.say("interactions without ratings: there is nothing to predict but who takes what up")
            config = config.model_copy(
                update={
                    "model": MeanConfig(),
                    "network": None,
                    "network_train": None,
                    "train": TrainConfig(seed=config.train.seed),
                }
            )
        if config.network and held_out is None:
            reporter.say("no validation ratings to weigh the network by: it is left out of the blend")
            config = config.model_copy(update={"network": None, "network_train": None})
        if resume and (out is None or not can_resume(out)):
            reporter.say(f"nothing to resume in {out or 'memory'} yet: the training starts anew")
            resume = False
        if resume and out is not None and is_finished(out):
            check_finished(out, config, train)
            reporter.say(f"the training in {out} is finished: there is nothing left to do")
            return TrainedModel.load(out)
        output = output_of(out, runtime, resume=resume)
        if resume and out is not None:
            config, tried = resumed_config(out, config, train), float("inf")
        else:
            config, tried = resolve_auto(config, train, held_out, reporter, partial(_trained, runtime))
        output.create(config, train)
        task = Task(config, train, valid, held_out, runtime, reporter, output, warm, tried)
        model, metrics = _learn(task, resume=resume)
        lists = fit_list_part(config, train, valid, model, reporter.say)
        if lists is not None:
            output.save_lists(lists, metrics)
        output.finish(keep_state=config.train.keep_state)
        if not config.train.keep_state:
            model = _without_idle(model, output)
        runtime.wait()
        return TrainedModel.of(config, model, train, metrics, lists)


def _learn(task: Task, *, resume: bool) -> tuple[Model, list[Metrics]]:
    """The model that predicts ratings, and the errors of every epoch; a failure leaves no begun folder."""
    try:
        if isinstance(task.config.model, RidgeConfig | AutoencoderConfig):
            resumed = task.output if resume and isinstance(task.output, Folder) else None
            learned = train_members(task, resumed)
            if _would_blend(task):
                task.reporter.say(
                    "all validation ratings are later than the training ratings: there the recipe blend "
                    "mostly predicts better, by up to 0.4 %, in up to twice the time and without explanations"
                )
            return learned
        return _solve(task)
    except Exception:  # it diverges, say, lacks memory, times or a library, or another process has ended
        if not resume:
            task.output.discard()
        raise


def _would_blend(task: Task) -> bool:
    """Whether this is a ridge autoencoder alone for ratings of the future, where a network beside it pays."""
    held_out, times = task.held_out, task.train.times
    if not isinstance(task.config.model, RidgeConfig) or task.config.network is not None:
        return False
    if held_out is None or held_out.times is None or times is None:
        return False
    return bool(held_out.times.min() >= times.max())


def _without_idle(model: Model, output: Output) -> Model:
    """The same predictions without a network that weighs nothing, in memory and in the folder."""
    if not isinstance(model, Blend) or not model.idle:
        return model
    ridge = model.alone()
    output.save("model", lambda: ridge)
    output.repeat("model", "last")
    return ridge


def _solve(task: Task) -> tuple[Model, list[Metrics]]:
    """A model that fits itself: one "epoch"."""
    model: Model = build_model(task.config, n_users=task.train.n_users, n_items=task.train.n_items)
    started = time.perf_counter()
    model.fit(task.train, task.valid)  # type: ignore[attr-defined]
    seconds = time.perf_counter() - started
    metrics: Metrics = {
        "epoch": 1,
        "train_rmse": train_rmse(model, task.train),
        "valid_rmse": valid_rmse(model, task.train, task.held_out, task.runtime),
        "seconds": seconds,
        "users_per_second": task.train.n_users / max(seconds, 1e-9),
        "lr": 0.0,
    }
    if task.train.kind == "ratings":
        task.reporter.end_epoch(metrics)
    for name in ("model", "last"):
        task.output.save(name, lambda: model)
    task.output.save_metrics([metrics])
    return model, [metrics]


def _trained(runtime: Runtime, config: Config, train: Ratings) -> Model:
    """A network after all its updates, nothing evaluated and nothing written: a trial of settings."""
    learner = make_learner(config, train, train, runtime.device)
    batches: Batches[Any] = Batches(learner, config.train, runtime)
    optimizer = make_optimizer(learner.parameter_groups(), config.train)
    for _ in updates(learner, optimizer, batches, config.train, runtime, Place()):
        pass
    return learner.finished()


def _held_out(train: Ratings, valid: Ratings | None, reporter: Reporter) -> Aligned | None:
    if valid is None:
        return None
    pairs = align_to(valid, train)
    if not len(pairs):
        raise DataError(
            f"none of the {len(valid):,} validation ratings is of a user and an item that occur in training; "
            "check that both come from the same split"
        )
    if pairs.cold_pairs:
        reporter.say(
            f"validation: {pairs.cold_pairs:,} of {len(valid):,} ratings are left out, their user "
            f"({pairs.cold_users:,}) or item ({pairs.cold_items:,}) has no training rating"
        )
    return pairs
