"""Models that need PyTorch: whatever `TrainedModel` loads, asked by its own methods."""

from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float32, Float64, Int64
from numpy.typing import NDArray

from refeed.errors import ModelError
from refeed.lite.ridge import ridges_of
from refeed.lite.taken import taken_of
from refeed.models.ensemble import RidgeEnsemble
from refeed.models.explaining import Explaining
from refeed.models.interactions.interface import InteractionModel
from refeed.models.interface import Model
from refeed.models.intervals import Uncertain
from refeed.models.list_part import ListPart
from refeed.models.ridge.model import RidgeAutoencoder
from refeed.ratings.store import Ratings
from refeed.serve.loaded import Loaded
from refeed.serve.passes import Details, Pass, RidgePass
from refeed.serve.taken import InteractionScorer, ItemToItemScorer, Lists, TakenSums
from refeed.trained_model import TrainedModel

__all__ = ["AnyScorer", "ModelPass", "load_any"]


def load_any(run: Path) -> Loaded:
    """Read and check a model folder of any kind.

    Raises:
        ModelError: see `load`; or it knows the users of its training only.
        StoreError: its `history/` is damaged.
    """
    trained = TrainedModel.load(run)
    model = trained.model
    if not model.folds_in:
        raise ModelError(
            f"{run} holds a model of kind {trained.config.model.kind}, which knows the users of its training "
            "only and can't be served; train one that folds in, such as the default recipe"
        )
    return Loaded(
        kind=trained.config.model.kind,
        learned_from=trained.kind,
        items=trained.items,
        scale=trained.scale,
        histories=trained.histories,
        fold=_pass(model),
        lists=None if trained.lists is None else _lists(trained.lists),
        vectors=model.item_vectors,
    )


def _pass(model: Model) -> Pass:
    """Of a ridge autoencoder on numpy, though it came by PyTorch for the sake of its other part."""
    if not isinstance(model, RidgeAutoencoder | RidgeEnsemble):
        return ModelPass(model)
    one = model if isinstance(model, RidgeAutoencoder) else model.ridges()[0]
    arrays = {name: tensor.cpu().numpy() for name, tensor in model.state_dict().items()}
    return RidgePass(ridges_of(arrays, one.config.shrinkage))


def _lists(part: ListPart) -> Lists:
    sums = taken_of(part.arrays(), part.config.kind)
    scorer: InteractionScorer = AnyScorer(part.interactions) if sums is None else ItemToItemScorer(sums)
    return Lists(scorer, part.liking, part.weights.beta, part.weights.floor, part.values)


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
        predictions = self.predictions[rows[:, None], items].astype(np.float64)
        if not (parts and isinstance(model, Explaining)):
            return Details(predictions, spread, None, None)
        longest = int(self._histories.user_counts[rows].max(initial=0))
        levels, added = np.empty(items.shape), np.zeros((*items.shape, longest), dtype=np.float32)
        for at, row in enumerate(rows.tolist()):
            for number, item in enumerate(items[at].tolist()):
                levels[at, number], adds = model.explain(self._histories, row, item)
                added[at, number, : len(adds)] = adds
        return Details(predictions, spread, levels, added)


class ModelPass:
    """Of any model (see `Pass`).

    Args:
        model: folds in.
    """

    def __init__(self, model: Model) -> None:
        self._model = model
        self.quantiles: NDArray[np.float64] | None = None
        if isinstance(model, Uncertain) and bool(model.quantiles.any()):
            self.quantiles = model.quantiles.cpu().numpy().astype(np.float64)

    @torch.inference_mode()
    def __call__(self, histories: Ratings) -> _ModelFold:
        """Fold people in."""
        return _ModelFold(self._model, histories)


class AnyScorer:
    """Any interaction model (see `InteractionScorer`).

    Args:
        model: scores.
    """

    quick = False

    def __init__(self, model: InteractionModel) -> None:
        self._model = model

    @torch.inference_mode()
    def scores(
        self, histories: Ratings, rows: Int64[np.ndarray, " people"]
    ) -> Float32[np.ndarray, "people items"]:
        """See `InteractionScorer`."""
        (scores,) = self._model.score_blocks(histories, rows, len(rows))
        found: NDArray[np.float32] = scores.cpu().numpy()
        return found

    @torch.inference_mode()
    def sums(
        self, histories: Ratings, rows: Int64[np.ndarray, " people"], items: Int64[np.ndarray, "people lines"]
    ) -> TakenSums:
        """See `InteractionScorer`."""
        longest = int(histories.user_counts[rows].max(initial=0))
        everybody: Float64[np.ndarray, "people lines"] = np.zeros(items.shape)
        parts = np.zeros((*items.shape, longest), dtype=np.float32)
        for at, row in enumerate(rows.tolist()):
            for line, item in enumerate(items[at].tolist()):
                everybody[at, line], adds = self._model.explain(histories, row, item)
                parts[at, line, : len(adds)] = adds
        return TakenSums(everybody, parts)
