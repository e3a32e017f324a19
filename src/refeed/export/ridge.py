"""The ridge autoencoder as a graph: the formulas of `models/ridge/model.py`, in float64 up to the code."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from refeed.export.graph import Graph
from refeed.export.history import History
from refeed.models.ridge.model import RidgeAutoencoder
from refeed.models.ridge.places import RARE

__all__ = ["add_ridge"]

_DOUBLE = np.dtype(np.float64)


def add_ridge(
    graph: Graph, history: History, model: RidgeAutoencoder, *, spread: bool
) -> tuple[str, str | None]:
    """Add a model to a graph.

    Args:
        graph: to add to.
        history: of some users.
        model: the ridge autoencoder.
        spread: whether `predictive_std` is wanted, too; it doubles the elimination.

    Returns:
        The predictions, not clipped, and `predictive_std` if wanted: float64 [users, items] each.
    """
    vectors, implicit = graph.constant(_array(model.vectors)), graph.constant(_array(model.implicit))
    deviation = graph.constant(np.float64(float(model.deviation)))
    mean = graph.constant(np.float64(float(model.mean)))
    rated = graph.add("Unsqueeze", history.rated, graph.whole(2))

    found = graph.cast(graph.add("Gather", vectors, history.items), _DOUBLE)
    found = graph.add("Mul", found, rated)
    own = graph.add("Mul", rated, graph.constant(_scale(model)))
    encoder = graph.add("Concat", found, own, axis=2)
    standardised = graph.add("Div", graph.add("Sub", history.ratings, mean), deviation)
    standardised = graph.add("Add", standardised, _shifts(graph, history, model))
    bias = graph.constant(_array(model.bias).astype(np.float64))
    residuals = graph.add("Sub", standardised, graph.add("Gather", bias, history.items))

    transposed = graph.add("Transpose", _weighed(graph, history, encoder, model), perm=[0, 2, 1])
    right = graph.add("MatMul", transposed, graph.add("Unsqueeze", residuals, graph.whole(2)))
    right = graph.add("Add", right, _pull(graph, history, implicit, model.config.shrinkage))
    moments = graph.add("MatMul", transposed, encoder)
    moments = graph.add("Add", moments, _precision(graph, history, model))
    code, inverse = _solved(graph, moments, right, model.vectors.shape[1] + 1, inverse=spread)
    predictions = _decoded(graph, code, vectors, model)
    return predictions, None if inverse is None else _spread(graph, inverse, vectors, model)


def _shifts(graph: Graph, history: History, model: RidgeAutoencoder) -> str:
    """The shift g of each rating, a sum of what each stretch between two knots adds: [users, ratings]."""
    knots, spacing = (_array(each).astype(np.float64) for each in (model.knots, model.spacing))
    widths = np.diff(knots)
    beyond = graph.add(
        "Sub", graph.add("Unsqueeze", history.ratings, graph.whole(2)), graph.constant(knots[:-1])
    )
    # How far a rating reaches into each stretch: not at all, or up to its end.
    into = graph.add("Max", graph.add("Min", beyond, graph.constant(widths)), graph.constant(np.float64(0)))
    slopes = graph.constant((np.diff(spacing) / widths)[:, None])
    rise = graph.add("Squeeze", graph.add("MatMul", into, slopes), graph.whole(2))
    return graph.add("Add", rise, graph.constant(spacing[0]))


def _weighed(graph: Graph, history: History, encoder: str, model: RidgeAutoencoder) -> str:
    """The vector of each rating times w: [users, ratings, width + 1]."""
    weights = _array(model.rating_weights).astype(np.float64)
    if (weights == 1).all():
        return encoder
    of_ratings = graph.add("Gather", graph.constant(weights), history.items)
    return graph.add("Mul", encoder, graph.add("Unsqueeze", of_ratings, graph.whole(2)))


def _pull(graph: Graph, history: History, implicit: str, shrinkage: float) -> str:
    """λ m = λ n^-½ Σ Y: [users, width + 1, 1]."""
    found = graph.cast(graph.add("Gather", implicit, history.items), _DOUBLE)
    shares = graph.add("Div", history.rated, graph.add("Sqrt", history.counts))
    weights = graph.add("Mul", shares, graph.constant(np.float64(shrinkage)))
    transposed = graph.add("Transpose", found, perm=[0, 2, 1])
    return graph.add("MatMul", transposed, graph.add("Unsqueeze", weights, graph.whole(2)))


def _precision(graph: Graph, history: History, model: RidgeAutoencoder) -> str:
    """λ I + a Σ 1/(n + 5) I₀ as matrices: [users, width + 1, width + 1]."""
    width = model.vectors.shape[1] + 1
    prior = graph.constant(model.config.shrinkage * np.eye(width))
    but_bias = np.eye(width)
    but_bias[-1, -1] = 0
    rareness = graph.constant(float(model.doubt) / (_array(model.counts).astype(np.float64) + RARE))
    each = graph.add("Mul", graph.add("Gather", rareness, history.items), history.rated)
    spread = graph.add("Unsqueeze", graph.total(each, 1, keep=True), graph.whole(2))
    return graph.add("Add", prior, graph.add("Mul", spread, graph.constant(but_bias)))


def _solved(graph: Graph, matrices: str, right: str, width: int, *, inverse: bool) -> tuple[str, str | None]:
    """A⁻¹ times the right side by Gauss–Jordan elimination, a rank-1 step a column: [users, width].

    A positive definite matrix needs no pivoting (Golub & Van Loan, Matrix Computations, section 4.2). In step
    k, with M = [A | right]: the row p = M_k / M_kk; M ← M − (column k − e_k) p. With `inverse` the unit
    matrix is a part of the right side, and A⁻¹ comes out, too: [users, width, width].
    """
    unit = graph.constant(np.eye(width))
    step = graph.inner()
    row = step.add("Gather", step.state, step.turn, axis=1)
    column = step.add("Gather", step.state, step.turn, axis=2)
    pivot = step.add("Unsqueeze", step.add("Gather", column, step.turn, axis=1), step.whole(1))
    left = step.add("Sub", column, step.add("Gather", unit, step.turn, axis=0))
    scaled = step.add("Unsqueeze", step.add("Div", row, pivot), step.whole(1))
    product = step.add("Mul", step.add("Unsqueeze", left, step.whole(2)), scaled)
    after = step.add("Sub", step.state, product)

    sides = [matrices, right]
    if inverse:
        nothing = graph.add("Mul", matrices, graph.constant(np.float64(0)))
        sides.append(graph.add("Add", nothing, unit))
    start = graph.add("Concat", *sides, axis=2)
    last = graph.repeat(step, width, start, after)
    code = graph.add("Gather", last, graph.constant(np.array(width, dtype=np.int64)), axis=2)
    if not inverse:
        return code, None
    return code, graph.add("Gather", last, graph.whole(*range(width + 1, 2 * width + 1)), axis=2)


def _spread(graph: Graph, inverse: str, vectors: str, model: RidgeAutoencoder) -> str:
    """√(τ² + xᵀ A⁻¹ x) of all items (`models/intervals.py`): float64 [users, items]."""
    own = graph.constant(np.full((len(model.vectors), 1), _scale(model)))
    decoder = graph.add("Concat", graph.cast(vectors, _DOUBLE), own, axis=1)
    terms = graph.add("Mul", graph.add("MatMul", decoder, inverse), decoder)
    leverages = graph.total(terms, 2)
    noise = graph.constant(_array(model.rating_noise).astype(np.float64))
    return graph.add("Sqrt", graph.add("Add", leverages, noise))


def _decoded(graph: Graph, code: str, vectors: str, model: RidgeAutoencoder) -> str:
    """Of all items, level + deviation · xᵀ z; products are in the weights' precision, as in the model."""
    width = model.vectors.shape[1]
    precision = _array(model.vectors).dtype
    of_items = graph.add("Gather", code, graph.whole(*range(width)), axis=1)
    products = graph.add("Gemm", graph.cast(of_items, precision), vectors, transB=1)
    own = graph.add(
        "Mul", graph.add("Gather", code, graph.whole(width), axis=1), graph.constant(_scale(model))
    )
    inner = graph.add("Add", graph.cast(products, _DOUBLE), own)
    above = graph.add("Mul", inner, graph.constant(np.float64(float(model.deviation))))
    level = _array(model.levels()).astype(np.float64) * float(model.deviation) + float(model.mean)
    return graph.add("Add", above, graph.constant(level))


def _scale(model: RidgeAutoencoder) -> np.float64:
    return np.float64(float(model.scale))


def _array(tensor: Tensor) -> NDArray[Any]:
    array: NDArray[Any] = tensor.detach().cpu().numpy()
    return array
