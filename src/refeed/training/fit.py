"""The training loop, from ratings to a model folder."""

import math
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from refeed.config import AutoencoderConfig, Config, RidgeConfig, TrainConfig
from refeed.errors import DataError, TrainingDivergedError, UserError
from refeed.factory import build_model, config_of_member, mixed
from refeed.model_folder import (
    check_absent,
    create_folder,
)
from refeed.models.autoencoder.paths import choose_paths
from refeed.models.autoencoder.step import takes_collapsed_path
from refeed.models.interface import Model, predict_pairs
from refeed.models.ridge.auto import resolve_auto
from refeed.models.ridge.learner import RidgeLearner
from refeed.models.share import Share
from refeed.optim.optimizer import flush, make_optimizer, set_learning_rate
from refeed.ratings.pairs import Aligned, align_to
from refeed.ratings.store import Ratings
from refeed.runtime import running
from refeed.training.batches import Batches
from refeed.training.checkpoint import Place, load_checkpoint, place_of, save_checkpoint
from refeed.training.learner import AutoencoderLearner, make_learner
from refeed.training.progress import Reporter, silent
from refeed.training.resume import can_resume, resumed_config
from refeed.training.run import Metrics, Run, finish, trained_members
from refeed.training.schedule import learning_rate
from refeed.training.stopping import stopping

__all__ = ["fit"]

USERS_AT_ONCE = 4096

_AnyLearner = AutoencoderLearner | RidgeLearner


def fit(
    train: Ratings,
    valid: Ratings | None,
    config: Config,
    out: Path,
    *,
    resume: bool = False,
    reporter: Reporter = silent,
) -> None:
    """Train a model and write its folder.

    A checkpoint is written after every epoch: the best weights by validation RMSE (without validation
    ratings: the last) and the last ones. Ctrl-C or SIGTERM stops after the batch, with everything saved.

    Args:
        train: the ratings to learn from.
        valid: held-out ratings, matched by raw ids; they choose the best epoch.
        config: the model and how to train it.
        out: the folder to write.
        resume: go on with the training in `out`, if one has begun there; the result is that of a training
            that never stopped.
        reporter: hears about the progress.

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
    with running() as runtime:
        reporter = reporter if runtime.rank == 0 else silent
        held_out = _held_out(train, valid, reporter)
        if config.network and held_out is None:
            reporter.say("no validation ratings to weigh the network by: it is left out of the blend")
            config = config.model_copy(update={"network": None, "network_train": None})
        if resume and not can_resume(out):
            reporter.say(f"nothing to resume in {out} yet: the training starts anew")
            resume = False
        if resume:
            config = resumed_config(out, config, train)
        else:
            check_absent(out)
            runtime.wait()  # until every process has looked, before one of them makes it
            config = resolve_auto(config, train, held_out, runtime, reporter)
        run = Run(out, config, train, held_out, runtime, reporter, [])
        if not resume and runtime.rank == 0:
            create_folder(out, config, train)
        runtime.wait()
        if isinstance(config.model, RidgeConfig | AutoencoderConfig):
            _train_members(run, valid, resume=resume)
        else:
            model = build_model(config, n_users=train.n_users, n_items=train.n_items)
            _solve_or_remove(run, model, valid, resume=resume)


def _solve_or_remove(run: Run, model: Model, valid: Ratings | None, *, resume: bool) -> None:
    """Leave no folder behind if the model can't be fitted: without times, say, or without its library."""
    try:
        _solve(run, model, valid)
    except UserError:
        run.runtime.wait()
        if run.runtime.rank == 0 and not resume:
            shutil.rmtree(run.out)
        raise


def _solve(run: Run, model: Model, valid: Ratings | None) -> None:
    """A model that fits itself: one "epoch"."""
    started = time.perf_counter()
    model.fit(run.train, valid)  # type: ignore[attr-defined]
    seconds = time.perf_counter() - started
    metrics: Metrics = {
        "epoch": 1,
        "train_rmse": _train_rmse(model, run.train),
        "valid_rmse": None if run.held_out is None else _rmse(run, model, run.held_out),
        "seconds": seconds,
        "users_per_second": run.train.n_users / max(seconds, 1e-9),
        "lr": 0.0,
    }
    run.reporter.end_epoch(metrics)
    for name in ("model", "last"):
        run.save(name, model)
    run.save_metrics([metrics])


def _train_members(run: Run, valid: Ratings | None, *, resume: bool) -> None:
    """Train a network, or one after the other those of an ensemble."""
    path = run.out / "resume.pt"
    place = place_of(path) if resume and path.exists() else Place()
    run.members.extend(trained_members(run, place.member))
    while True:
        place = _train(run, place, valid, resume=resume)
        run.runtime.wait()  # until the weights are written
        finish(run, place)
        if place.member + 1 == run.config.members:
            return
        run.members[:] = trained_members(run, place.member + 1)
        place = Place(member=place.member + 1, metrics=place.metrics)


