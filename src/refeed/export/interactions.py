"""Interaction models as graphs: who takes what up, for the kinds whose scores are sums over a history.

    s_j = popularity_j + Σ_i x_i B_ij

as in `models/interactions/item_to_item.py`, x as in `models/interactions/worth.py`.

A graph is given no times, so a history is read as one without them: recency does not count.
"""

import numpy as np
from numpy.typing import NDArray

from refeed.export.graph import Graph
from refeed.export.history import History
from refeed.lite.taken import Dense, Sparse, Taken
from refeed.models.interactions.worth import LEAST, PRIOR, Worth

__all__ = ["add_interaction_scores"]


def add_interaction_scores(graph: Graph, history: History, model: Taken) -> str:
    """Add a model to a graph: its scores of all items, float64 [users, items].

    Args:
        graph: to add to.
        history: of some users; of models of counts, how often they took each item.
        model: as `refeed.lite` has it.
    """
    inputs = _side_by_side(graph, history, _inputs(graph, history, model.worth), len(model.popularity))
    weights = model.weights
    sums = _dense(graph, inputs, weights) if isinstance(weights, Dense) else _sparse(graph, inputs, weights)
    return graph.add("Add", sums, graph.constant(model.popularity.astype(np.float64)))


def _inputs(graph: Graph, history: History, worth: Worth) -> str:
    """x: max(1 + w (r − m_u) / s, least), and 0 where there is no rating: float64 [users, places]."""
    if not worth.grade:
        return history.rated
    levels = history.ratings
    if worth.counts:  # log(1 + count)
        counts = graph.add("Max", levels, graph.constant(np.float64(0)))
        levels = graph.add("Log", graph.add("Add", counts, graph.constant(np.float64(1))))
    above = graph.add("Mul", graph.add("Sub", levels, graph.constant(np.float64(worth.mean))), history.rated)
    many = graph.add("Add", graph.total(history.rated, 1, keep=True), graph.constant(np.float64(PRIOR)))
    own = graph.add("Sub", above, graph.add("Div", graph.total(above, 1, keep=True), many))
    graded = graph.add("Mul", own, graph.constant(np.float64(worth.grade / worth.deviation)))
    graded = graph.add("Add", graded, graph.constant(np.float64(1)))
    held = graph.add("Max", graded, graph.constant(np.float64(LEAST)))
    return graph.add("Mul", held, history.rated)


def _side_by_side(graph: Graph, history: History, inputs: str, n_items: int) -> str:
    """The inputs at their items, 0 elsewhere: float64 [users, items]."""
    users = graph.add("Gather", graph.add("Shape", history.items), graph.whole(0))
    shape = graph.add("Concat", users, graph.whole(n_items), axis=0)
    empty = graph.add("Expand", graph.constant(np.zeros((1, 1))), shape)
    return graph.add("ScatterElements", empty, history.items, inputs, axis=1, reduction="add")


def _dense(graph: Graph, inputs: str, weights: Dense) -> str:
    """X B; the product is in the weights' precision, as in the model."""
    single = weights.weights.dtype
    product = graph.add("MatMul", graph.cast(inputs, single), graph.constant(weights.weights))
    return graph.cast(product, np.dtype(np.float64))


def _sparse(graph: Graph, inputs: str, weights: Sparse) -> str:
    """Σ_k W_jk X_N(j, k), a neighbour of every item at a time: float64 [users, items]."""
    neighbours, of_them = _by_target(weights)
    positions, strengths = graph.constant(neighbours), graph.constant(of_them)
    step = graph.inner()
    found = step.add("Gather", inputs, step.add("Gather", positions, step.turn, axis=1), axis=1)
    terms = step.add("Mul", found, step.add("Gather", strengths, step.turn, axis=1))
    after = step.add("Add", step.state, terms)
    nothing = graph.add("Mul", inputs, graph.constant(np.float64(0)))
    return graph.repeat(step, neighbours.shape[1], nothing, after)


def _by_target(weights: Sparse) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """The neighbours of each item and their weights, [items, most] each; filled up by weights of 0."""
    n_items = len(weights.bounds) - 1
    sources = np.repeat(np.arange(n_items), np.diff(weights.bounds))
    order = np.argsort(weights.columns, kind="stable")
    targets = weights.columns[order]
    counts = np.bincount(targets, minlength=n_items)
    places = np.arange(len(targets)) - np.repeat(np.cumsum(counts) - counts, counts)
    shape = (n_items, max(int(counts.max(initial=0)), 1))
    neighbours, of_them = np.zeros(shape, dtype=np.int64), np.zeros(shape)
    neighbours[targets, places] = sources[order]
    of_them[targets, places] = weights.weights[order]
    return neighbours, of_them
