"""How far apart the levels of a scale are: what a rating says of its user need not be its number.

Ratings are ordinal: from 4 to 5 stars need not be as far as from 2 to 3, and a 1 may be a slip. So the code
sees r + g(r) in the place of a rating r, in the closed form's units; what is predicted stays r. g is
piecewise linear between knots, which are the levels themselves where there are few. It is learned with the
rest of the model, on the same leave-one-out errors (the idea is optimal scaling; Young 1981).

Only its curvature is learned: g has neither a constant nor a linear part, in the mean over the ratings,

    g = D^-½ (I − Q Qᵀ) D^½ c,    D the share of each knot, Q an orthonormal basis of D^½ [1, knots],

with c the parameter. A constant is the biases' part; a linear one would let codes follow ratings further,
which is for the priors to decide, and in training it fits chance.
"""

import numpy as np
import torch
from jaxtyping import Float, Float64
from numpy.typing import NDArray
from torch import Tensor

from refeed.ratings.blocks import blocks

__all__ = ["curved", "knots_of", "shift_at"]

_KNOTS = 12
_MOST = 1_000_000  # ratings, about, that quantiles are taken of


def knots_of(values: NDArray[np.floating]) -> Float64[np.ndarray, " knots"]:
    """The levels that ratings have, ascending; quantiles of the ratings where they are more than 12.

    Args:
        values: the ratings, at least one; memory-mapped ones are fine.
    """
    levels = values[:0]
    for block in blocks(len(values)):
        levels = np.union1d(levels, values[block])
        if len(levels) > _KNOTS:
            some = values[:: max(1, len(values) // _MOST)]
            levels = np.unique(np.quantile(some, np.linspace(0, 1, _KNOTS)))
            break
    knots: Float64[np.ndarray, " knots"] = np.asarray(levels, dtype=np.float64)
    return knots


def curved(
    knots: Float64[np.ndarray, " knots"], values: NDArray[np.floating]
) -> Float64[np.ndarray, "knots knots"]:
    """The matrix that takes the constant and the linear part off what is said of each knot.

    Args:
        knots: as `knots_of` gives them.
        values: the ratings, over which both parts are taken; memory-mapped ones are fine.
    """
    shares = np.zeros(len(knots))
    for block in blocks(len(values)):
        # A rating between two knots belongs to both, as much as it is near them.
        places = np.interp(values[block], knots, np.arange(len(knots)))
        lower = places.astype(np.int64)
        upper = np.minimum(lower + 1, len(knots) - 1)
        shares += np.bincount(lower, weights=1 - (places - lower), minlength=len(knots))
        shares += np.bincount(upper, weights=places - lower, minlength=len(knots))
    roots = np.sqrt(np.maximum(shares, 1) / len(values))
    flat = np.column_stack([np.ones(len(knots)), knots])[:, : len(knots)]
    basis, _ = np.linalg.qr(flat * roots[:, None])
    without = np.eye(len(knots)) - basis @ basis.T
    matrix: Float64[np.ndarray, "knots knots"] = without * roots / roots[:, None]
    return matrix


def shift_at(
    values: Float[Tensor, "*places"], knots: Float[Tensor, " knots"], shifts: Float[Tensor, " knots"]
) -> Float[Tensor, "*places"]:
    """The shifts g of some ratings; beyond the first and the last knot it is what it is there.

    Args:
        values: the ratings, in the units of the knots.
        knots: ascending, at least one.
        shifts: g at the knots; the result is differentiable in it alone.
    """
    lower = (torch.searchsorted(knots, values.contiguous(), right=True) - 1).clamp_(0, max(len(knots) - 2, 0))
    upper = (lower + 1).clamp_(max=len(knots) - 1)
    start, width = knots[lower], (knots[upper] - knots[lower]).clamp_(min=torch.finfo(knots.dtype).tiny)
    share = ((values - start) / width).clamp_(0, 1)
    return torch.lerp(shifts[lower], shifts[upper], share)