def _train(run: Run, place: Place, valid: Ratings | None, *, resume: bool) -> Place:
    """Train one network to its end, from its start or from where it stopped."""
    path, config = run.out / "resume.pt", config_of_member(run.config, place.member)
    learner = make_learner(config, run.train, valid, run.runtime.device)
    batches: Batches[Any] = Batches(learner, config.train, run.runtime)
    optimizer = make_optimizer(
        learner.parameter_groups(), config.train, learner.sparse_matrices(batches.touched)
    )
    if resume and path.exists() and place_of(path).member == place.member:
        place = load_checkpoint(path, learner, optimizer)
    if isinstance(learner, AutoencoderLearner):
        choose_paths(learner.model, config.train, place, run.runtime, run.reporter.say)
    _say_facts(run, learner, batches, place)
    with stopping() as stop:
        while not _is_over(place, config.train, len(batches)):
            finished = _train_epoch(run, learner, optimizer, batches, place, stop)
            if not finished:
                _save_and_stop(run, learner, optimizer, place)
            _end_epoch(run, learner, batches, place)
            if run.runtime.rank == 0:
                save_checkpoint(path, learner, optimizer, place)
    return place


def _train_epoch(
    run: Run,
    learner: _AnyLearner,
    optimizer: torch.optim.Optimizer,
    batches: Batches[Any],
    place: Place,
    stop: Callable[[], bool],
) -> bool:
    """Train on the rest of an epoch; False if the user stopped it."""
    config, runtime = config_of_member(run.config, place.member).train, run.runtime
    run.reporter.start_epoch(place.epoch, _epochs(config, len(batches)), place.users, batches.users_an_epoch)
    generator = torch.Generator(runtime.device)
    saved = started = time.perf_counter()
    learner.train()
    for share in batches.epoch(place.epoch, place.batch):
        if config.steps is not None and _done(place, len(batches)) >= config.steps:
            break
        rate = _rate(config, batches, place.epoch, share.number)
        set_learning_rate(optimizer, rate)
        # Drawn from the place alone, so that a resumed training goes on with the same numbers.
        generator.manual_seed(mixed(config.seed, place.epoch, share.number))
        losses = learner.step(share, optimizer, generator, runtime)
        loss = _checked(run, losses, share, place, rate)
        place.loss += loss
        place.users += share.total
        place.batch = share.number + 1
        now = time.perf_counter()
        place.seconds, started = place.seconds + now - started, now
        run.reporter.advance(share.total, loss)
        if runtime.total(int(stop())):
            return False
        if now - saved > 60 * config.checkpoint_minutes and runtime.rank == 0:
            save_checkpoint(run.out / "resume.pt", learner, optimizer, place)
            saved = time.perf_counter()
    flush(optimizer)
    place.seconds += time.perf_counter() - started
    return True


def _rate(config: TrainConfig, batches: Batches[Any], epoch: int, batch: int) -> float:
    return learning_rate(config, epoch, batch, batches=len(batches), users=batches.size)


def _checked(run: Run, losses: list[torch.Tensor], share: Share[Any], place: Place, rate: float) -> float:
    """The loss of the ratings, on all processes; an error if any loss of the batch isn't finite."""
    together = run.runtime.sum_tensor(torch.stack(losses)).tolist()
    if all(math.isfinite(loss) for loss in together):
        return float(together[0])
    config, section = config_of_member(run.config, place.member), _section(run, place)
    hints = [
        f"a smaller rate (--set {section}.lr={rate / 5:.2g})",
        f"a warm-up (--set {section}.warmup=500)" if not config.train.warmup else "",
        f"no re-feeding (--set {section}.refeed=0)" if config.train.refeed else "",
        "ratings on a smaller scale, or residuals (--set 'model.target=\"residual\"')"
        if isinstance(run.config.model, AutoencoderConfig)
        else "",
    ]
    raise TrainingDivergedError(
        f"the loss became {together[0]:g} in epoch {place.epoch + 1}, batch {share.number + 1}, at learning "
        f"rate {rate:g}. {_kept(run, place)}. Try " + ", or ".join(hint for hint in hints if hint)
    )


def _section(run: Run, place: Place) -> str:
    """Where the settings of a member's training are."""
    return "train" if place.member < run.config.train.ensemble else "network_train"


def _kept(run: Run, place: Place) -> str:
    """What is left of a training that diverged."""
    if place.epoch:
        return f"{run.out} keeps the weights of epoch {place.epoch} and of the best one"
    if place.member:
        return f"{run.out} keeps the models before this one"
    return f"No epoch was finished: remove {run.out}, or choose another --out"


