"""From a model of any kind that folds in to a graph."""

import numpy as np

from refeed.baselines.bias import BiasModel
from refeed.baselines.mean import MeanModel
from refeed.errors import ModelError
from refeed.export.biases import add_biases, add_mean
from refeed.export.graph import Graph
from refeed.export.history import History
from refeed.export.network import add_network
from refeed.export.ridge import add_ridge
from refeed.models.autoencoder.network import Autoencoder
from refeed.models.blend.model import Blend
from refeed.models.ensemble import Ensemble
from refeed.models.interface import Model
from refeed.models.ridge.model import RidgeAutoencoder

__all__ = ["add_predictions"]


def add_predictions(graph: Graph, history: History, model: Model) -> str:
    """Add a model to a graph.

    Returns:
        The predicted ratings of all items, not clipped: float64 [users, items].

    Raises:
        ModelError: it doesn't fold in, or is of a kind that can't be exported.
    """
    if not model.folds_in:
        raise ModelError(
            "this model knows the users of its training ratings only, so there is no history to put in; only "
            "models that fold in can be exported (kinds ridge, bias and mean, and user-based autoencoders)"
        )
    if isinstance(model, Blend):
        weight = float(model.weight)
        return _weighed(graph, history, [(model.ridge, 1 - weight), (model.network, weight)])
    if isinstance(model, Ensemble):
        members = model.each()
        return _weighed(graph, history, [(member, 1 / len(members)) for member in members])
    if isinstance(model, RidgeAutoencoder):
        return add_ridge(graph, history, model)
    if isinstance(model, Autoencoder):
        return add_network(graph, history, model)
    if isinstance(model, BiasModel):
        return add_biases(graph, history, model)
    if isinstance(model, MeanModel):
        return add_mean(graph, history, model)
    raise ModelError(f"a model of the class {type(model).__name__} can't be exported yet")


def _weighed(graph: Graph, history: History, parts: list[tuple[Model, float]]) -> str:
    """The weighted sum of several models' predictions; what weighs nothing is left out."""
    each = [
        graph.add("Mul", add_predictions(graph, history, part), graph.constant(np.float64(weight)))
        for part, weight in parts
        if weight
    ]
    return graph.add("Sum", *each)
