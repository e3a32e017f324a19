"""What goes into an exported graph: padded histories."""

from dataclasses import dataclass

import numpy as np
import onnx
from onnx import TensorProto, helper

from refeed.export.graph import Graph

__all__ = ["History"]


@dataclass(frozen=True)
class History:
    """The histories of some users, side by side, as values of a graph.

    Args:
        items: positions, int64 [users, places]; any position where there is no rating.
        ratings: float64 [users, places].
        rated: 1 where there is a rating, else 0: float64 [users, places].
        counts: how many there are, at least 1: float64 [users, 1].
    """

    items: str
    ratings: str
    rated: str
    counts: str

    @classmethod
    def of(cls, graph: Graph) -> "History":
        """Take the graph's inputs in."""
        double = np.dtype(np.float64)
        rated = graph.cast("mask", double)
        # Whatever stands in a place without a rating, be it NaN, must not come in.
        there = graph.cast("mask", np.dtype(np.bool_))
        ratings = graph.add("Where", there, graph.cast("ratings", double), graph.constant(np.float64(0)))
        counts = graph.add("Max", graph.total(rated, 1, keep=True), graph.constant(np.float64(1)))
        return cls("items", ratings, rated, counts)

    @staticmethod
    def inputs() -> list[onnx.ValueInfoProto]:
        """The graph's inputs, as documented in docs/export.md."""
        shape = ["users", "places"]
        return [
            helper.make_tensor_value_info("items", TensorProto.INT64, shape),
            helper.make_tensor_value_info("ratings", TensorProto.FLOAT, shape),
            helper.make_tensor_value_info("mask", TensorProto.FLOAT, shape),
        ]
