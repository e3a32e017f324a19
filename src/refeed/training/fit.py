"""The training loop, from ratings to a model folder."""

import json
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from refeed.config import Config
from refeed.errors import DataError, TrainingDivergedError
from refeed.kinds import build_model
from refeed.model.autoencoder import Autoencoder
from refeed.model.dropout import Dropout
from refeed.model.interface import Model
from refeed.model_folder import binding, create_folder, save_weights, write_card, write_text
from refeed.ratings.pairs import Aligned, align_to
from refeed.ratings.store import Ratings
from refeed.training.batches import Batches, Share
from refeed.training.checkpoint import Place, load_checkpoint, save_checkpoint
from refeed.training.optimizer import learning_rate, make_optimizer, set_learning_rate
from refeed.training.progress import Reporter, silent
from refeed.training.resume import check_same
from refeed.training.runtime import Runtime, running
from refeed.training.step import takes_collapsed_path, train_step
from refeed.training.stopping import stopping

__all__ = ["fit"]

USERS_AT_ONCE = 4096

Metrics = dict[str, int | float | None]


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
        resume: go on with the training in `out`; the result is that of a training that never stopped.
        reporter: hears about the progress.

    Raises:
        ModelError: `out` exists already, or there is nothing to resume in it.
        ConfigError: resumed with another config or other ratings.
        DataError: there are no ratings, or no validation rating of a known user and item.
        TrainingDivergedError: the loss became NaN or infinite.
        KeyboardInterrupt: the user stopped it; what was done is saved.
    """
    if not len(train):
        raise DataError("there is not a single training rating")
    with running() as runtime:
        reporter = reporter if runtime.rank == 0 else silent
        run = _Run(out, config, train, _held_out(train, valid, reporter), runtime, reporter)
        if resume:
            check_same(out, config, train)
        elif runtime.rank == 0:
            create_folder(out, config, train)
        runtime.wait()
        model = build_model(config, n_users=train.n_users, n_items=train.n_items)
        if isinstance(model, Autoencoder):
            _train(run, model, valid, resume=resume)
        else:
            _solve(run, model, valid)


@dataclass(frozen=True)
class _Run:
    """What stays the same during a training."""

    out: Path
    config: Config
    train: Ratings
    held_out: Aligned | None
    runtime: Runtime
    reporter: Reporter

    def save(self, name: str, model: torch.nn.Module) -> None:
        if self.runtime.rank == 0:
            bound_to = binding(self.out, self.config, self.train)
            save_weights(self.out / f"{name}.safetensors", model.state_dict(), bound_to)

    def save_metrics(self, metrics: list[Metrics]) -> None:
        if self.runtime.rank == 0:
            write_text(self.out / "metrics.jsonl", "".join(json.dumps(line) + "\n" for line in metrics))
            write_card(self.out, self.config, self.train, metrics)


def _solve(run: _Run, model: Model, valid: Ratings | None) -> None:
    """A model with a closed form: one "epoch"."""
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
        run.save(name, model)  # type: ignore[arg-type]
    run.save_metrics([metrics])


def _train(run: _Run, model: Autoencoder, valid: Ratings | None, *, resume: bool) -> None:
    config, runtime = run.config.train, run.runtime
    model.to(runtime.device)
    optimizer = make_optimizer(model.parameters(), config)
    place = Place()
    if resume and (run.out / "resume.pt").exists():
        place = load_checkpoint(run.out / "resume.pt", model, optimizer)
    else:
        model.fit_biases(run.train, valid)
    batches = Batches(model, run.train, config, runtime)
    _say_facts(run, model, batches)

    with stopping() as stop:
        while place.epoch < config.epochs and not _patience_is_over(place, config.patience):
            finished = _train_epoch(run, model, optimizer, batches, place, stop)
            if not finished:
                _save_and_stop(run, model, optimizer, place)
            _end_epoch(run, model, batches, place)
            if runtime.rank == 0:
                save_checkpoint(run.out / "resume.pt", model, optimizer, place)
    runtime.wait()


def _train_epoch(
    run: _Run,
    model: Autoencoder,
    optimizer: torch.optim.Optimizer,
    batches: Batches,
    place: Place,
    stop: Callable[[], bool],
) -> bool:
    """Train on the rest of an epoch; False if the user stopped it."""
    config, runtime = run.config.train, run.runtime
    run.reporter.start_epoch(place.epoch, config.epochs, place.users, batches.users_an_epoch)
    generator = torch.Generator(runtime.device)
    saved = started = time.perf_counter()
    model.train()
    for share in batches.epoch(place.epoch, place.batch):
        rate = learning_rate(config, place.epoch, share.number, len(batches))
        set_learning_rate(optimizer, rate)
        # Drawn from the place alone, so that a resumed training goes on with the same masks.
        generator.manual_seed(_mixed(config.seed, place.epoch, share.number))
        dropout = Dropout(run.config.model.dropout, generator, share.rows, share.total)  # type: ignore[union-attr]
        losses = train_step(model, share.example, optimizer, config, dropout, runtime)
        loss = _checked(run, losses, share, place.epoch, rate)
        place.loss += loss
        place.users += share.total
        place.batch = share.number + 1
        now = time.perf_counter()
        place.seconds, started = place.seconds + now - started, now
        run.reporter.advance(share.total, loss)
        if runtime.total(int(stop())):
            return False
        if now - saved > 60 * config.checkpoint_minutes and runtime.rank == 0:
            save_checkpoint(run.out / "resume.pt", model, optimizer, place)
            saved = time.perf_counter()
    return True


def _checked(run: _Run, losses: list[torch.Tensor], share: Share, epoch: int, rate: float) -> float:
    """The loss of the ratings, on all processes; an error if any loss of the batch isn't finite."""
    together = run.runtime.sum_tensor(torch.stack(losses)).tolist()
    if all(math.isfinite(loss) for loss in together):
        return float(together[0])
    config = run.config.train
    hints = [
        f"a smaller rate (--set train.lr={rate / 5:.2g})",
        "a warm-up (--set train.warmup=500)" if not config.warmup else "",
        "no re-feeding (--set train.refeed=0)" if config.refeed else "",
        "ratings on a smaller scale, or residuals (--set 'model.target=\"residual\"')",
    ]
    raise TrainingDivergedError(
        f"the loss became {together[0]:g} in epoch {epoch + 1}, batch {share.number + 1}, at learning rate "
        f"{rate:g}. {_kept(run, epoch)}. Try " + ", or ".join(hint for hint in hints if hint)
    )


