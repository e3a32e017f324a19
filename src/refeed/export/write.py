"""`refeed export`: a model folder as an ONNX graph and its ids as JSON, checked against the model itself."""

import json
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from refeed.errors import ModelError
from refeed.files import atomic_folder
from refeed.inference.ranking import SHRINK
from refeed.trained_model import TrainedModel

__all__ = ["export_onnx"]

_WORDS = {"predicted": "ratings", "scores": "scores"}


def export_onnx(trained: TrainedModel, out: Path) -> str:
    """Write `model.onnx` and `items.json` (docs/export.md says what is in them), or nothing.

    Args:
        trained: the model.
        out: the folder to write.

    Returns:
        What was written, how far it is from the model, and what it leaves out, for people.

    Raises:
        ModelError: the model doesn't fold in or predicts no ratings, its kind can't be exported, `out` exists
            already, the extra `export` isn't installed, or what was written doesn't predict what the model
            predicts.
    """
    _check_installed()
    # Only here, as onnx belongs to an extra.
    from refeed.export.check import furthest  # noqa: PLC0415
    from refeed.export.whole import outputs_of, whole_graph, write_graph  # noqa: PLC0415

    graph, outputs = whole_graph(trained), outputs_of(trained)
    try:
        with atomic_folder(out) as beside:
            write_graph(graph, beside / "model.onnx")
            (beside / "items.json").write_text(_items(trained, outputs), encoding="utf-8")
            apart = furthest(beside / "model.onnx", trained)
            size = sum(file.stat().st_size for file in beside.iterdir())
    except FileExistsError as error:
        raise ModelError(f"{out} exists already; choose another folder, or remove it first") from error
    return (
        f"{out}: model.onnx and items.json, {size / 1e6:,.1f} MB, {len(trained.items.ids):,} items; under "
        f"onnxruntime its {' and '.join(_WORDS[name] for name in outputs)} are the model's to {apart:.1e}"
        + _left_out(trained, outputs)
    )


def _left_out(trained: TrainedModel, outputs: list[str]) -> str:
    """What lists of the model go by that a graph doesn't have."""
    if "scores" in outputs or trained.lists is None:
        return ""
    return (
        f"\nnote: this model's lists also go by an interaction model of kind {trained.lists.config.kind}, "
        "which can't be exported yet, so the graph has no scores of lists. Make lists by refeed.Recommender, "
        "or train with interactions.kind linear or local"
    )


def _items(trained: TrainedModel, outputs: list[str]) -> str:
    low, high = trained.scale
    titles = None if trained.items.titles is None else [title or None for title in trained.items.titles]
    return json.dumps(
        {
            "refeed": version("refeed"),
            "kind": trained.config.model.kind,
            "scale": [low, high],
            "outputs": outputs,
            "shrink": SHRINK,
            "items": list(trained.items.ids),
            "titles": titles,
            "support": np.asarray(trained.items.counts).tolist(),
        },
        ensure_ascii=False,
    )


def _check_installed() -> None:
    missing = [name for name in ("onnx", "onnxruntime") if find_spec(name) is None]
    if missing:
        raise ModelError(
            f"{' and '.join(missing)} can't be imported; install the extra: pip install 'refeed[export]'"
        )
