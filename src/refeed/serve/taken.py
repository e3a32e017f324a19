"""Why people take things up: an interaction model's scores as sums, for the lists of a batch of people.

`InteractionModel.explain` takes one pair at a time; a list has ten or more, and many lists are made at once.
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float32, Float64, Int64

from refeed.models.interactions.interface import InteractionModel
from refeed.models.interactions.item_to_item import ItemToItem
from refeed.ratings.store import Ratings

__all__ = ["TakenSums", "is_quick", "taken_sums"]


@dataclass(frozen=True, eq=False)
class TakenSums:
    """Scores as sums: `everybody` + Σ `parts`.

    Args:
        everybody: what everybody gets: the items' popularity.
        parts: what each item of the person's history adds, in its order; 0 beyond their last.
    """

    everybody: Float64[np.ndarray, "people lines"]
    parts: Float32[np.ndarray, "people lines longest"]

    @property
    def scores(self) -> Float64[np.ndarray, "people lines"]:
        """The sums."""
        total: Float64[np.ndarray, "people lines"] = self.everybody + self.parts.sum(axis=2, dtype=np.float64)
        return total


def is_quick(model: InteractionModel) -> bool:
    """Whether a score is a sum by itself; where it is none, its parts take many passes."""
    return isinstance(model, ItemToItem)


@torch.no_grad()
def taken_sums(
    model: InteractionModel,
    histories: Ratings,
    rows: Int64[np.ndarray, " people"],
    items: Int64[np.ndarray, "people lines"],
) -> TakenSums:
    """The scores of some items of each of some people, as sums.

    Args:
        model: who takes what up.
        histories: of all people.
        rows: of these people in it.
        items: positions.
    """
    everybody = np.zeros(items.shape)
    parts = np.zeros((*items.shape, int(histories.user_counts[rows].max(initial=0))), dtype=np.float32)
    if not isinstance(model, ItemToItem):
        for at, row in enumerate(rows.tolist()):
            for line, item in enumerate(items[at].tolist()):
                everybody[at, line], adds = model.explain(histories, row, item)
                parts[at, line, : len(adds)] = adds
        return TakenSums(everybody, parts)
    batch = model.inputs.batch(histories, rows, model.popularity.device)
    everybody[:] = model.popularity.double().cpu().numpy()[items]
    bounds = batch.indptr.tolist()
    for at in range(len(rows)):
        rated, values = (of[bounds[at] : bounds[at + 1]] for of in (batch.items.long(), batch.values))
        columns = torch.from_numpy(items[at]).to(rated.device)
        weights = model.weights_at(rated.repeat(len(columns)), columns.repeat_interleave(len(rated)))
        parts[at, :, : len(rated)] = (weights.view(len(columns), -1) * values).float().cpu().numpy()
    return TakenSums(everybody, parts)
