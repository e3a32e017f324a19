"""What makes lists of a rating model: who takes what up, what counts as liked, and how both are weighed."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float64
from numpy.typing import NDArray
from torch import Tensor

from refeed.config import Config
from refeed.config.interactions import MultinomialConfig
from refeed.models.interactions.choose import FittedConfig, fit_interactions, load_interactions
from refeed.models.interactions.interface import InteractionModel
from refeed.models.interface import Model
from refeed.models.liked import fit_liking
from refeed.models.liking import Liking, liking_at
from refeed.models.list_score import ListWeights, choose_list_weights
from refeed.ratings.store import Ratings

__all__ = ["ListPart", "fit_list_part"]

_VALUES = 1000
"""Distinct ratings that are kept, at most: enough to tell the next lower one from any threshold."""

_OWN = ("liked", "boundary", "quantiles", "values", "beta", "floor")


@dataclass(frozen=True, eq=False)
class ListPart:
    """The second part of a model; the first predicts ratings.

    Args:
        config: of the interaction model, every "auto" resolved.
        interactions: who takes what up.
        liking: what "liked" means, and how far ratings lie from their predictions; None for interactions
            without ratings.
        weights: β and the floor.
        values: the distinct training ratings (at most 1,000 of them), ascending.
    """

    config: FittedConfig
    interactions: InteractionModel
    liking: Liking | None
    weights: ListWeights
    values: Float64[np.ndarray, " values"]

    def liking_of(self, liked: Any) -> Liking | None:
        """The same for another threshold of what is liked, a number; None: as it is.

        Raises:
            ConfigError: no rating is as high, or it is no number.
        """
        return None if self.liking is None else liking_at(self.liking, self.values, liked)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """What the interaction model learned, by name, for runtimes without PyTorch."""
        return {name: tensor.cpu().numpy() for name, tensor in self.interactions.state_dict().items()}

    def tensors(self) -> dict[str, Tensor]:
        """All of it but the config, as tensors; `load` takes them back."""
        own: dict[str, object] = {
            "values": self.values,
            "beta": self.weights.beta,
            "floor": self.weights.floor,
        }
        if self.liking is not None:
            own |= {name: getattr(self.liking, name) for name in ("liked", "boundary", "quantiles")}
        state = {f"interactions.{name}": tensor for name, tensor in self.interactions.state_dict().items()}
        return state | {
            f"list.{name}": torch.as_tensor(value, dtype=torch.float64) for name, value in own.items()
        }

    @classmethod
    def load(cls, config: FittedConfig, n_items: int, tensors: Mapping[str, Tensor]) -> "ListPart":
        """What `tensors` gave.

        Raises:
            RuntimeError: they are not those of such a part.
        """
        state = {
            name.removeprefix("interactions."): tensor
            for name, tensor in tensors.items()
            if name.startswith("interactions.")
        }
        own = {name: tensors[f"list.{name}"].numpy() for name in _OWN if f"list.{name}" in tensors}
        liking = None
        if "quantiles" in own:
            liking = Liking(float(own["liked"]), float(own["boundary"]), own["quantiles"])
        return cls(
            config,
            load_interactions(config, n_items, state),
            liking,
            ListWeights(float(own["beta"]), float(own["floor"])),
            own["values"],
        )


def fit_list_part(
    config: Config, train: Ratings, valid: Ratings | None, model: Model, say: Callable[[str], None]
) -> ListPart | None:
    """Fit the second part of a model.

    Args:
        config: says which; without a section `interactions` there is none.
        train: the training ratings, whose pairs are the interactions; or interactions.
        valid: held-out ones, on which what is "auto" is chosen.
        model: the rating model, trained.
        say: hears what is done and why, a line at a time.

    Raises:
        ConfigError: settings that can't be used with these ratings.
    """
    if config.interactions is None or model.axis == "item":
        return None
    settings, lists = config.interactions, config.lists
    if isinstance(settings, MultinomialConfig) and "seed" not in settings.model_fields_set:
        settings = settings.model_copy(update={"seed": config.train.seed})
    if train.kind == "interactions":
        settings = settings.model_copy(update={"values": "count"})
    resolved, interactions = fit_interactions(settings, train, valid, say, seed=config.train.seed)
    values = np.unique(train.values).astype(np.float64)
    values = values[np.linspace(0, len(values) - 1, min(len(values), _VALUES)).round().astype(np.int64)]
    if train.kind == "interactions":
        return ListPart(resolved, interactions, None, ListWeights(beta=0.0), values)
    liked = None if lists.liked == "auto" else lists.liked
    liking = fit_liking(model, train, valid, liked=liked, seed=config.train.seed)
    say(f"liked: a rating of {liking.liked:g} or more")
    weights = ListWeights()
    if valid is not None and "auto" in (lists.beta, lists.floor):
        weights = choose_list_weights(interactions, model, liking, train, valid, say, seed=config.train.seed)
    return ListPart(
        resolved,
        interactions,
        liking,
        ListWeights(
            beta=weights.beta if lists.beta == "auto" else lists.beta,
            floor=weights.floor if lists.floor == "auto" else lists.floor,
        ),
        values,
    )
