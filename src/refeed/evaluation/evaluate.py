"""A model's errors on held-out ratings, and the comparison of two models on the same ones."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Float64, Int64

from refeed.errors import ConfigError, DataError, ModelError
from refeed.evaluation.metrics import UserErrors, clipped, user_errors
from refeed.evaluation.significance import Difference, Estimate, paired, pooled
from refeed.models.cold import check_cold, predict_any
from refeed.models.interface import Model
from refeed.ratings.ids import Ids
from refeed.ratings.pairs import Aligned, align_all, align_to
from refeed.ratings.store import Ratings

__all__ = ["Comparison", "Evaluation", "Evidence", "compare", "evaluate"]

_ROWS = 8192  # users (items, if item-based) predicted at a time: bounds what their histories take


@dataclass(frozen=True, eq=False)
class Evidence:
    """What a comparison with another run needs to know of an evaluation.

    Args:
        errors: of each user, in the order of their raw ids.
        clipped: likewise, of the clipped predictions.
        pairs: a digest of the raw (user, item, rating) that were predicted.
    """

    errors: UserErrors
    clipped: UserErrors
    pairs: str


@dataclass(frozen=True, eq=False)
class Evaluation:
    """Errors pooled over the held-out ratings whose user and item training knows, and how many it does not.

    Args:
        rmse: of the predictions as they are (the paper's number), with its 95 % interval over users.
        mae: likewise.
        rmse_clipped: of the predictions clipped to the scale of the training ratings.
        mae_clipped: likewise.
        ratings: held-out ratings that were predicted.
        users: users who gave them.
        cold_ratings: held-out ratings of whose user or item training knows no rating.
        cold: what was done with these: "empty": they were left out; "fallback": they were predicted by what
            is known, and count.
        cold_users: users unknown to training.
        cold_items: items unknown to training.
        scale: the lowest and the highest training rating.
        seed: of the bootstrap.
        resamples: of the bootstrap.
        evidence: for `compare`; not part of `as_dict`.
    """

    rmse: Estimate
    mae: Estimate
    rmse_clipped: Estimate
    mae_clipped: Estimate
    ratings: int
    users: int
    cold_ratings: int
    cold: str
    cold_users: int
    cold_items: int
    scale: tuple[float, float]
    seed: int
    resamples: int
    evidence: Evidence = field(repr=False)

    def as_dict(self) -> dict[str, Any]:
        """All numbers, as JSON can hold them."""
        return {
            name: asdict(value) if isinstance(value, Estimate) else value
            for name, value in vars(self).items()
            if name != "evidence"
        } | {"scale": list(self.scale)}

    def __str__(self) -> str:
        """A table for people."""
        lines = [
            f"{self.ratings:,} held-out ratings by {self.users:,} users",
            f"{self.cold_ratings:,} more were left out: their user or item has no rating in training"
            if self.cold != "fallback"
            else f"{self.cold_ratings:,} of them predicted by what is known, as their user or item has none",
            f"({self.cold_users:,} users, {self.cold_items:,} items)",
            f"{'':10}  {'RMSE':>7}  {'95 % interval':^17}  {'MAE':>7}  {'95 % interval':^17}",
            f"{'as it is':10}  {_cells(self.rmse)}  {_cells(self.mae)}",
            f"{'clipped':10}  {_cells(self.rmse_clipped)}  {_cells(self.mae_clipped)}",
        ]
        return "\n".join(line.rstrip() for line in lines)


@dataclass(frozen=True)
class Comparison:
    """One run minus another on the same held-out ratings: negative says that the one is better.

    Args:
        rmse: the difference in RMSE, its 95 % interval over users and two-sided p-value.
        mae: likewise.
        rmse_clipped: of clipped predictions.
        mae_clipped: likewise.
        ratings: held-out ratings that both predicted.
        users: users who gave them.
    """

    rmse: Difference
    mae: Difference
    rmse_clipped: Difference
    mae_clipped: Difference
    ratings: int
    users: int

    def as_dict(self) -> dict[str, Any]:
        """Everything, as JSON can hold it."""
        return asdict(self)

    def __str__(self) -> str:
        """A table for people."""
        rows = {
            "RMSE": self.rmse,
            "MAE": self.mae,
            "RMSE, clipped": self.rmse_clipped,
            "MAE, clipped": self.mae_clipped,
        }
        lines = [f"{'one − other':13}  {'':>7}  {'95 % interval':^17}  {'p':>6}"]
        lines += [f"{name:13}  {_cells(row)}  {row.p:6.4f}" for name, row in rows.items()]
        return "\n".join(line.rstrip() for line in lines)


def evaluate(
    model: Model,
    histories: Ratings,
    test: Ratings,
    *,
    scale: tuple[float, float],
    cold: str = "empty",
    seed: int = 0,
    resamples: int = 1000,
) -> Evaluation:
    """Predict held-out ratings from the training ratings, and measure the errors.

    Args:
        model: the model; its items are those of `histories`.
        histories: the ratings that the model was trained on, which are also what it predicts from.
        test: held-out ratings, with ids of their own.
        scale: the lowest and the highest training rating.
        cold: what to do with ratings whose user or item training doesn't know: "empty" leaves them out,
            "fallback" predicts them by what is known (`models/cold.py`), "error" refuses them.
        seed: of the bootstrap.
        resamples: draws of the bootstrap, at least 1.

    Raises:
        DataError: there is no held-out rating, or none whose user and item training knows; with "error",
            there is one that it doesn't know.
        ModelError: a prediction is NaN or infinite.
        ConfigError: the scale is upside down, or `resamples` below 1.
    """
    if not scale[0] <= scale[1] or resamples < 1:
        raise ConfigError(
            f"evaluation wants a scale (lowest, highest) and at least 1 resample; got {scale}, {resamples}"
        )
    check_cold(cold)
    pairs = align_all(test, histories) if cold == "fallback" and len(test) else _warm(histories, test, cold)
    predicted = _predicted(model, histories, pairs)
    users, raw_users = _ranked(test.users[pairs.rows], test.user_ids)
    items, raw_items = _ranked(test.items[pairs.rows].astype(np.int64), test.item_ids)
    order = np.argsort(users * len(raw_items) + items, kind="stable")
    digest = hashlib.sha256(json.dumps([raw_users, raw_items]).encode())
    for column in (users, items, pairs.values):
        digest.update(column[order].tobytes())
    evidence = Evidence(
        errors=user_errors(users, predicted, pairs.values, n_users=len(raw_users)),
        clipped=user_errors(users, clipped(predicted, scale), pairs.values, n_users=len(raw_users)),
        pairs=digest.hexdigest(),
    )
    (rmse, mae), (rmse_clipped, mae_clipped) = pooled(
        [evidence.errors, evidence.clipped], seed=seed, resamples=resamples
    )
    return Evaluation(
        rmse=rmse,
        mae=mae,
        rmse_clipped=rmse_clipped,
        mae_clipped=mae_clipped,
        ratings=len(pairs),
        users=len(raw_users),
        cold_ratings=pairs.cold_pairs,
        cold=cold,
        cold_users=pairs.cold_users,
        cold_items=pairs.cold_items,
        scale=scale,
        seed=seed,
        resamples=resamples,
        evidence=evidence,
    )


def compare(one: Evaluation, other: Evaluation) -> Comparison:
    """Test whether one run is better than another on the same held-out ratings.

    Raises:
        DataError: the runs predicted different ratings.
    """
    mine, theirs = one.evidence, other.evidence
    if mine.pairs != theirs.pairs:
        raise DataError(
            f"the two runs did not predict the same ratings ({one.ratings:,} by {one.users:,} users, against "
            f"{other.ratings:,} by {other.users:,}), so their errors can't be compared; evaluate both on one "
            "test set, with models trained on the same users and items"
        )
    (rmse, mae), (rmse_clipped, mae_clipped) = paired(
        [mine.errors, mine.clipped],
        [theirs.errors, theirs.clipped],
        seed=one.seed,
        resamples=one.resamples,
    )
    return Comparison(rmse, mae, rmse_clipped, mae_clipped, ratings=one.ratings, users=one.users)


def _warm(histories: Ratings, test: Ratings, cold: str) -> Aligned:
    if not len(test):
        raise DataError("there is no held-out rating to evaluate on; the test set is empty")
    pairs = align_to(test, histories)
    if not len(pairs):
        raise DataError(
            f"none of the {len(test):,} held-out ratings has a user and an item that occur in training "
            f"({pairs.cold_users:,} users and {pairs.cold_items:,} items are unknown); evaluate on ratings "
            "of users and items that were trained on, with ids written the same way in both tables"
        )
    if cold == "error" and pairs.cold_pairs:
        raise DataError(
            f"{pairs.cold_pairs:,} of {len(test):,} held-out ratings have a user or an item that training "
            f"doesn't know ({pairs.cold_users:,} users, {pairs.cold_items:,} items); with cold = fallback "
            "they are predicted by what is known, with cold = empty left out"
        )
    return pairs


def _predicted(model: Model, histories: Ratings, pairs: Aligned) -> Float64[np.ndarray, " pairs"]:
    predicted = np.empty(len(pairs))
    for some in _batches(pairs.users if model.axis == "user" else pairs.items):
        times = None if pairs.times is None else pairs.times[some]
        predicted[some] = predict_any(model, histories, pairs.users[some], pairs.items[some], times)
    bad = len(predicted) - np.count_nonzero(np.isfinite(predicted))
    if bad:
        raise ModelError(
            f"{bad:,} of {len(predicted):,} predictions are NaN or infinite; the model is of no use, train "
            "it again with a lower train.lr"
        )
    return predicted


def _batches(rows: Int64[np.ndarray, " pairs"]) -> Iterator[Int64[np.ndarray, " some"]]:
    """The places of the pairs, those of `_ROWS` distinct rows at a time."""
    order = np.argsort(rows, kind="stable")
    starts = np.append(0, 1 + np.flatnonzero(np.diff(rows[order])))
    starts = np.append(starts, len(rows))
    for first in range(0, len(starts) - 1, _ROWS):
        yield order[starts[first] : starts[min(first + _ROWS, len(starts) - 1)]]


def _ranked(
    positions: Int64[np.ndarray, " pairs"], ids: Ids
) -> tuple[Int64[np.ndarray, " pairs"], list[str]]:
    """Numbers in the order of the raw ids: the same for every model, whatever its positions."""
    occurs = np.zeros(len(ids), dtype=np.bool_)
    occurs[positions] = True
    # Raw ids are distinct, so sorting the pairs never compares the positions.
    ranked = sorted((ids[position], position) for position in np.flatnonzero(occurs).tolist())
    ranks = np.empty(len(ids), dtype=np.int64)
    ranks[[position for _, position in ranked]] = np.arange(len(ranked))
    return ranks[positions], [raw for raw, _ in ranked]


def _cells(estimate: Estimate) -> str:
    interval = "too few users" if estimate.low is None else f"{estimate.low:7.4f} … {estimate.high:7.4f}"
    return f"{estimate.value:7.4f}  {interval:^17}"
