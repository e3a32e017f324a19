"""The whole graph of a model folder: padded histories in, ratings and scores of all items out."""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper

from refeed.export.graph import Graph
from refeed.export.history import History
from refeed.export.lists import add_scores
from refeed.export.models import add_predictions
from refeed.inference.pairs import check_rates
from refeed.trained_model import TrainedModel

__all__ = ["whole_graph", "write_graph"]

ONE_FILE = 1 << 30
"""Bytes of weights up to which they are within model.onnx; protobuf allows twice as much at most."""


def whole_graph(trained: TrainedModel) -> onnx.ModelProto:
    """The graph of a model folder.

    Its outputs are the ratings and, where lists go by them alone, what lists are ranked by: who takes what up
    (a second part of the model) can't be exported yet, and scores that leave it out would be other lists.

    Raises:
        ModelError: its model can't be exported, or predicts no ratings.
    """
    check_rates(trained)
    graph = Graph()
    history = History.of(graph)
    predictions = add_predictions(graph, history, trained.model)
    low, high = (graph.constant(np.float64(end)) for end in trained.scale)
    results = {"predicted": graph.add("Clip", predictions, low, high)}
    if trained.lists is None:
        results["scores"] = add_scores(graph, predictions, trained.items.counts)
    for name, value in results.items():
        graph.nodes.append(helper.make_node("Cast", [value], [name], to=TensorProto.FLOAT))
    shape: list[str | int | None] = ["users", len(trained.items.ids)]
    outputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name in results]
    return graph.model(History.inputs(), outputs)


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
