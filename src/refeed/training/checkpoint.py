"""`resume.pt`: all that training needs to go on as if it had never stopped, written atomically.

It holds the weights, the optimizer's state and the place in the epoch. The order of the users and the dropout
follow from (seed, epoch, batch), so there is no generator to save. Loading runs no code (`weights_only`).
"""

import hashlib
import pickle  # only the name of the error that torch raises; nothing is unpickled
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from refeed.errors import ModelError
from refeed.files import atomic_file

__all__ = ["Place", "learned", "load_checkpoint", "place_of", "save_checkpoint"]

FORMAT = 3


@dataclass
class Place:
    """Where training stands.

    Args:
        member: of an ensemble, counted from 0.
        epoch: the epoch to go on with, counted from 0.
        batch: the first batch of it that isn't done.
        loss: the sum of the losses of its batches that are done.
        users: how many users these had.
        seconds: the time they took.
        metrics: the lines of metrics.jsonl so far.
        best_epoch: of the member's lowest validation RMSE, counted from 1 as in the metrics; 0: none yet.
        best_rmse: that RMSE.
        tried: the lowest validation RMSE of the trials that chose its settings; inf: there were none.
        idle: whether the member, a network, would weigh nothing in its blend, and is trained no further.
        lowered: how often the member started again at a lower rate (`training/too_fast.py`).
        choices: how this machine computes the steps, as it was decided at the start (`Learner.choose_paths`).
    """

    member: int = 0
    epoch: int = 0
    batch: int = 0
    loss: float = 0.0
    users: int = 0
    seconds: float = 0.0
    metrics: list[dict[str, int | float | None]] = field(default_factory=list)
    best_epoch: int = 0
    best_rmse: float = float("inf")
    tried: float = float("inf")
    idle: bool = False
    lowered: int = 0
    choices: dict[str, int | bool] = field(default_factory=dict)

    def finish_epoch(self) -> None:
        """Move on to the next epoch."""
        self.epoch, self.batch = self.epoch + 1, 0
        self.loss, self.users, self.seconds = 0.0, 0, 0.0


def save_checkpoint(path: Path, model: nn.Module, optimizer: torch.optim.Optimizer, place: Place) -> None:
    """Write the state of training."""
    state = {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "place": asdict(place)}
    with atomic_file(path) as beside:
        torch.save({"format": FORMAT, "checksum": _digest(state), "state": state}, beside)


def load_checkpoint(path: Path, model: nn.Module, optimizer: torch.optim.Optimizer) -> Place:
    """Put a saved state back into a model and an optimizer of the same shapes.

    Both take over the tensors as they were read, and the model gives up its own weights before: at no time
    are there two of a big matrix.

    Raises:
        ModelError: there is none, it is damaged, or of another version.
    """
    device = next(model.parameters()).device
    for parameter in model.parameters():
        parameter.data = parameter.new_empty(0)
    saved = _load(path, device)
    state = saved["state"]
    if saved["checksum"] != _digest(state):
        raise ModelError(f"{path} is damaged (its checksum differs); the training can't go on, start it anew")
    for name, tensor in model.state_dict(keep_vars=True).items():
        tensor.data = state["model"][name]
    optimizer.load_state_dict(state["optimizer"])
    return Place(**state["place"])


def place_of(path: Path) -> Place:
    """Where the training stands that a checkpoint was written in; the rest of it isn't read.

    Raises:
        ModelError: as `load_checkpoint`.
    """
    return Place(**_load(path, torch.device("cpu"), mmap=True)["state"]["place"])


def learned(path: Path) -> tuple[dict[str, Tensor], Place]:
    """The weights of the network in training, and where its training stands.

    Raises:
        ModelError: as `load_checkpoint`.
    """
    state = _load(path, torch.device("cpu"))["state"]
    return state["model"], Place(**state["place"])


def _load(path: Path, device: torch.device, *, mmap: bool = False) -> dict[str, Any]:
    try:
        saved = torch.load(path, map_location=device, weights_only=True, mmap=mmap)
        version = saved["format"]
        parts: dict[str, Any] = {"checksum": saved["checksum"], "state": saved["state"]}
    except (
        OSError,
        RuntimeError,
        ValueError,
        KeyError,
        TypeError,
        EOFError,
        pickle.UnpicklingError,
    ) as error:
        raise ModelError(f"{path} is missing or damaged; the training can't go on, start it anew") from error
    if version != FORMAT:
        raise ModelError(
            f"{path} has checkpoint format {version}, this refeed reads format {FORMAT}; "
            "go on with the version of refeed that wrote it"
        )
    return parts


def _digest(state: object) -> str:
    digest = hashlib.sha256()
    _feed(digest, state)
    return digest.hexdigest()


def _feed(digest: Any, node: object) -> None:
    """Everything in a tree of dicts, lists, tensors and plain values, in its order."""
    if isinstance(node, Tensor):
        digest.update(f"{node.dtype} {tuple(node.shape)}".encode())
        digest.update(node.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    elif isinstance(node, Mapping):
        for key, value in node.items():
            digest.update(f"{key!r}:".encode())
            _feed(digest, value)
    elif isinstance(node, Sequence) and not isinstance(node, str):
        digest.update(f"[{len(node)}]".encode())
        for value in node:
            _feed(digest, value)
    else:
        digest.update(f"{node!r};".encode())
