"""What lists are ranked by, as a graph: the rules of `inference/ranking.py`."""

import numpy as np
from numpy.typing import NDArray

from refeed.export.graph import Graph
from refeed.inference.ranking import SHRINK, credibility

__all__ = ["add_scores"]


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
