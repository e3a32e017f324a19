"""A user-based autoencoder as a graph: the formulas of `models/autoencoder/network.py`, in float32."""

from collections.abc import Callable

import numpy as np
from torch import Tensor

from refeed.config import Activation
from refeed.export.biases import add_item_levels, add_user_biases
from refeed.export.graph import Graph
from refeed.export.history import History
from refeed.models.autoencoder.network import Autoencoder
from refeed.models.biases import Biases

__all__ = ["add_network"]

# In float32, whatever the weights are: onnxruntime has some of the activations in float32 alone.
_SINGLE = np.dtype(np.float32)
_DOUBLE = np.dtype(np.float64)

_ACTIVATIONS: dict[Activation, Callable[[Graph, str], str]] = {
    "sigmoid": lambda graph, x: graph.add("Sigmoid", x),
    "relu": lambda graph, x: graph.add("Relu", x),
    "relu6": lambda graph, x: graph.add(
        "Clip", x, graph.constant(np.float32(0)), graph.constant(np.float32(6))
    ),
    "tanh": lambda graph, x: graph.add("Tanh", x),
    "elu": lambda graph, x: graph.add("Elu", x, alpha=1.0),
    "lrelu": lambda graph, x: graph.add("LeakyRelu", x, alpha=0.01),
    "swish": lambda graph, x: graph.add("Mul", x, graph.add("Sigmoid", x)),
    "selu": lambda graph, x: graph.add("Selu", x),
    "none": lambda _, x: x,
}


def add_network(graph: Graph, history: History, model: Autoencoder) -> str:
    """Add a model to a graph.

    Returns:
        The predictions, not clipped: float64 [users, items].
    """
    values, levels = history.ratings, None
    if model.config.target == "residual":
        biases = Biases(
            float(model.bias_mean), model.bias_items.cpu().numpy(), float(model.bias_user_damping)
        )
        item_levels, of_users = add_item_levels(graph, biases), add_user_biases(graph, history, biases)
        at_places = graph.add("Add", graph.add("Gather", item_levels, history.items), of_users)
        values = graph.add("Sub", values, at_places)
        levels = graph.add("Add", item_levels, of_users)
    hidden = _hidden(graph, _first_layer(graph, history, values, model), model)
    outputs = _dense(graph, hidden, model.item_out_weight, model.decode_b[-1])
    if model.config.output_activation:
        outputs = _ACTIVATIONS[model.config.activation](graph, outputs)
    predicted = graph.cast(outputs, _DOUBLE)
    return predicted if levels is None else graph.add("Add", predicted, levels)


def _first_layer(graph: Graph, history: History, values: str, model: Autoencoder) -> str:
    """V x + c, before the activation: float32 [users, width]."""
    weights = history.rated
    if model.config.input_scale == "sqrt":
        weights = graph.add("Div", weights, graph.add("Sqrt", history.counts))
    first = _summed(graph, history, graph.add("Mul", values, weights), model.item_in)
    if model.config.rated_channel:
        first = graph.add("Add", first, _summed(graph, history, weights, model.item_rated))
    return graph.add("Add", first, _constant(graph, model.encode_b[0]))


def _summed(graph: Graph, history: History, weights: str, rows: Tensor) -> str:
    """Σ weight × row over the rated items: [users, width]."""
    found = graph.add("Gather", _constant(graph, rows), history.items)
    beside = graph.add("Unsqueeze", graph.cast(weights, _SINGLE), graph.whole(1))
    return graph.add("Squeeze", graph.add("MatMul", beside, found), graph.whole(1))


def _hidden(graph: Graph, first: str, model: Autoencoder) -> str:
    """The last hidden layer, from the first one's pre-activation."""
    activation = _ACTIVATIONS[model.config.activation]
    units = activation(graph, first)
    for weight, bias in model.layers_after_the_first():
        units = activation(graph, _dense(graph, units, weight, bias))
    return units


def _dense(graph: Graph, units: str, weight: Tensor, bias: Tensor) -> str:
    """W x + b, where W is (out, in)."""
    return graph.add("Gemm", units, _constant(graph, weight), _constant(graph, bias), transB=1)


def _constant(graph: Graph, tensor: Tensor) -> str:
    return graph.constant(tensor.detach().cpu().numpy().astype(_SINGLE))
