"""A block of users' ratings as the closed form wants them, and the codes that they make.

The notation is that of `models/ridge/model.py`.
"""

from dataclasses import dataclass, fields

import torch
from jaxtyping import Float
from torch import Tensor

from refeed.models.ridge.posterior import Posterior, posterior

__all__ = ["RARE", "Places", "code_of", "in_double", "precision_of"]

RARE = 5.0
"""Ratings added to an item's count where its uncertainty is taken from it."""


@dataclass(frozen=True)
class Places:
    """A block of users' ratings as the closed form wants them, side by side (see `models/ridge/padded.py`).

    Args:
        vectors: x_j.
        residuals: r_j + g(r_j) − b_j.
        shifts: g(r_j).
        implicit: c_j = Y_j / √n_u.
        rareness: 1 / (n_j + 5).
        observed: 1 where there is a rating for the code to see, else 0.
        roots: √w_j; a regression on √w x of √w y is one on x of y in which each rating counts w.
    """

    vectors: Float[Tensor, "users places width"]
    residuals: Float[Tensor, "users places"]
    shifts: Float[Tensor, "users places"]
    implicit: Float[Tensor, "users places width"]
    rareness: Float[Tensor, "users places"]
    observed: Float[Tensor, "users places"]
    roots: Float[Tensor, "users places"]

    @classmethod
    def of(
        cls,
        found: tuple[
            Float[Tensor, "users places width_less"],
            Float[Tensor, "users places"],
            Float[Tensor, "users places width"],
        ],
        values: Float[Tensor, "users places"],
        observed: Float[Tensor, "users places"],
        *,
        shifts: Float[Tensor, "users places"],
        scale: Float[Tensor, ""],
        rareness: Float[Tensor, "users places"],
        weights: Float[Tensor, "users places"] | None = None,
    ) -> "Places":
        """Put together what is known of the places.

        Args:
            found: v, b and Y of each place's item; anything where there is no rating.
            values: standardised ratings.
            observed: as above.
            shifts: as above.
            scale: s.
            rareness: as above.
            weights: w_j; None: 1.
        """
        vectors, bias, implicit = found
        share = observed / observed.sum(dim=1, keepdim=True).clamp(min=1).sqrt()
        return cls(
            vectors=torch.cat([vectors, scale.expand(*values.shape, 1)], dim=-1),
            residuals=values + shifts - bias,
            shifts=shifts,
            implicit=implicit * share[..., None],
            rareness=rareness,
            observed=observed,
            roots=torch.ones_like(values) if weights is None else weights.sqrt(),
        )


def in_double(places: Places) -> Places:
    """The same in float64."""
    return Places(**{each.name: getattr(places, each.name).double() for each in fields(places)})


def code_of(places: Places, shrinkage: float, doubt: Float[Tensor, ""]) -> Posterior:
    """The code z of each user.

    Args:
        places: the users' ratings.
        shrinkage: λ.
        doubt: a.
    """
    return posterior(
        places.vectors * (places.observed * places.roots)[..., None],
        places.residuals * places.roots,
        pull=shrinkage * places.implicit.sum(dim=1),
        precision=precision_of(places, shrinkage, doubt),
    )


def precision_of(places: Places, shrinkage: float, doubt: Float[Tensor, ""]) -> Float[Tensor, "users width"]:
    """λ + a Σ_j 1/(n_j + 5) for all but the bias, and λ for that (arguments as of `code_of`)."""
    spread = doubt * (places.rareness * places.observed).sum(dim=1, keepdim=True)
    width = places.vectors.shape[-1]
    return shrinkage + torch.cat([spread.expand(-1, width - 1), torch.zeros_like(spread)], dim=1)