def _kept(run: _Run, epochs: int) -> str:
    """What is left of a training that diverged."""
    if epochs:
        return f"{run.out} keeps the weights of epoch {epochs} and of the best one"
    return f"No epoch was finished: remove {run.out}, or choose another --out"


def _end_epoch(run: _Run, model: Autoencoder, batches: Batches, place: Place) -> None:
    """Evaluate, note the metrics, save the weights, and move on to the next epoch."""
    config = run.config.train
    model.eval()
    valid_rmse = None if run.held_out is None else _rmse(run, model, run.held_out)
    metrics: Metrics = {
        "epoch": place.epoch + 1,
        "train_rmse": math.sqrt(place.loss / len(batches)),
        "valid_rmse": valid_rmse,
        "seconds": round(place.seconds, 3),
        "users_per_second": round(place.users / max(place.seconds, 1e-9), 1),
        "lr": learning_rate(config, place.epoch, len(batches) - 1, len(batches)),
    }
    if valid_rmse is not None and not math.isfinite(valid_rmse):
        raise TrainingDivergedError(
            f"the validation RMSE became {valid_rmse:g} after epoch {place.epoch + 1}. "
            f"{_kept(run, place.epoch)}. Try a smaller rate (--set train.lr={config.lr / 5:.2g})"
        )
    run.reporter.end_epoch(metrics)
    place.metrics.append(metrics)
    place.epoch, place.batch = place.epoch + 1, 0
    place.loss, place.users, place.seconds = 0.0, 0, 0.0
    if valid_rmse is None or valid_rmse < place.best_rmse:
        place.best_epoch, place.best_rmse = place.epoch, valid_rmse or place.best_rmse
        run.save("model", model)
    run.save("last", model)
    run.save_metrics(place.metrics)


def _save_and_stop(run: _Run, model: Autoencoder, optimizer: torch.optim.Optimizer, place: Place) -> None:
    if run.runtime.rank == 0:
        save_checkpoint(run.out / "resume.pt", model, optimizer, place)
        run.save("last", model)
        if not place.best_epoch:
            run.save("model", model)
    run.reporter.say(
        f"stopped in epoch {place.epoch + 1} after batch {place.batch}; everything is saved, --resume goes on"
    )
    raise KeyboardInterrupt


def _rmse(run: _Run, model: Model, pairs: Aligned) -> float:
    """Without clipping, pooled over the ratings (as the paper evaluates), over all processes."""
    mine = run.runtime.share(len(pairs))
    predicted = model.predict(run.train, pairs.users[mine], pairs.items[mine])
    error = torch.tensor(float(np.square(predicted - pairs.values[mine]).sum()), dtype=torch.float64)
    return math.sqrt(float(run.runtime.sum_tensor(error.to(run.runtime.device))) / len(pairs))


def _train_rmse(model: Model, train: Ratings) -> float:
    """Of the fitted ratings, some users at a time."""
    error = 0.0
    for first in range(0, train.n_users, USERS_AT_ONCE):
        users = np.arange(first, min(first + USERS_AT_ONCE, train.n_users))
        indptr, items, values = train.rows(users)
        predicted = model.predict(train, np.repeat(users, np.diff(indptr)), items.astype(np.int64))
        error += float(np.square(predicted - values).sum())
    return math.sqrt(error / len(train))


def _patience_is_over(place: Place, patience: int) -> bool:
    return patience > 0 and place.epoch - place.best_epoch >= patience


def _mixed(seed: int, epoch: int, batch: int) -> int:
    """One seed out of three numbers, with nothing in common between neighbours."""
    return int(np.random.SeedSequence([seed, epoch, batch]).generate_state(1, np.uint64)[0] >> 1)


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


def _say_facts(run: _Run, model: Autoencoder, batches: Batches) -> None:
    parameters = sum(parameter.numel() for parameter in model.parameters())
    run.reporter.say(
        f"{len(run.train):,} ratings, {run.train.n_users:,} users, {run.train.n_items:,} items; "
        f"{parameters:,} parameters, {len(batches):,} batches an epoch; {run.runtime}"
    )
    config = run.config.train
    if config.refeed:
        users = len(range(batches.size)[run.runtime.share(batches.size)])
        path = "collapsed" if takes_collapsed_path(model, config, users) else "dense"
        why = "the cheaper one" if model.linear_output else "as the output has an activation"
        why = why if config.refeed_path == "auto" else "as set"
        run.reporter.say(f"re-feeds of {users:,} users: {path}, {why}")
