"""What lists are ranked by, as a graph: the rules of `inference/ranking.py` and `models/list_score.py`."""

import numpy as np
from numpy.typing import NDArray

from refeed.export.graph import Graph
from refeed.export.models import Predicted
from refeed.inference.ranking import SHRINK, credibility
from refeed.models.liking import Liking, table_of
from refeed.models.list_score import ListWeights

__all__ = ["add_both", "add_scores"]


def add_scores(graph: Graph, predictions: str, support: NDArray[np.int64]) -> str:
    """`supported_scores` of predictions that aren't clipped: float64 [users, items].

    For models whose lists go by the predicted ratings alone.

    Args:
        graph: to add to.
        predictions: float64 [users, items].
        support: the training ratings of each item, [items].
    """
    shares = support / max(float(support.sum()), 1.0)
    levels = graph.add("MatMul", predictions, graph.constant(shares.reshape(-1, 1)))
    weights = graph.constant(credibility(support, SHRINK))
    promised = graph.add("Mul", graph.add("Sub", predictions, levels), weights)
    return graph.add("Min", graph.add("Add", levels, promised), predictions)


def add_both(
    graph: Graph,
    interactions: str,
    predicted: Predicted,
    liking: Liking,
    weights: ListWeights,
) -> str:
    """Log max(s, floor) + β log P(liked): float64 [users, items].

    Args:
        graph: to add to.
        interactions: s, float64 [users, items].
        predicted: the ratings, and how sure they are.
        liking: what "liked" means.
        weights: β, and the floor.
    """
    floor, beta = (graph.constant(np.float64(weight)) for weight in (weights.floor, weights.beta))
    held = graph.add("Log", graph.add("Max", interactions, floor))
    if not weights.beta:
        return held
    probable = graph.add("Log", _liked(graph, predicted.ratings, predicted.spread, liking))
    return graph.add("Add", held, graph.add("Mul", probable, beta))


def _liked(graph: Graph, predictions: str, spread: str | None, liking: Liking) -> str:
    """P(liked), by the table of `models/liking.py`: float64 [users, items]."""
    table = table_of(liking)
    distances = graph.add("Sub", graph.constant(np.float64(liking.boundary)), predictions)
    if spread is not None:
        distances = graph.add("Div", distances, spread)
    at = graph.add("Sub", distances, graph.constant(np.float64(table.start - table.step)))
    at = graph.add("Div", at, graph.constant(np.float64(table.step)))
    last = graph.constant(np.float64(len(table.value) - 1))
    at = graph.add("Clip", at, graph.constant(np.float64(0)), last)
    cell = graph.cast(at, np.dtype(np.int64))
    into = graph.add("Sub", at, graph.cast(cell, np.dtype(np.float64)))
    slope, value = (graph.add("Gather", graph.constant(each), cell) for each in (table.slope, table.value))
    return graph.add("Add", graph.add("Mul", slope, into), value)
