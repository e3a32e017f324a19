"""The ridge autoencoder: the code is the closed-form posterior mean of what a user's ratings say.

Encoder and decoder are one set of item vectors. With ratings standardised, r = (rating − mean) / deviation:

    x_i = [v_i, s]                                  an item's vector, and the weight of the user's own bias
    m   = n_u^-½ Σ_j Y_j                            the prior of the code, from which items were rated at all
    A   = λ I + Σ_j w_j x_j x_jᵀ + a Σ_j 1/(n_j + 5) I₀
                                                    rarely rated items say less (I₀: all but the bias)
    y_j = r_j + g(r_j) − b_j                        what a rating says, beyond its item
    z   = A⁻¹ ( Σ_j w_j x_j y_j + λ m )             the code: ridge regression of the ratings on the vectors
    r̂_i = b_i + d_i + x_iᵀ z

with sums over the user's n_u rated items j, which n_j users rated in training. The letters in the code:

| letter | field | what it is |
|---|---|---|
| V_i | `RidgeLearner.vectors` | an item's own vector |
| F_w | `RidgeLearner.users` | what a user w adds to the vectors of the items that they rated |
| f_w | `RidgeLearner.user_bias` | what a user w adds to their biases |
| v_i | `RidgeAutoencoder.vectors` | V_i and its users' F together, after training |
| b_i | `RidgeAutoencoder.bias` | an item's bias, standardised |
| d_i | `RidgeAutoencoder.drift` | how far it has moved at the end of training |
| Y_j | `RidgeAutoencoder.implicit` | implicit vectors: what having rated j at all says of a user |
| g(r) | `RidgeAutoencoder.knots`, `.spacing` | how far the code sees a rating from where its number is |
| w_j | `RidgeAutoencoder.rating_weights` | what a rating of the item counts: 1 while training |
| τ_i² | `RidgeAutoencoder.rating_noise` | the variance of its ratings' noise, as part of that of all |
| s | `RidgeAutoencoder.scale` | weight of the user's own bias, the last entry of x |
| b0_i | `RidgeLearner.bias` | an item's own bias |
| λ, a | `shrinkage`, `doubt` | the prior's precision; how much less rare items say |
| n_j, 1/(n_j + 5) | `counts`, `Places.rareness` | |
| x_j, y_j | `Places.vectors`, `Places.residuals` | |
| m | `Places.implicit`, summed | the prior's mean |
| A | `precision_of` plus Σ w x xᵀ | the posterior's precision; A⁻¹ is `Posterior.covariance` |
| z | `Posterior.mean` | the code |

How v, b, Y, s and a are learned is `learner.py`, from the levels of `mixed_levels.py` on; what levels of
the scale say, g, is `spacing.py`; how far an item has moved since, d, is `drift.py`; how noisy its ratings
are, τ and w, is `item_noise.py`. As z is linear in the y_j, a prediction is a sum of one part for each of
them (`explain`); and as it is a posterior mean, it comes with a predictive standard deviation
(`predictive_std`).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float, Float32, Float64, Int64
from numpy.typing import NDArray
from torch import Tensor, nn

from refeed.config import RidgeConfig
from refeed.models.intervals import LEVELS
from refeed.models.ridge.padded import Padded, padded
from refeed.models.ridge.places import RARE, Places, code_of, in_double, precision_of
from refeed.models.ridge.posterior import Posterior, leave_one_out, leverages
from refeed.models.ridge.spacing import shift_at
from refeed.ratings.store import Ratings

__all__ = ["LeftOut", "RidgeAutoencoder"]

_USERS_AT_ONCE = 4096
_PAIRS_AT_ONCE = 1 << 16
_CODES_AT_ONCE = 256  # that are held as matrices
_PAIRS_A_PRODUCT = 1 << 12  # of one user: bounds what x and A⁻¹ x take beside each other

_Some = slice | Int64[Tensor, " some"]
"""Positions of items."""


@dataclass(frozen=True)
class LeftOut:
    """What some ratings are predicted to be from their users' others.

    Args:
        at: which ratings.
        errors: how far they lie above that, in units of ratings.
        leverages: xᵀA⁻¹x of the codes that predict them.
    """

    at: Int64[np.ndarray, " some"]
    errors: Float64[np.ndarray, " some"]
    leverages: Float64[np.ndarray, " some"]


class RidgeAutoencoder(nn.Module):
    """A `Model`: what prediction needs, and nothing of the training.

    Args:
        config: width and λ.
        n_items: the number of items.
    """

    axis: Literal["user", "item"] = "user"
    folds_in = True
    mean: Tensor
    deviation: Tensor
    vectors: Tensor
    bias: Tensor
    drift: Tensor
    implicit: Tensor
    scale: Tensor
    doubt: Tensor
    counts: Tensor
    rating_weights: Tensor
    rating_noise: Tensor
    knots: Tensor
    spacing: Tensor
    quantiles: Tensor
    completed: Tensor

    def __init__(self, config: RidgeConfig, n_items: int) -> None:
        super().__init__()
        if config.width == "auto":
            raise ValueError(
                "width = auto: it must be resolved from the training ratings first (models/ridge/auto.py)"
            )
        self.config = config
        self.n_items = n_items
        self.register_buffer("mean", torch.zeros((), dtype=torch.float64))
        self.register_buffer("deviation", torch.ones((), dtype=torch.float64))
        self.register_buffer("vectors", torch.zeros(n_items, config.width))
        self.register_buffer("bias", torch.zeros(n_items))
        self.register_buffer("drift", torch.zeros(n_items))
        self.register_buffer("implicit", torch.zeros(n_items, config.width + 1))
        self.register_buffer("scale", torch.zeros(()))
        self.register_buffer("doubt", torch.zeros(()))
        self.register_buffer("counts", torch.zeros(n_items, dtype=torch.int64))
        self.register_buffer("rating_weights", torch.ones(n_items))
        self.register_buffer("rating_noise", torch.ones(n_items))
        # g is `spacing` at the ratings `knots`, standardised, and linear in between.
        self.register_buffer("knots", torch.zeros(1, dtype=torch.float64))
        self.register_buffer("spacing", torch.zeros(1))
        self.register_buffer("quantiles", torch.zeros(len(LEVELS), dtype=torch.float64))
        # Whether what can be done only after training is done (`RidgeLearner.complete`).
        self.register_buffer("completed", torch.zeros((), dtype=torch.bool))

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *rest: Any) -> None:
        """As any module, but weights of before these were there are read, too."""
        for name in ("completed", "rating_weights", "rating_noise", "knots", "spacing"):
            state_dict.setdefault(f"{prefix}{name}", getattr(self, name))
        for name in ("knots", "spacing"):  # as many as the ratings had levels
            setattr(self, name, getattr(self, name).new_zeros(state_dict[f"{prefix}{name}"].shape))
        super()._load_from_state_dict(state_dict, prefix, *rest)

    # ------------------------------------------------------------------ codes

    def codes(self, histories: Ratings, users: Int64[np.ndarray, " users"]) -> Posterior:
        """The codes of some users, from their histories."""
        indptr, items, values = histories.rows(users)
        width = self.vectors.shape[1] + 1
        mean = self.vectors.new_zeros(len(users), width)
        covariance = self.vectors.new_zeros(len(users), width, width)
        for block in padded(indptr):
            # In float64 from the sums on, or what a code is would depend on the order of a long history's
            # sums in the sixth digit, and so on the runtime (`refeed.lite`, ONNX).
            code = code_of(in_double(self._places(block, items, values)), self.config.shrinkage, self.doubt)
            rows = torch.from_numpy(block.users)
            mean[rows], covariance[rows] = code.mean.to(mean), code.covariance.to(mean)
        return Posterior(mean, covariance)

    def _places(self, block: Padded, items: NDArray[np.int32], values: NDArray[np.float32]) -> Places:
        # Rows are looked up in each table before they are put together: a call costs what the histories cost.
        like = self.vectors
        ratings = torch.from_numpy(block.of(values))
        standardised = (ratings - float(self.mean)) / float(self.deviation)
        rated = torch.from_numpy(block.of(items).astype(np.int64)).to(like.device)
        return Places.of(
            (self.vectors[rated], self.bias[rated], self.implicit[rated]),
            standardised.to(like),
            torch.from_numpy(block.rated).to(like),
            shifts=shift_at(ratings.to(self.knots), self.knots, self.spacing.to(self.knots)).to(like),
            scale=self.scale,
            rareness=1 / (self.counts[rated].to(like.dtype) + RARE),
            weights=self.rating_weights[rated],
        )

    def _decoder(self, items: _Some = slice(None)) -> Float[Tensor, "some width"]:
        """x_i of some items, or of all."""
        vectors = self.vectors[items]
        return torch.cat([vectors, self.scale.expand(len(vectors), 1)], dim=1)

    def levels(self, items: _Some = slice(None)) -> Float[Tensor, " some"]:
        """What is predicted of somebody who is unknown, standardised: b_i + d_i of some items, or of all."""
        return self.bias[items] + self.drift[items]

    # ------------------------------------------------------------------ predictions

    @torch.no_grad()
    def predict(
        self, histories: Ratings, users: Int64[np.ndarray, " pairs"], items: Int64[np.ndarray, " pairs"]
    ) -> Float64[np.ndarray, " pairs"]:
        """The predicted rating of each pair (see `Model`); costs what the histories and the pairs cost."""
        predicted = np.empty(len(users))
        for pairs, code, owners in self._by_code(histories, users):
            of_pairs = torch.from_numpy(items[pairs])
            products = (self._decoder(of_pairs) * code.mean[torch.from_numpy(owners)]).sum(dim=1)
            predicted[pairs] = (products + self.levels(of_pairs)).cpu().double().numpy()
        ratings: Float64[np.ndarray, " pairs"] = predicted * float(self.deviation) + float(self.mean)
        return ratings

    @torch.no_grad()
    def predictive_std(
        self, histories: Ratings, users: Int64[np.ndarray, " pairs"], items: Int64[np.ndarray, " pairs"]
    ) -> Float64[np.ndarray, " pairs"]:
        """√(τ² + xᵀ A⁻¹ x) of each pair (see `Uncertain`): noise, and what isn't known of the user."""
        spreads = np.empty(len(users))
        for pairs, code, owners in self._by_code(histories, users):
            # A user's pairs side by side, so that A⁻¹ is there once for all of them.
            for block in padded(_runs(owners), entries=_PAIRS_AT_ONCE // 8):
                vectors = self._decoder(torch.from_numpy(items[pairs[block.places]]).flatten())
                vectors = vectors.view(*block.places.shape, -1)
                own = torch.from_numpy(owners[block.places[:, 0]])
                of_block = ((vectors @ code.covariance[own]) * vectors).sum(dim=-1).cpu().double().numpy()
                spreads[pairs[block.places[block.rated]]] = of_block[block.rated]
        noise = self.rating_noise[torch.from_numpy(items)].cpu().double().numpy()
        predictive_std: Float64[np.ndarray, " pairs"] = np.sqrt(noise + spreads)
        return predictive_std

    @torch.no_grad()
    def predictive_std_all(
        self, histories: Ratings, users: Int64[np.ndarray, " users"]
    ) -> Float32[np.ndarray, "users items"]:
        """√(τ² + xᵀ A⁻¹ x) of all items for each of the users (see `Uncertain`)."""
        std = np.empty((len(users), self.n_items), dtype=np.float32)
        decoder = self._decoder()
        for first in range(0, len(users), _CODES_AT_ONCE):
            covariance = self.codes(histories, users[first : first + _CODES_AT_ONCE]).covariance
            some = leverages(covariance.to(decoder), decoder).add_(self.rating_noise).sqrt_()
            std[first : first + len(some)] = some.cpu().numpy()
        return std

    def item_noise(self) -> Float32[np.ndarray, " items"]:
        """τ² of each item (see `Uncertain`)."""
        noise: Float32[np.ndarray, " items"] = self.rating_noise.detach().cpu().float().numpy()
        return noise

    def _by_code(
        self, histories: Ratings, users: Int64[np.ndarray, " pairs"]
    ) -> Iterator[tuple[NDArray[np.int64], Posterior, NDArray[np.int64]]]:
        """Pairs by blocks of their users: which pairs, the users' codes, and which code each pair has."""
        each, owners = np.unique(users, return_inverse=True)
        order = np.argsort(owners, kind="stable")
        bounds = np.searchsorted(owners[order], np.arange(0, len(each) + _USERS_AT_ONCE, _USERS_AT_ONCE))
        for number, first in enumerate(range(0, len(each), _USERS_AT_ONCE)):
            code = self.codes(histories, each[first : first + _USERS_AT_ONCE])
            for start in range(bounds[number], bounds[number + 1], _PAIRS_AT_ONCE):
                pairs = order[start : min(start + _PAIRS_AT_ONCE, bounds[number + 1])]
                yield pairs, code, owners[pairs] - first

    @torch.no_grad()
    def predict_all(
        self, histories: Ratings, users: Int64[np.ndarray, " users"]
    ) -> Float32[np.ndarray, "users items"]:
        """The predicted ratings of all items by each of the users (see `Model`)."""
        predicted = np.empty((len(users), self.n_items), dtype=np.float32)
        for at, block in enumerate(self.predict_blocks(histories, users, _USERS_AT_ONCE)):
            predicted[at * _USERS_AT_ONCE : at * _USERS_AT_ONCE + len(block)] = block.cpu().numpy()
        return predicted

    @torch.no_grad()
    def predict_blocks(
        self, histories: Ratings, users: Int64[np.ndarray, " users"], size: int
    ) -> Iterator[Float32[Tensor, "block items"]]:
        """The rows of `predict_all`, `size` users at a time (see `InBlocks`)."""
        deviation, decoder = float(self.deviation), self._decoder().t()
        level = self.levels() * deviation + float(self.mean)
        for first in range(0, len(users), size):
            code = self.codes(histories, users[first : first + size]).mean
            yield torch.addmm(level, code, decoder, alpha=deviation).float()

    @torch.no_grad()
    def leave_one_out(self, histories: Ratings) -> Iterator[LeftOut]:
        """How far each rating lies above what its user's others predict: all ratings, some at a time.

        Items are as they were, d left out; the prior keeps its precision, and the other ratings their weights
        n_u^-½ in its mean m.
        """
        for block in padded(histories.indptr):
            places = self._places(block, histories.items, histories.values)
            shrinkage = self.config.shrinkage
            of_block = leave_one_out(
                places.vectors * places.roots[..., None],
                places.residuals * places.roots,
                shrinkage * places.implicit,
                precision_of(places, shrinkage, self.doubt),
                places.observed,
            )
            errors, leverages = (
                each.cpu().double().numpy()[block.rated]
                for each in (of_block[0] / places.roots - places.shifts, of_block[1] / places.roots.square())
            )
            yield LeftOut(block.places[block.rated], errors * float(self.deviation), leverages)

    def item_vectors(self) -> Float32[np.ndarray, "items width"]:
        """v_i of each item."""
        vectors: Float32[np.ndarray, "items width"] = self.vectors.detach().cpu().float().numpy()
        return vectors

    # ------------------------------------------------------------------ explanations

    @torch.no_grad()
    def explain(
        self, histories: Ratings, user: int, item: int
    ) -> tuple[float, Float64[np.ndarray, " ratings"]]:
        """A prediction as a sum: the item's level, and a part for each rating of the user's, in their order.

        The part of a rating j is deviation · xᵢᵀ A⁻¹ ( w_j x_j y_j + λ Y_j / √n_u ): what its value
        says, and what it says that the user rated the item at all.
        """
        indptr, items, values = histories.rows(np.array([user]))
        of_item = torch.tensor([item])
        level = float(self.levels(of_item)) * float(self.deviation) + float(self.mean)
        (block,) = padded(indptr, entries=max(len(items), 1))
        places = in_double(self._places(block, items, values))
        code = code_of(places, self.config.shrinkage, self.doubt)
        asked = self._decoder(of_item)[0].double() @ code.covariance[0]
        values_say = places.vectors[0] * (places.residuals * places.roots.square())[0][:, None]
        told = values_say + self.config.shrinkage * places.implicit[0]
        parts: Float64[np.ndarray, " ratings"] = (told @ asked).cpu().double().numpy()
        return level, parts[: len(items)] * float(self.deviation)


def _runs(owners: Int64[np.ndarray, " pairs"]) -> Int64[np.ndarray, " bounds"]:
    """Where stretches of pairs of the same owner start, none of them too long, and the end of the last."""
    starts = np.concatenate([np.flatnonzero(np.diff(owners, prepend=-1)), [len(owners)]])
    cut = [np.arange(first, last, _PAIRS_A_PRODUCT) for first, last in pairwise(starts.tolist())]
    return np.concatenate([*cut, starts[-1:]])
