"""Reads model folders: on numpy alone where `refeed.lite` knows the kind, else by PyTorch."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from refeed.errors import ModelError
from refeed.lite.folder import fits_numpy, read_list_part, read_settings, read_weights
from refeed.lite.lists import ListPart
from refeed.lite.ridge import ridges_of
from refeed.model_items import read_items
from refeed.ratings.store import Ratings
from refeed.serve.loaded import Loaded
from refeed.serve.passes import MeanPass, Pass, RidgePass
from refeed.serve.taken import ItemToItemScorer, Lists

__all__ = ["load"]


def load(run: Path) -> Loaded:
    """Read and check a model folder.

    Raises:
        ModelError: no model there, incomplete, damaged, mixed from two, or of another version; or one that
            can't be served, or only with PyTorch, which is not installed.
        StoreError: its `history/` is damaged.
    """
    if not run.is_dir():
        raise ModelError(f"{run} is no model folder; give the folder that `refeed train --out` wrote")
    if fits_numpy(run):
        return _on_numpy(run)
    try:
        from refeed.serve.any_model import load_any  # noqa: PLC0415 - PyTorch, seconds and 200 MB
    except ImportError as error:
        raise ModelError(
            f"{run} can't be read without {error.name}, which is not installed: without PyTorch the default "
            "model is served alone"
        ) from error
    return load_any(run)


def _on_numpy(run: Path) -> Loaded:
    arrays, header = read_weights(run / "model.safetensors")
    settings = read_settings(run / "config.toml", header["model"])
    items = read_items(run / "items.parquet", header["items"])
    low, high = header["scale"].split()
    fold: Pass
    vectors: Callable[[], NDArray[np.float32] | None]
    try:
        if settings["kind"] == "mean":
            fold, vectors = MeanPass(float(arrays["mean"]), len(items.ids)), lambda: None
        else:
            model = ridges_of(arrays, float(settings["shrinkage"]))
            fold, vectors = RidgePass(model), model.item_vectors
    except KeyError as error:
        raise ModelError(f"{run}: the weights don't fit config.toml: {error} is missing") from error
    part = read_list_part(run / "interactions.safetensors", header)
    return Loaded(
        kind=settings["kind"],
        learned_from="interactions" if header.get("kind") == "interactions" else "ratings",
        items=items,
        scale=(float(low), float(high)),
        histories=Ratings.load(run / "history") if (run / "history").exists() else None,
        fold=fold,
        lists=None if part is None else _lists(part),
        vectors=vectors,
    )


def _lists(part: ListPart) -> Lists:
    return Lists(ItemToItemScorer(part.taken), part.liking, part.beta, part.floor, part.values)
