"""A model folder of kind ridge, read and checked on numpy and safetensors alone."""

import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

from refeed.errors import ModelError
from refeed.inference.catalogue import Catalogue
from refeed.lite.histories import Histories
from refeed.lite.lists import ListPart, list_part_of
from refeed.lite.ridge import RidgeMean, ridges_of
from refeed.model_header import (
    check_file,
    check_same_run,
    check_settings,
    check_there,
    check_weights_there,
    checked_header,
    digest_settings,
)
from refeed.ratings.ids import Ids

__all__ = ["Folder"]


@dataclass(frozen=True, eq=False)
class Folder:
    """A model as loaded from its folder.

    Args:
        model: predicts ratings.
        catalogue: the items, by id or title.
        item_counts: training ratings of each item, [items].
        scale: the lowest and the highest training rating.
        histories: the training ratings, or None if `history/` was removed.
        lists: who takes what up, for lists; None: lists go by the predicted rating alone.
    """

    model: RidgeMean
    catalogue: Catalogue
    item_counts: NDArray[np.int64]
    scale: tuple[float, float]
    histories: Histories | None
    lists: ListPart | None

    @classmethod
    def load(cls, run: Path) -> "Folder":
        """Read and check a model folder, the weights of its best epoch.

        Raises:
            ModelError: no model there, incomplete, damaged, mixed from two, of another version, or of a kind
                that needs PyTorch.
            StoreError: its `history/` is damaged.
        """
        if not run.is_dir():
            raise ModelError(f"{run} is no model folder; give the folder that `refeed train --out` wrote")
        arrays, header = _weights(run / "model.safetensors")
        blended = any(name.startswith("network.") for name in arrays)
        shrinkage = _shrinkage(run / "config.toml", header["model"], blended=blended)
        if "catalogue" not in header:
            raise ModelError(
                f"{run} was written by a refeed from before `refeed.lite`, and lacks items.json; train "
                "again, or load it with refeed.Recommender"
            )
        check_file(run / "items.json", header["catalogue"])
        known = json.loads((run / "items.json").read_text(encoding="utf-8"))
        low, high = header["scale"].split()
        try:
            model = ridges_of(arrays, shrinkage)
        except KeyError as error:
            raise ModelError(f"{run}: the weights don't fit config.toml: {error} is missing") from error
        titles = tuple(title or "" for title in known["title"])
        return cls(
            model=model,
            catalogue=Catalogue(Ids(known["item"]), titles if any(titles) else None),
            item_counts=np.array(known["count"], dtype=np.int64),
            scale=(float(low), float(high)),
            histories=Histories.load(run / "history") if (run / "history").exists() else None,
            lists=_lists(run / "interactions.safetensors", header),
        )


def _weights(path: Path) -> tuple[dict[str, NDArray[Any]], dict[str, str]]:
    check_weights_there(path)
    try:
        with safe_open(path, framework="numpy") as file:
            header = json.loads((file.metadata() or {}).get("refeed", "{}"))
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping
    except (SafetensorError, OSError, ValueError) as error:
        raise ModelError(f"{path} is damaged ({error}); restore it, or train again") from error
    return arrays, checked_header(path, header, arrays)


def _lists(path: Path, bound_to: Mapping[str, str]) -> ListPart | None:
    if not path.is_file():
        return None
    arrays, header = _weights(path)
    check_same_run(path, header, bound_to)
    return list_part_of(path, arrays, header)


def _shrinkage(path: Path, digest: str, *, blended: bool) -> float:
    """λ, which alone of the settings prediction depends on; whether it is this model's config, and ours."""
    check_there(path)
    try:
        text = path.read_text(encoding="utf-8")
        config, found = tomllib.loads(text), digest_settings(text)
        model = dict(config["model"])
        kind = str(model["kind"])
    except (ValueError, KeyError, TypeError) as error:
        raise ModelError(f"{path} is damaged ({error}); restore it") from error
    if kind != "ridge" or blended:  # a network that weighs nothing is in the settings alone
        what = "ridge that is blended with a network" if kind == "ridge" else kind
        raise ModelError(
            f"{path.parent} holds a model of kind {what}; refeed.lite knows the kind ridge alone (the "
            "default recipe): load it with refeed.Recommender, or export it by `refeed export --onnx`"
        )
    check_settings(path, found, digest)
    return float(model["shrinkage"])
