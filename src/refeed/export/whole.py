"""The whole graph of a model folder: padded histories in, ratings and scores of all items out."""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper

from refeed.errors import ModelError
from refeed.export.graph import Graph
from refeed.export.history import History
from refeed.export.interactions import add_interaction_scores
from refeed.export.lists import add_both, add_scores
from refeed.export.models import add_predictions
from refeed.lite.taken import Taken, taken_of
from refeed.models.intervals import Uncertain
from refeed.models.list_part import ListPart
from refeed.trained_model import TrainedModel

__all__ = ["outputs_of", "whole_graph", "write_graph"]

ONE_FILE = 1 << 30
"""Bytes of weights up to which they are within model.onnx; protobuf allows twice as much at most."""


def whole_graph(trained: TrainedModel) -> onnx.ModelProto:
    """The graph of a model folder.

    Its outputs are the predicted ratings, unless it learned from interactions, and what lists are ranked by,
    unless that takes an interaction model of a kind that can't be exported: scores that leave it out would be
    other lists.

    Raises:
        ModelError: its model can't be exported.
    """
    if not outputs_of(trained):
        part = trained.lists
        what = (
            "a model without an interaction model"
            if part is None
            else f"an interaction model of kind {part.config.kind}"
        )
        raise ModelError(
            f"{what} can't be exported from interactions, as it predicts no ratings; train one with "
            "interactions.kind linear or local"
        )
    graph = Graph()
    history = History.of(graph)
    results: dict[str, str] = {}
    taken = sums_of(trained.lists)
    predicted = None
    if trained.kind == "ratings":
        predicted = add_predictions(
            graph, history, trained.model, spread=taken is not None and _sure(trained)
        )
        low, high = (graph.constant(np.float64(end)) for end in trained.scale)
        results["predicted"] = graph.add("Clip", predicted.ratings, low, high)
    if predicted is not None and trained.lists is None:
        results["scores"] = add_scores(graph, predicted.ratings, trained.items.counts)
    elif trained.lists is not None and taken is not None:
        scores, part = add_interaction_scores(graph, history, taken), trained.lists
        if predicted is not None and part.liking is not None:
            scores = add_both(graph, scores, predicted, part.liking, part.weights)
        results["scores"] = scores
    for name, value in results.items():
        graph.nodes.append(helper.make_node("Cast", [value], [name], to=TensorProto.FLOAT))
    shape: list[str | int | None] = ["users", len(trained.items.ids)]
    outputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name in results]
    return graph.model(History.inputs(), outputs)


def outputs_of(trained: TrainedModel) -> list[str]:
    """The names of what a graph of a model says."""
    rated, part = trained.kind == "ratings", trained.lists
    scores = rated if part is None else sums_of(part) is not None
    return [*(["predicted"] if rated else []), *(["scores"] if scores else [])]


def sums_of(part: ListPart | None) -> Taken | None:
    """The interaction model, where its scores are sums over a history; None where there is none such."""
    if part is None:
        return None
    return taken_of(part.arrays(), part.config.kind)


def _sure(trained: TrainedModel) -> bool:
    return isinstance(trained.model, Uncertain) and bool(trained.model.quantiles.any())


def write_graph(model: onnx.ModelProto, path: Path, one_file: int = ONE_FILE) -> None:
    """Write a graph; weights of more than `one_file` bytes go to `model.onnx.data` beside it."""
    large = model.ByteSize() > one_file
    onnx.save_model(
        model,
        str(path),
        save_as_external_data=large,
        location=f"{path.name}.data" if large else None,
        all_tensors_to_one_file=True,
    )
    onnx.checker.check_model(str(path), full_check=True)
