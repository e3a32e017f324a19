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
from refeed.lite.taken import KINDS
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

__all__ = ["Folder", "fits_numpy", "read_list_part", "read_settings", "read_weights"]


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
        arrays, header = read_weights(run / "model.safetensors")
        settings = read_settings(run / "config.toml", header["model"])
        _check_known(run, settings, blended=any(name.startswith("network.") for name in arrays))
        if "catalogue" not in header:
            raise ModelError(
                f"{run} was written by a refeed from before `refeed.lite`, and lacks items.json; train "
                "again, or load it with refeed.Recommender"
            )
        check_file(run / "items.json", header["catalogue"])
        known = json.loads((run / "items.json").read_text(encoding="utf-8"))
        low, high = header["scale"].split()
        try:
            model = ridges_of(arrays, float(settings["shrinkage"]))
        except KeyError as error:
            raise ModelError(f"{run}: the weights don't fit config.toml: {error} is missing") from error
        titles = tuple(title or "" for title in known["title"])
        return cls(
            model=model,
            catalogue=Catalogue(Ids(known["item"]), titles if any(titles) else None),
            item_counts=np.array(known["count"], dtype=np.int64),
            scale=(float(low), float(high)),
            histories=Histories.load(run / "history") if (run / "history").exists() else None,
            lists=read_list_part(run / "interactions.safetensors", header),
        )


def fits_numpy(run: Path) -> bool:
    """Whether numpy computes all that a model folder holds; not where that can't be read."""
    try:
        kind = tomllib.loads((run / "config.toml").read_text(encoding="utf-8"))["model"]["kind"]
        names, header = _contents(run / "model.safetensors")
        blended = any(name.startswith("network.") for name in names)
        lists = run / "interactions.safetensors"
        listed = json.loads(_contents(lists)[1]["interactions"])["kind"] if lists.is_file() else None
    except (SafetensorError, OSError, ValueError, KeyError, TypeError):
        return False
    return kind in {"ridge", "mean"} and not blended and "catalogue" in header and listed in (None, *KINDS)


def _contents(path: Path) -> tuple[list[str], dict[str, str]]:
    """The names of the weights, and their header, unchecked."""
    with safe_open(path, framework="numpy") as file:
        return list(file.keys()), json.loads((file.metadata() or {}).get("refeed", "{}"))


def read_weights(path: Path) -> tuple[dict[str, NDArray[Any]], dict[str, str]]:
    """The weights of a file, and their header, checked.

    Raises:
        ModelError: they are missing, damaged, or of another version.
    """
    check_weights_there(path)
    try:
        with safe_open(path, framework="numpy") as file:
            header = json.loads((file.metadata() or {}).get("refeed", "{}"))
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping
    except (SafetensorError, OSError, ValueError) as error:
        raise ModelError(f"{path} is damaged ({error}); restore it, or train again") from error
    return arrays, checked_header(path, header, arrays)


def read_list_part(path: Path, bound_to: Mapping[str, str]) -> ListPart | None:
    """The second part of a model; None where there is none.

    Args:
        path: of its weights.
        bound_to: the header of the first part.

    Raises:
        ModelError: it is damaged, or another run's.
    """
    if not path.is_file():
        return None
    arrays, header = read_weights(path)
    check_same_run(path, header, bound_to)
    return list_part_of(path, arrays, header)


def read_settings(path: Path, digest: str) -> dict[str, Any]:
    """The section `model` of config.toml.

    Raises:
        ModelError: it is missing, damaged, or another one than the weights were bound to.
    """
    check_there(path)
    try:
        text = path.read_text(encoding="utf-8")
        settings, found = dict(tomllib.loads(text)["model"]), digest_settings(text)
        str(settings["kind"])
    except (ValueError, KeyError, TypeError) as error:
        raise ModelError(f"{path} is damaged ({error}); restore it") from error
    check_settings(path, found, digest)
    return settings


def _check_known(run: Path, settings: Mapping[str, Any], *, blended: bool) -> None:
    """Refuse what is no ridge autoencoder; a network that weighs nothing is in the settings alone."""
    kind = settings["kind"]
    if kind != "ridge" or blended:
        what = "ridge that is blended with a network" if kind == "ridge" else kind
        raise ModelError(
            f"{run} holds a model of kind {what}; refeed.lite knows the kind ridge alone (the default "
            "recipe): load it with refeed.Recommender, or export it by `refeed export --onnx`"
        )
