"""Where a training leaves its results: a model folder, kept loadable at every moment, or memory alone."""

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol, runtime_checkable

import torch
from torch import nn

from refeed.config import Config
from refeed.files import same_file
from refeed.model_folder import (
    STATE,
    Metrics,
    binding,
    check_absent,
    create_folder,
    save_lists,
    save_weights,
    write_card,
    write_metrics,
)
from refeed.models.interface import Model
from refeed.models.list_part import ListPart
from refeed.ratings.store import Ratings
from refeed.runtime import Runtime
from refeed.training.checkpoint import Place, save_checkpoint

__all__ = ["Folder", "Metrics", "Nowhere", "Output", "output_of"]


@runtime_checkable
class Output(Protocol):
    """What a training hands over while it runs."""

    def create(self, config: Config, train: Ratings) -> None:
        """The training begins."""
        ...

    def save(self, name: str, whole: Callable[[], Model]) -> None:
        """Keep the weights of the whole model under a name: "model", the best epoch's, or "last"."""
        ...

    def repeat(self, name: str, other: str) -> None:
        """Keep the weights of that name under another one, too."""
        ...

    def save_lists(self, lists: ListPart, metrics: Sequence[Metrics]) -> None:
        """Keep the second part of the model."""
        ...

    def save_metrics(self, metrics: Sequence[Metrics]) -> None:
        """Keep the errors of every epoch."""
        ...

    def save_checkpoint(self, learner: nn.Module, optimizer: torch.optim.Optimizer, place: Place) -> None:
        """Keep all that is needed to go on."""
        ...

    def finish(self, *, keep_state: bool) -> None:
        """The training is over, and everything saved.

        Args:
            keep_state: so that it can go on for longer.
        """
        ...

    def discard(self) -> None:
        """The training fails: leave nothing behind if nothing could go on from it."""
        ...

    def kept(self, place: Place) -> str:
        """What is left of a training that ends here, in a sentence."""
        ...

    def kept_on_stop(self) -> str:
        """What a user who stopped the training can do, in words."""
        ...


class Nowhere:
    """An `Output` that keeps nothing: the model is handed over in memory."""

    def create(self, config: Config, train: Ratings) -> None: ...
    def save(self, name: str, whole: Callable[[], Model]) -> None: ...
    def repeat(self, name: str, other: str) -> None: ...
    def save_lists(self, lists: ListPart, metrics: Sequence[Metrics]) -> None: ...
    def save_metrics(self, metrics: Sequence[Metrics]) -> None: ...
    def save_checkpoint(self, learner: nn.Module, optimizer: torch.optim.Optimizer, place: Place) -> None: ...
    def finish(self, *, keep_state: bool) -> None: ...
    def discard(self) -> None: ...

    def kept(self, place: Place) -> str:  # noqa: ARG002 - an Output's
        """Nothing."""
        return "Nothing was saved, as no folder was given"

    def kept_on_stop(self) -> str:
        """Nothing."""
        return "nothing is saved, as no folder was given"


class Folder:
    """An `Output` that is a model folder; only the first of several processes writes.

    Args:
        path: the folder.
        runtime: the processes that train.
    """

    def __init__(self, path: Path, runtime: Runtime) -> None:
        self.path = path
        self._first, self._runtime = runtime.rank == 0, runtime
        self._binding: dict[str, str] = {}

    @property
    def checkpoint(self) -> Path:
        """The state of the training; empty before the first, absent after the last."""
        return self.path / STATE

    @property
    def has_state(self) -> bool:
        """Whether there is a checkpoint to go on from."""
        return self.checkpoint.is_file() and self.checkpoint.stat().st_size > 0

    def create(self, config: Config, train: Ratings) -> None:
        """Write all that is known before training, unless the training goes on.

        Raises:
            ModelError: the folder exists already.
        """
        if self._first and not (self.path / "config.toml").exists():
            create_folder(self.path, config, train)
        self._runtime.wait()
        self._config, self._train = config, train
        self._binding = binding(self.path, config, train.n_users, train.scale, train.kind)

    def save(self, name: str, whole: Callable[[], Model]) -> None:
        """Write weights, bound to this folder."""
        model = whole()  # on all processes, as they may compute it together
        if self._first:
            weights = model.state_dict()  # type: ignore[attr-defined]  # models are modules, too
            save_weights(self.path / f"{name}.safetensors", weights, self._binding)

    def repeat(self, name: str, other: str) -> None:
        """Give the file a second name."""
        if self._first:
            same_file(self.path / f"{name}.safetensors", self.path / f"{other}.safetensors")

    def save_lists(self, lists: ListPart, metrics: Sequence[Metrics]) -> None:
        """Write interactions.safetensors, and say so in the card."""
        if self._first:
            save_lists(self.path, lists, self._binding)
            write_card(self.path, self._config, self._train, metrics, lists)

    def save_metrics(self, metrics: Sequence[Metrics]) -> None:
        """Write metrics.jsonl, and the card."""
        if self._first:
            write_metrics(self.path / "metrics.jsonl", metrics)
            write_card(self.path, self._config, self._train, metrics)

    def save_checkpoint(self, learner: nn.Module, optimizer: torch.optim.Optimizer, place: Place) -> None:
        """Write resume.pt."""
        if self._first:
            save_checkpoint(self.checkpoint, learner, optimizer, place)

    def finish(self, *, keep_state: bool) -> None:
        """Remove resume.pt: what the training's end leaves is a model."""
        self._runtime.wait()
        if self._first and not keep_state:
            self.checkpoint.unlink(missing_ok=True)

    def discard(self) -> None:
        """Remove the folder if it has no checkpoint; without waiting, as other processes may be dead."""
        if self._first and not self.has_state:
            shutil.rmtree(self.path, ignore_errors=True)

    def kept(self, place: Place) -> str:
        """The weights so far, if there are any."""
        if place.epoch:
            return f"{self.path} keeps the weights of epoch {place.epoch} and of the best one"
        if place.member:
            return f"{self.path} keeps the models before this one"
        if self.has_state:
            return f"No epoch was finished: remove {self.path}, or choose another --out"
        return "No epoch was finished, so nothing is kept"

    def kept_on_stop(self) -> str:
        """Everything."""
        return "everything is saved, --resume goes on"


def output_of(out: Path | None, runtime: Runtime, *, resume: bool) -> Folder | Nowhere:
    """The output that a caller asked for.

    Raises:
        ModelError: the folder exists already, and nothing is to be resumed in it.
    """
    if out is None:
        return Nowhere()
    if not resume:
        check_absent(out)
        runtime.wait()  # until every process has looked, before one of them makes it
    return Folder(out, runtime)
