"""From a model of any kind that folds in to a graph."""

from collections.abc import Sequence
from dataclasses import dataclass

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
from refeed.models.blend.model import THIN, Blend
from refeed.models.ensemble import Ensemble
from refeed.models.interface import Model
from refeed.models.ridge.model import RidgeAutoencoder

__all__ = ["Predicted", "add_predictions"]


@dataclass(frozen=True)
class Predicted:
    """What a graph says of all items.

    Args:
        ratings: predicted, not clipped: float64 [users, items].
        spread: `predictive_std`, likewise; None: the model doesn't know how sure it is, or nobody asked.
    """

    ratings: str
    spread: str | None = None


def add_predictions(graph: Graph, history: History, model: Model, *, spread: bool = False) -> Predicted:
    """Add a model to a graph.

    Args:
        graph: to add to.
        history: of some users.
        model: of any kind that folds in.
        spread: whether it is to say how sure it is, too.

    Raises:
        ModelError: it doesn't fold in, or is of a kind that can't be exported.
    """
    if not model.folds_in:
        raise ModelError(
            "this model knows the users of its training ratings only, so there is no history to put in; only "
            "models that fold in can be exported (kinds ridge, bias and mean, and user-based autoencoders)"
        )
    if isinstance(model, Blend):
        return _blended(graph, history, model, spread=spread)
    if isinstance(model, Ensemble):
        return _averaged(graph, history, model, spread=spread)
    if isinstance(model, RidgeAutoencoder):
        return Predicted(*add_ridge(graph, history, model, spread=spread))
    return Predicted(_other(graph, history, model))


def _other(graph: Graph, history: History, model: Model) -> str:
    """A model that does not say how sure it is."""
    if isinstance(model, Autoencoder):
        return add_network(graph, history, model)
    if isinstance(model, BiasModel):
        return add_biases(graph, history, model)
    if isinstance(model, MeanModel):
        return add_mean(graph, history, model)
    raise ModelError(f"a model of the class {type(model).__name__} can't be exported yet")


def _blended(graph: Graph, history: History, model: Blend, *, spread: bool) -> Predicted:
    """Sure as its ridge autoencoder; a network that weighs nothing is left out."""
    ridge = add_predictions(graph, history, model.ridge, spread=spread)
    if model.idle:
        return ridge
    network = add_predictions(graph, history, model.network)
    apart = graph.add("Sub", network.ratings, ridge.ratings)
    listened = graph.add("Mul", _weight(graph, history, model), apart)
    return Predicted(graph.add("Add", ridge.ratings, listened), ridge.spread)


def _weight(graph: Graph, history: History, model: Blend) -> str:
    """The network's weight, a + b · 20 / (n + 20) within [0, 1]: [users, 1]."""
    numbers = (THIN, float(model.weight_if_thin), float(model.weight), 0, 1)
    half, of_thin, of_all, zero, one = (graph.constant(np.float64(each)) for each in numbers)
    counts = graph.total(history.rated, 1, keep=True)
    thinness = graph.add("Div", half, graph.add("Add", counts, half))
    weight = graph.add("Add", graph.add("Mul", thinness, of_thin), of_all)
    return graph.add("Min", graph.add("Max", weight, zero), one)


def _averaged(graph: Graph, history: History, model: Ensemble, *, spread: bool) -> Predicted:
    each = [add_predictions(graph, history, member, spread=spread) for member in model.each()]
    share = 1 / len(each)
    ratings = _weighed(graph, [(one.ratings, share) for one in each])
    spreads = [(one.spread, share) for one in each if one.spread is not None]
    return Predicted(ratings, _weighed(graph, spreads) if spreads else None)


def _weighed(graph: Graph, parts: Sequence[tuple[str, float]]) -> str:
    """A weighted sum."""
    each = [graph.add("Mul", part, graph.constant(np.float64(weight))) for part, weight in parts]
    return graph.add("Sum", *each)
