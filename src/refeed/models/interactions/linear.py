"""The linear autoencoder in closed form: each item from all the others (EASE; Steck 2019, arXiv 1905.03375).

Of all B with a zero diagonal, the one with the least ‖√W (X − X B)‖² + Σ_j λ_j ‖B_j‖², X being the inputs
(`inputs.py`):

    G = Xᵀ W X                          w_u = (n_u / mean n)^−a: a person with a long history counts less
    P = (G + diag(λ_j))⁻¹               λ_j = λ (G_jj / mean G)^b: popular items are held closer
    B_ij = −P_ij / P_jj, B_jj = 0

Only one matrix of items × items is ever held: G, P and B take turns in its place.
"""

import torch
from jaxtyping import Float, Float32, Int64
from torch import Tensor

from refeed.models.autoencoder.sparse import Batch, encode
from refeed.models.interactions.gram import gram, weighted
from refeed.models.interactions.inputs import Inputs
from refeed.models.interactions.inverse import invert_in_place
from refeed.models.interactions.item_to_item import ItemToItem

__all__ = ["Linear", "learn_linear", "linear_memory", "ridges"]


class Linear(ItemToItem):
    """An `InteractionModel` with a weight for every pair of items.

    Args:
        n_items: the number of items.
        inputs: see `ItemToItem`.
    """

    weights: Tensor

    def __init__(self, n_items: int, inputs: Inputs | None = None) -> None:
        super().__init__(n_items, inputs)
        # Not zeros: memory that nobody writes to costs nothing, and the weights come from elsewhere.
        self.register_buffer("weights", torch.empty(n_items, n_items))

    def sums(self, inputs: Batch) -> Float32[Tensor, "users items"]:
        """Σ_i x_i B_ij (see `ItemToItem`)."""
        return encode(self.weights, inputs.values, inputs)

    def scale(self, factor: Float32[Tensor, " items"]) -> None:
        """Multiply the columns (see `ItemToItem`)."""
        self.weights.mul_(factor)

    def weights_at(
        self, rows: Int64[Tensor, " pairs"], columns: Int64[Tensor, " pairs"]
    ) -> Float[Tensor, " pairs"]:
        """B at some pairs (see `ItemToItem`)."""
        return self.weights[rows, columns]


def linear_memory(n_items: int, interactions: int) -> int:
    """Bytes that the closed form holds at its peak: one matrix, and the inputs by user and by item."""
    return 4 * n_items**2 + 24 * interactions


def ridges(diagonal: Float[Tensor, " items"], ridge: float, power: float) -> Float[Tensor, " items"]:
    """λ (G_jj / mean G)^b; an item that nobody took counts as if one person had.

    Args:
        diagonal: G_jj.
        ridge: λ, above 0.
        power: b.
    """
    taken = diagonal[diagonal > 0]
    if not len(taken):
        return torch.full_like(diagonal, ridge)
    return ridge * (diagonal.clamp(min=float(taken.min())) / taken.mean()).pow(power)


def learn_linear(inputs: Batch, *, ridge: float, ridge_power: float = 0.0, user_power: float = 0.0) -> Linear:
    """A model with B in closed form, and no popularity term yet.

    Args:
        inputs: X of all users, on the CPU.
        ridge: λ, above 0.
        ridge_power: b.
        user_power: a.

    Raises:
        ConfigError: λ is so small that the matrix can't be factorised.
    """
    matrix = gram(weighted(inputs, user_power))
    diagonal = matrix.diagonal()
    diagonal.add_(ridges(diagonal, ridge, ridge_power))
    invert_in_place(matrix)
    matrix.div_(-matrix.diagonal().clone())
    matrix.diagonal().zero_()
    model = Linear(0)
    model.n_items, model.weights, model.popularity = len(matrix), matrix, torch.zeros(len(matrix))
    return model
