"""An ONNX graph under construction: values by name, operators of the standard set alone."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

__all__ = ["IR_VERSION", "OPSET", "Graph"]

OPSET = 17
"""Of 2022: known to every onnxruntime since 1.12, and to onnxruntime-web."""

IR_VERSION = 8
"""The file format that came with it."""


class Graph:
    """Nodes and constants in the order in which they were added; a value is the name that `add` returns."""

    def __init__(self, prefix: str = "") -> None:
        self._prefix = prefix  # names within a body must differ from those outside
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def add(self, operator: str, *inputs: str, **attributes: Any) -> str:
        """Apply an operator with one result.

        Args:
            operator: its name in ONNX.
            inputs: values.
            attributes: of the operator.

        Returns:
            The result.
        """
        result = f"{self._prefix}{operator}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, list(inputs), [result], **attributes))
        return result

    def constant(self, value: NDArray[Any] | np.generic) -> str:
        """A constant, in the precision that it has."""
        name = f"{self._prefix}constant_{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(value, order="C"), name))
        return name

    def whole(self, *numbers: int) -> str:
        """A constant of whole numbers, as axes and shapes are given."""
        return self.constant(np.array(numbers, dtype=np.int64))

    def cast(self, value: str, dtype: np.dtype[np.generic]) -> str:
        """A value in another precision."""
        return self.add("Cast", value, to=helper.np_dtype_to_tensor_dtype(dtype))

    def total(self, value: str, axis: int, *, keep: bool = False) -> str:
        """The sum over an axis."""
        return self.add("ReduceSum", value, self.whole(axis), keepdims=int(keep))

    def inner(self) -> "Graph":
        """A body to `repeat`, which may use every value that is there so far."""
        return Graph(f"{self._prefix}inner_{len(self.nodes)}_")

    @property
    def turn(self) -> str:
        """Of a body: the number of the turn, from 0; int64."""
        return f"{self._prefix}turn"

    @property
    def state(self) -> str:
        """Of a body: the state before the turn."""
        return f"{self._prefix}state"

    def repeat(self, body: "Graph", count: int, start: str, after: str) -> str:
        """Apply a body that was made by `inner`.

        Args:
            body: it makes of `turn` and `state` the next state.
            count: how often.
            start: the state that the first turn starts from, in float64.
            after: the body's value that is the next state.

        Returns:
            The last state.
        """
        going = f"{body.turn}_going"
        still = body.add("Identity", going)
        inside = helper.make_graph(
            body.nodes,
            "turn",
            [
                helper.make_tensor_value_info(body.turn, TensorProto.INT64, []),
                helper.make_tensor_value_info(going, TensorProto.BOOL, []),
                helper.make_tensor_value_info(body.state, TensorProto.DOUBLE, None),
            ],
            [
                helper.make_tensor_value_info(still, TensorProto.BOOL, []),
                helper.make_tensor_value_info(after, TensorProto.DOUBLE, None),
            ],
            body.constants,
        )
        return self.add("Loop", self.constant(np.array(count, dtype=np.int64)), "", start, body=inside)

    def model(
        self, inputs: Sequence[onnx.ValueInfoProto], outputs: Sequence[onnx.ValueInfoProto]
    ) -> onnx.ModelProto:
        """The finished model."""
        graph = helper.make_graph(self.nodes, "refeed", list(inputs), list(outputs), self.constants)
        opsets = [helper.make_opsetid("", OPSET)]
        return helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION, producer_name="refeed")
