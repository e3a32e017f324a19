"""One forward pass over a batch of histories, with all that answers are made of.

For ridge autoencoders the codes are solved for once, and predictions, spreads and parts all come from them;
`Model`'s own methods would solve again for each. Every other model is asked by its own methods.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float, Float32, Float64, Int64
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import embedding
from torch.nn.utils.rnn import pad_sequence

from refeed.models.ensemble import RidgeEnsemble
from refeed.models.explaining import Explaining
from refeed.models.interface import Model
from refeed.models.intervals import Uncertain
from refeed.models.ridge.model import RARE, Places, RidgeAutoencoder, code_of, in_double
from refeed.models.ridge.padded import padded
from refeed.ratings.store import Ratings

__all__ = ["Details", "Fold", "Pass", "make_pass"]


@dataclass(frozen=True)
class Details:
    """More about some predictions of some people, a row each.

    Args:
        predictions: not clipped.
        spread: `Uncertain.predictive_std`; None if the model doesn't know how sure it is.
        levels: what would be predicted of somebody unknown; None if predictions are no sums, or nobody asked.
        parts: what each rating of the person adds to each prediction, 0 beyond their last; likewise.
    """

    predictions: Float32[np.ndarray, "people lines"]
    spread: Float64[np.ndarray, "people lines"] | None
    levels: Float64[np.ndarray, "people lines"] | None
    parts: Float32[np.ndarray, "people lines longest"] | None


@runtime_checkable
class Fold(Protocol):
    """What a pass found of a batch of people."""

    @property
    def predictions(self) -> Float32[np.ndarray, "people items"]:
        """Of all items, not clipped; made when first asked for."""
        ...

    def details(
        self, rows: Int64[np.ndarray, " people"], items: Int64[np.ndarray, "people lines"], *, parts: bool
    ) -> Details:
        """More about some predictions.

        Args:
            rows: of the people in the batch.
            items: of each of them, positions.
            parts: whether levels and parts are wanted, too.
        """
        ...


@runtime_checkable
class Pass(Protocol):
    """From histories to a `Fold`.

    Attributes:
        quantiles: those of the model (`Uncertain`), or None.
    """

    quantiles: Float64[np.ndarray, " levels"] | None

    def __call__(self, histories: Ratings) -> Fold:
        """Fold people in."""
        ...


def make_pass(model: Model) -> Pass:
    """The cheapest pass of a model."""
    if isinstance(model, RidgeAutoencoder):
        return _RidgePass([model])
    if isinstance(model, RidgeEnsemble):
        return _RidgePass(model.ridges())
    return _ModelPass(model)


def _quantiles(model: object) -> NDArray[np.float64] | None:
    if not isinstance(model, Uncertain) or not bool(model.quantiles.any()):
        return None
    found: NDArray[np.float64] = model.quantiles.cpu().numpy().astype(np.float64)
    return found


# ------------------------------------------------------------------ any model


class _ModelFold:
    def __init__(self, model: Model, histories: Ratings) -> None:
        self._model, self._histories = model, histories
        self.predictions = model.predict_all(histories, np.arange(histories.n_users))

    @torch.inference_mode()
    def details(
        self, rows: Int64[np.ndarray, " people"], items: Int64[np.ndarray, "people lines"], *, parts: bool
    ) -> Details:
        model, spread = self._model, None
        if isinstance(model, Uncertain) and bool(model.quantiles.any()):
            flat = model.predictive_std(self._histories, np.repeat(rows, items.shape[1]), items.reshape(-1))
            spread = flat.reshape(items.shape)
        predictions = self.predictions[rows[:, None], items]
        if not (parts and isinstance(model, Explaining)):
            return Details(predictions, spread, None, None)
        longest = int(self._histories.user_counts[rows].max(initial=0))
        levels, added = np.empty(items.shape), np.zeros((*items.shape, longest), dtype=np.float32)
        for at, row in enumerate(rows.tolist()):
            for number, item in enumerate(items[at].tolist()):
                levels[at, number], adds = model.explain(self._histories, row, item)
                added[at, number, : len(adds)] = adds
        return Details(predictions, spread, levels, added)


class _ModelPass:
    def __init__(self, model: Model) -> None:
        self._model = model
        self.quantiles = _quantiles(model)

    @torch.inference_mode()
    def __call__(self, histories: Ratings) -> _ModelFold:
        return _ModelFold(self._model, histories)


# ------------------------------------------------------------------ ridge autoencoders


class _Ridge:
    """What of a ridge autoencoder does not change from batch to batch."""

    def __init__(self, model: RidgeAutoencoder) -> None:
        self.model = model
        self.table = torch.cat([model.vectors, model.bias[:, None], model.implicit], dim=1)
        self.decoder = torch.cat([model.vectors, model.scale.expand(model.n_items, 1)], dim=1)
        self.transposed = self.decoder.t().contiguous()
        self.deviation, self.mean = float(model.deviation), float(model.mean)
        self.level = model.levels() * self.deviation + self.mean
        self.rareness = 1 / (model.counts.to(model.vectors.dtype) + RARE)


class _Codes:
    """The codes of a batch, from one ridge autoencoder, and what each rating says of them."""

    def __init__(self, ridge: _Ridge, histories: Ratings) -> None:
        self.ridge, n = ridge, histories.n_users
        model, width = ridge.model, ridge.decoder.shape[1]
        self.mean = ridge.table.new_zeros(n, width)
        self.covariance = ridge.table.new_zeros(n, width, width)
        self._told: list[Tensor] = [ridge.table.new_zeros(0, width)] * n
        for block in padded(histories.indptr):
            standardised = (block.of(histories.values) - ridge.mean) / ridge.deviation
            rated = torch.from_numpy(block.of(histories.items).astype(np.int64))
            found = embedding(rated, ridge.table)
            places = Places.of(
                (found[..., : width - 1], found[..., width - 1], found[..., width:]),
                torch.from_numpy(standardised).to(ridge.table),
                torch.from_numpy(block.rated).to(ridge.table),
                scale=model.scale,
                rareness=ridge.rareness[rated],
            )
            code = code_of(in_double(places), model.config.shrinkage, model.doubt)
            rows = torch.from_numpy(block.users)
            self.mean[rows] = code.mean.to(self.mean)
            self.covariance[rows] = code.covariance.to(self.covariance)
            told = places.vectors * places.residuals[..., None] + model.config.shrinkage * places.implicit
            for row, count, of_row in zip(
                block.users.tolist(), block.rated.sum(axis=1).tolist(), told, strict=True
            ):
                self._told[row] = of_row[:count]

    def details(
        self, rows: Int64[Tensor, " people"], items: Int64[Tensor, "people lines"], *, parts: bool
    ) -> tuple[Tensor, Tensor, Tensor, Tensor | None]:
        """The predictions, the spreads, the levels, and the parts (see `Details`)."""
        ridge, vectors = self.ridge, embedding(items, self.ridge.decoder)
        levels, asked = ridge.level[items], vectors @ self.covariance[rows]
        own = (vectors @ self.mean[rows, :, None])[..., 0]
        predictions = torch.add(levels, own, alpha=ridge.deviation)
        spread = ((asked * vectors).sum(dim=2).double() + 1).sqrt()
        if not parts:
            return predictions, spread, levels, None
        told = pad_sequence([self._told[row] for row in rows.tolist()], batch_first=True)
        return predictions, spread, levels, (asked @ told.transpose(1, 2)) * ridge.deviation

    @torch.inference_mode()
    def predictions(self) -> Float[Tensor, "people items"]:
        """Of all items."""
        ridge = self.ridge
        return torch.addmm(ridge.level, self.mean, ridge.transposed, alpha=ridge.deviation)


class _RidgeFold:
    """The means over the members of what each one says."""

    def __init__(self, ridges: list[_Ridge], histories: Ratings) -> None:
        self._codes = [_Codes(ridge, histories) for ridge in ridges]
        self._sure = bool(ridges[0].model.quantiles.any())

    @cached_property
    def predictions(self) -> Float32[np.ndarray, "people items"]:
        """Of all items."""
        found: NDArray[np.float32] = _mean([codes.predictions() for codes in self._codes]).float().numpy()
        return found

    @torch.inference_mode()
    def details(
        self, rows: Int64[np.ndarray, " people"], items: Int64[np.ndarray, "people lines"], *, parts: bool
    ) -> Details:
        at, of = torch.from_numpy(rows), torch.from_numpy(items)
        predictions, spread, levels, added = zip(
            *(codes.details(at, of, parts=parts) for codes in self._codes), strict=True
        )
        return Details(
            predictions=_mean(predictions).float().numpy(),
            spread=_mean(spread).numpy() if self._sure else None,
            levels=_mean(levels).double().numpy() if parts else None,
            parts=_mean(added).float().numpy() if parts else None,
        )


def _mean(each: Sequence[Tensor]) -> Tensor:
    return each[0] if len(each) == 1 else torch.stack(tuple(each)).mean(dim=0)


class _RidgePass:
    def __init__(self, models: list[RidgeAutoencoder]) -> None:
        self._ridges = [_Ridge(model) for model in models]
        self.quantiles = (
            np.mean([model.quantiles.cpu().numpy() for model in models], axis=0)
            if bool(models[0].quantiles.any())
            else None
        )

    @torch.inference_mode()
    def __call__(self, histories: Ratings) -> _RidgeFold:
        return _RidgeFold(self._ridges, histories)
