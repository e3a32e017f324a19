"""A trained model with all that belongs to it, in memory; and its way to a folder and back."""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from torch import Tensor

from refeed.config import Config
from refeed.errors import ModelError
from refeed.factory import build_model
from refeed.files import atomic_folder, write_text
from refeed.model_folder import (
    Metrics,
    binding,
    check_absent,
    read_config,
    read_lists,
    read_metrics,
    read_weights,
    save_lists,
    save_weights,
    write_card,
    write_metrics,
)
from refeed.model_items import Items, read_items, write_items
from refeed.models.interface import Model
from refeed.models.list_part import ListPart
from refeed.ratings.store import DataKind, Ratings

__all__ = ["TrainedModel"]


@dataclass(frozen=True, eq=False)
class TrainedModel:
    """A model and what it was made of.

    Args:
        config: what it is; every "auto" is resolved.
        model: predicts.
        items: its items, by position.
        scale: the lowest and the highest training rating.
        n_users: how many users the training ratings had.
        kind: whether these are ratings or interactions.
        lists: who takes what up, for lists; None: lists go by the predicted rating alone.
        histories: the training ratings, by which known users are known; None if they have been removed.
        metrics: the errors of every epoch.
        card: what this is, for people, where it was read from a folder.
    """

    config: Config
    model: Model
    items: Items
    scale: tuple[float, float]
    n_users: int
    histories: Ratings | None
    kind: DataKind = "ratings"
    lists: ListPart | None = None
    metrics: Sequence[Metrics] = field(default=(), repr=False)
    card: str = field(default="", repr=False)

    def __repr__(self) -> str:
        known = "with" if self.histories is not None else "without"
        return (
            f"TrainedModel: {self.config.model.kind}, {len(self.items.ids):,} items, {self.n_users:,} users "
            f"({known} their histories), {self.kind} from {self.scale[0]:g} to {self.scale[1]:g}"
        )

    @classmethod
    def of(
        cls,
        config: Config,
        model: Model,
        train: Ratings,
        metrics: Sequence[Metrics],
        lists: ListPart | None = None,
    ) -> "TrainedModel":
        """What a training has made of ratings.

        Args:
            config: what was trained, every "auto" resolved.
            model: trained.
            train: the training ratings.
            metrics: the errors of every epoch.
            lists: the second part, if there is one.
        """
        model.eval()  # type: ignore[attr-defined]  # models are modules, too
        items, counts = Items.of(train), train.n_users
        return cls(config, model, items, train.scale, counts, train, train.kind, lists, tuple(metrics))

    @classmethod
    def load(cls, run: Path | str, weights: Literal["model", "last"] = "model") -> "TrainedModel":
        """Read and check a model folder.

        Args:
            run: the folder.
            weights: "model", the best epoch's, or "last".

        Raises:
            ModelError: no model there, incomplete, damaged, mixed from two, or of another version.
            StoreError: its `history/` is damaged.
        """
        run = Path(run)
        if not run.is_dir():
            raise ModelError(f"{run} is no model folder; give the folder that `refeed train --out` wrote")
        tensors, header = read_weights(run, weights)
        config = read_config(run / "config.toml", header["model"])
        items = read_items(run / "items.parquet", header["items"])
        model = build_model(
            _of_weights(config, tensors), n_users=int(header["users"]), n_items=len(items.ids)
        )
        low, high = header["scale"].split()
        try:
            model.load_state_dict(tensors)
        except RuntimeError as error:
            raise ModelError(f"{run}: the weights don't fit config.toml: {error}") from error
        card = run / "card.md"
        return cls(
            config=config,
            model=model.eval(),
            items=items,
            scale=(float(low), float(high)),
            n_users=int(header["users"]),
            histories=Ratings.load(run / "history") if (run / "history").exists() else None,
            kind="interactions" if header.get("kind") == "interactions" else "ratings",
            lists=read_lists(run, len(items.ids), header),
            metrics=tuple(read_metrics(run / "metrics.jsonl")),
            card=card.read_text(encoding="utf-8") if card.is_file() else "",
        )

    def save(self, path: Path | str) -> None:
        """Write a model folder, atomically; `load` reads it back.

        Args:
            path: the folder; it must not exist yet.

        Raises:
            ModelError: it exists already.
        """
        path = Path(path)
        check_absent(path)
        with atomic_folder(path) as folder:
            write_items(folder, self.items)
            write_text(folder / "config.toml", self.config.to_toml())
            bound_to = binding(folder, self.config, self.n_users, self.scale, self.kind)
            weights = self.model.state_dict()  # type: ignore[attr-defined]  # models are modules, too
            save_weights(folder / "model.safetensors", weights, bound_to)
            shutil.copyfile(folder / "model.safetensors", folder / "last.safetensors")
            if self.lists is not None:
                save_lists(folder, self.lists, bound_to)
            write_metrics(folder / "metrics.jsonl", self.metrics)
            if self.histories is not None:
                self.histories.save(folder / "history")
                write_card(folder, self.config, self.histories, self.metrics, self.lists)
            else:
                write_text(folder / "card.md", self.card)


def _of_weights(config: Config, tensors: Mapping[str, Tensor]) -> Config:
    """The config without the network of a blend, where that weighed nothing and was left out when saved."""
    if config.network is None or any(name.startswith("network.") for name in tensors):
        return config
    return config.model_copy(update={"network": None, "network_train": None})
