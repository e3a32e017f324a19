"""What lists are ranked by where a folder has the second part of a model: `models/list_part.py` on numpy.

score = log max(s, floor) + β log P(liked)
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refeed.errors import ModelError
from refeed.lite.taken import Taken, taken_of
from refeed.models.liking import Liking

__all__ = ["ListPart", "list_part_of"]

_LISTS, _OWN = "interactions.", "list."


@dataclass(frozen=True, eq=False)
class ListPart:
    """The second part of a model.

    Args:
        kind: of the interaction model.
        model: who takes what up; None where its kind needs PyTorch.
        liking: what "liked" means; None for interactions without ratings.
        beta: β.
        floor: the least that s counts as.
        values: the distinct training ratings, ascending.
    """

    kind: str
    model: Taken | None
    liking: Liking | None
    beta: float
    floor: float
    values: NDArray[np.float64]

    @property
    def taken(self) -> Taken:
        """Who takes what up.

        Raises:
            ModelError: that part is of a kind that needs PyTorch.
        """
        if self.model is None:
            raise ModelError(
                f"this model's lists also go by an interaction model of kind {self.kind}, and refeed.lite "
                'knows the kinds linear and local alone: say by="rating" for lists by predicted ratings, or '
                "load it with refeed.Recommender"
            )
        return self.model

    def scores(
        self, taken: NDArray[np.float32], p_liked: NDArray[np.float64], beta: float | None
    ) -> NDArray[np.float64]:
        """Log max(s, floor) + β log P(liked), [items].

        Args:
            taken: s.
            p_liked: P(liked), above 0.
            beta: β; None: what validation chose.
        """
        scores: NDArray[np.float64] = np.log(np.maximum(taken.astype(np.float64), self.floor))
        return scores + (self.beta if beta is None else beta) * np.log(p_liked)


def list_part_of(path: Path, arrays: Mapping[str, NDArray[Any]], header: Mapping[str, str]) -> ListPart:
    """The second part that interactions.safetensors holds.

    Raises:
        ModelError: it does not hold what its header says.
    """
    own = {name.removeprefix(_OWN): array for name, array in arrays.items() if name.startswith(_OWN)}
    of_model = {name.removeprefix(_LISTS): array for name, array in arrays.items() if name.startswith(_LISTS)}
    try:
        kind = str(json.loads(header["interactions"])["kind"])
        liking = None
        if "quantiles" in own:
            liking = Liking(float(own["liked"]), float(own["boundary"]), own["quantiles"])
        return ListPart(
            kind=kind,
            model=taken_of(of_model, kind),
            liking=liking,
            beta=float(own["beta"]),
            floor=float(own["floor"]),
            values=own["values"],
        )
    except (KeyError, ValueError, TypeError) as error:
        raise ModelError(f"{path} does not hold what its header says: {error}") from error
