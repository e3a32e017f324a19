"""A training that goes on from an earlier one's rows, item by item and person by person, by raw id."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Float64
from torch import Tensor

from refeed.models.ridge.learner import RidgeLearner
from refeed.models.ridge.model import RidgeAutoencoder
from refeed.ratings.ids import Ids

__all__ = ["WarmRidge"]


@dataclass(frozen=True, eq=False)
class WarmRidge:
    """What a ridge autoencoder has learned, to start another training from.

    The levels of items and people do not come along: they are solved anew in closed form
    (`mixed_levels.py`), and so follow the new ratings at once.

    Args:
        item_ids: of the rows.
        vectors: V; of a finished model v, which has F in it.
        implicit: Y.
        scale: s.
        doubt: a.
        deviation: of the ratings that it was trained on.
        knots: ratings, between which g is linear.
        spacing: g at the knots.
        user_ids: of the rows of F.
        users: F; None where only the finished model is left.
    """

    item_ids: Ids
    vectors: Float[Tensor, "items width"]
    implicit: Float[Tensor, "items width_and_one"]
    scale: float
    doubt: float
    deviation: float
    knots: Float64[Tensor, " knots"]
    spacing: Float[Tensor, " knots"]
    user_ids: Ids | None = None
    users: Float[Tensor, "users width"] | None = None

    @classmethod
    def of(cls, model: RidgeAutoencoder, item_ids: Ids) -> "WarmRidge":
        """Of a finished model."""
        return cls(
            item_ids,
            model.vectors,
            model.implicit,
            float(model.scale),
            float(model.doubt),
            float(model.deviation),
            model.knots,
            model.spacing,
        )

    @torch.no_grad()
    def start(self, learner: RidgeLearner) -> int:
        """Give a learner the rows of the items and people that both know; the others stay at their start.

        Returns:
            How many items have got theirs.
        """
        items = _Rows.common(learner.rows.item_ids, self.item_ids)
        items.copy(self.vectors, learner.vectors)
        items.copy(self.implicit, learner.implicit)
        shifts = np.interp(learner.knots, self.knots.cpu(), self.spacing.cpu())
        learner.spacing.copy_(torch.from_numpy(shifts * self.deviation / learner.deviation))
        learner.scale.fill_(self.scale)
        learner.log_doubt.fill_(self.doubt).log_()
        if self.users is not None and self.user_ids is not None:
            _Rows.common(learner.rows.user_ids, self.user_ids).copy(self.users, learner.users)
        learner.refresh()
        return len(items.new)


@dataclass(frozen=True, eq=False)
class _Rows:
    """Which rows are of the same id in two tables."""

    new: Tensor
    old: Tensor

    @classmethod
    def common(cls, new: Ids, old: Ids) -> "_Rows":
        found = torch.from_numpy(old.positions(new))
        return cls(torch.nonzero(found >= 0).flatten(), found[found >= 0])

    def copy(self, source: Tensor, target: Tensor) -> None:
        target[self.new.to(target.device)] = source.to(target)[self.old.to(target.device)]
