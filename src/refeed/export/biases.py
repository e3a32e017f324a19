"""Damped biases and the mean as graphs: the formulas of `models/biases.py`, in float64."""

import numpy as np

from refeed.baselines.bias import BiasModel
from refeed.baselines.mean import MeanModel
from refeed.export.graph import Graph
from refeed.export.history import History
from refeed.models.biases import Biases

__all__ = ["add_biases", "add_item_levels", "add_mean", "add_user_biases"]


def add_biases(graph: Graph, history: History, model: BiasModel) -> str:
    """Add a model to a graph: μ + b_u + b_i, float64 [users, items]."""
    biases = Biases(float(model.mean), model.items.cpu().numpy(), float(model.user_damping))
    return graph.add("Add", add_item_levels(graph, biases), add_user_biases(graph, history, biases))


def add_mean(graph: Graph, history: History, model: MeanModel) -> str:
    """Add a model to a graph: the mean, float64 [users, items]."""
    means = graph.constant(np.full(model.n_items, float(model.mean)))
    return graph.add("Add", means, graph.add("Mul", history.counts, graph.constant(np.float64(0))))


def add_item_levels(graph: Graph, biases: Biases) -> str:
    """μ + b_i, float64 [items]."""
    return graph.constant(biases.mean + biases.items)


def add_user_biases(graph: Graph, history: History, biases: Biases) -> str:
    """b_u = Σ(r − μ − b_i) / (n + λ), and 0 for an empty history: float64 [users, 1]."""
    above = graph.add(
        "Sub", history.ratings, graph.add("Gather", add_item_levels(graph, biases), history.items)
    )
    sums = graph.total(graph.add("Mul", above, history.rated), 1, keep=True)
    # The counts are at least 1, so that nothing is divided by 0 where the damping is 0; an empty sum is 0.
    counts = graph.add("Add", history.counts, graph.constant(np.float64(biases.user_damping)))
    return graph.add("Div", sums, counts)