def _end_epoch(run: Run, learner: _AnyLearner, batches: Batches[Any], place: Place) -> None:
    """Evaluate, note the metrics, save the weights, and move on to the next epoch."""
    config = config_of_member(run.config, place.member).train
    learner.eval()
    model = learner.finished()
    valid_rmse = None if run.held_out is None else _rmse(run, model, run.held_out)
    metrics: Metrics = {
        "epoch": place.epoch + 1,
        "train_rmse": math.sqrt(place.loss / place.batch),
        "valid_rmse": valid_rmse,
        "seconds": round(place.seconds, 3),
        "users_per_second": round(place.users / max(place.seconds, 1e-9), 1),
        "lr": _rate(config, batches, place.epoch, place.batch - 1),
    }
    if valid_rmse is not None and not math.isfinite(valid_rmse):
        raise TrainingDivergedError(
            f"the validation RMSE became {valid_rmse:g} after epoch {place.epoch + 1}. "
            f"{_kept(run, place)}. Try a smaller rate (--set {_section(run, place)}.lr={config.lr / 5:.2g})"
        )
    run.reporter.end_epoch(metrics)
    place.metrics.append(metrics | ({"member": place.member + 1} if run.config.members > 1 else {}))
    place.finish_epoch()
    if valid_rmse is None or valid_rmse < place.best_rmse:
        place.best_epoch, place.best_rmse = place.epoch, valid_rmse or place.best_rmse
        run.save("model", model)
        run.keep("model", "last")
    else:
        run.save("last", model)
    run.save_metrics(place.metrics)


def _save_and_stop(run: Run, learner: _AnyLearner, optimizer: torch.optim.Optimizer, place: Place) -> None:
    if run.runtime.rank == 0:
        save_checkpoint(run.out / "resume.pt", learner, optimizer, place)
    flush(optimizer)  # after the checkpoint, which keeps the rounding of a training that never stopped
    model = learner.finished()
    run.save("last", model)
    if not (place.best_epoch or place.member):
        run.save("model", model)
    run.reporter.say(
        f"stopped in epoch {place.epoch + 1} after batch {place.batch}; everything is saved, --resume goes on"
    )
    raise KeyboardInterrupt


def _rmse(run: Run, model: Model, pairs: Aligned) -> float:
    """Without clipping, pooled over the ratings (as the paper evaluates), over all processes."""
    mine = run.runtime.share(len(pairs))
    times = None if pairs.times is None else pairs.times[mine]
    predicted = predict_pairs(model, run.train, pairs.users[mine], pairs.items[mine], times)
    error = torch.tensor(float(np.square(predicted - pairs.values[mine]).sum()), dtype=torch.float64)
    return math.sqrt(float(run.runtime.sum_tensor(error.to(run.runtime.device))) / len(pairs))


def _train_rmse(model: Model, train: Ratings) -> float:
    """Of the fitted ratings, some users at a time."""
    error = 0.0
    for first in range(0, train.n_users, USERS_AT_ONCE):
        users = np.arange(first, min(first + USERS_AT_ONCE, train.n_users))
        some = slice(train.indptr[users[0]], train.indptr[users[-1] + 1])
        items, values = train.items[some].astype(np.int64), train.values[some]
        times = None if train.times is None else train.times[some]
        predicted = predict_pairs(model, train, np.repeat(users, train.user_counts[users]), items, times)
        error += float(np.square(predicted - values).sum())
    return math.sqrt(error / len(train))


def _done(place: Place, batches: int) -> int:
    """Batches trained on since the start."""
    return place.epoch * batches + place.batch


def _epochs(config: TrainConfig, batches: int) -> int:
    return config.epochs if config.steps is None else math.ceil(config.steps / batches)


def _is_over(place: Place, config: TrainConfig, batches: int) -> bool:
    patience_is_over = config.patience > 0 and place.epoch - place.best_epoch >= config.patience
    return patience_is_over or place.epoch >= _epochs(config, batches)


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


def _say_facts(run: Run, learner: _AnyLearner, batches: Batches[Any], place: Place) -> None:
    parameters = sum(parameter.numel() for parameter in learner.parameters())
    config = config_of_member(run.config, place.member).train
    if run.config.members > 1:
        run.reporter.say(f"model {place.member + 1} of {run.config.members}")
    run.reporter.say(
        f"{len(run.train):,} ratings, {run.train.n_users:,} users, {run.train.n_items:,} items; "
        f"{parameters:,} parameters, {len(batches):,} batches an epoch; {run.runtime}"
    )
    if not isinstance(learner, AutoencoderLearner):
        return
    model = learner.model
    if model.sparse_gradients:
        run.reporter.say(f"sparse updates: a batch touches {batches.touched:.1%} of the items")
    if config.refeed:
        users = len(range(batches.size)[run.runtime.share(batches.size)])
        path = "collapsed" if takes_collapsed_path(model, config, users) else "dense"
        why = "the cheaper one" if model.linear_output else "as the output has an activation"
        if model.collapse_from is not None:
            why = f"collapsed is the cheaper one from {model.collapse_from:,} users on"
        why = why if config.refeed_path == "auto" else "as set"
        run.reporter.say(f"re-feeds of {users:,} users: {path}, {why}")
