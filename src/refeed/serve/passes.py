"""One forward pass over a batch of histories, with all that answers are made of.

For ridge autoencoders the codes are solved for once, and predictions, spreads and parts all come from them;
`Model`'s own methods would solve again for each. Every other model is asked by its own methods.
"""

from typing import Protocol

import numpy as np
import torch
from jaxtyping import Float32, Float64, Int64
from numpy.typing import NDArray
from torch import Tensor

from refeed.models.ensemble import RidgeEnsemble
from refeed.models.explaining import Explaining
from refeed.models.interface import Model
from refeed.models.intervals import Uncertain
from refeed.models.ridge.model import RARE, Places, RidgeAutoencoder, code_of
from refeed.models.ridge.padded import padded
from refeed.ratings.store import Ratings

__all__ = ["Fold", "Pass", "make_pass"]

Parts = tuple[Float64[np.ndarray, " lines"], Float64[np.ndarray, "lines rated"]]
"""Of some items' predictions: the level of each, and what each rating of the person adds to it."""


class Fold(Protocol):
    """What a pass found of a batch of people, by their row in it.

    Attributes:
        predictions: of all items, not clipped.
    """

    predictions: Float32[np.ndarray, "people items"]

    def rated(self, row: int) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """Positions and values of a person's ratings, in the order of `parts`."""
        ...

    def spread(self, row: int, items: Int64[np.ndarray, " lines"]) -> Float64[np.ndarray, " lines"] | None:
        """`Uncertain.predictive_std`; None if the model doesn't know how sure it is."""
        ...

    def parts(self, row: int, items: Int64[np.ndarray, " lines"]) -> Parts | None:
        """The predictions as sums; None if they are none."""
        ...


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


class _Rows:
    """What every fold knows: the histories."""

    def __init__(self, histories: Ratings, predictions: NDArray[np.float32]) -> None:
        self._histories, self.predictions = histories, predictions

    def _bounds(self, row: int) -> slice:
        return slice(int(self._histories.indptr[row]), int(self._histories.indptr[row + 1]))

    def rated(self, row: int) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        bounds = self._bounds(row)
        return self._histories.items[bounds], self._histories.values[bounds]


# ------------------------------------------------------------------ any model


class _ModelFold(_Rows):
    def __init__(self, model: Model, histories: Ratings) -> None:
        super().__init__(histories, model.predict_all(histories, np.arange(histories.n_users)))
        self._model = model

    def spread(self, row: int, items: Int64[np.ndarray, " lines"]) -> NDArray[np.float64] | None:
        model = self._model
        if not isinstance(model, Uncertain):
            return None
        spread: NDArray[np.float64] = model.predictive_std(self._histories, np.full(len(items), row), items)
        return spread

    def parts(self, row: int, items: Int64[np.ndarray, " lines"]) -> Parts | None:
        model = self._model
        if not isinstance(model, Explaining):
            return None
        found = [model.explain(self._histories, row, item) for item in items.tolist()]
        return np.array([level for level, _ in found]), np.array([adds for _, adds in found])


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
    """The codes of a batch, from one ridge autoencoder."""

    def __init__(self, ridge: _Ridge, histories: Ratings) -> None:
        self.ridge, n = ridge, histories.n_users
        model, width = ridge.model, ridge.decoder.shape[1]
        self.mean = ridge.table.new_zeros(n, width)
        self.covariance = ridge.table.new_zeros(n, width, width)
        self.told: list[Tensor] = [ridge.table.new_zeros(0, width)] * n
        for block in padded(histories.indptr):
            standardised = (block.of(histories.values) - ridge.mean) / ridge.deviation
            places = Places.gather(
                ridge.table,
                torch.from_numpy(block.of(histories.items).astype(np.int64)),
                torch.from_numpy(standardised).to(ridge.table),
                torch.from_numpy(block.rated).to(ridge.table),
                scale=model.scale,
                rareness=ridge.rareness,
            )
            code = code_of(places, model.config.shrinkage, model.doubt)
            rows = torch.from_numpy(block.users)
            self.mean[rows], self.covariance[rows] = code.mean, code.covariance
            told = places.vectors * places.residuals[..., None] + model.config.shrinkage * places.implicit
            for at, row in enumerate(block.users.tolist()):
                self.told[row] = told[at, : int(histories.indptr[row + 1] - histories.indptr[row])]


class _RidgeFold(_Rows):
    """The means over the members of what each one says."""

    def __init__(self, ridges: list[_Ridge], histories: Ratings) -> None:
        self._codes = [_Codes(ridge, histories) for ridge in ridges]
        total = torch.zeros(())
        for codes in self._codes:
            ridge = codes.ridge
            total = total + torch.addmm(ridge.level, codes.mean, ridge.transposed, alpha=ridge.deviation)
        super().__init__(histories, (total / len(ridges)).float().numpy())

    @torch.inference_mode()
    def spread(self, row: int, items: Int64[np.ndarray, " lines"]) -> NDArray[np.float64]:
        found = []
        for codes in self._codes:
            vectors = codes.ridge.decoder[torch.from_numpy(items)]
            leverage = ((vectors @ codes.covariance[row]) * vectors).sum(dim=1)
            found.append(np.sqrt(1 + leverage.double().numpy()))
        mean: NDArray[np.float64] = np.mean(found, axis=0)
        return mean

    @torch.inference_mode()
    def parts(self, row: int, items: Int64[np.ndarray, " lines"]) -> Parts:
        levels, parts = [], []
        at = torch.from_numpy(items)
        for codes in self._codes:
            ridge = codes.ridge
            asked = ridge.decoder[at] @ codes.covariance[row]
            levels.append(ridge.level[at].double().numpy())
            parts.append((asked @ codes.told[row].t()).double().numpy() * ridge.deviation)
        return np.mean(levels, axis=0), np.mean(parts, axis=0)


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
