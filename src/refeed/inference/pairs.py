"""Predictions for a table of pairs: every row in is a row out, with or without a prediction, and counted."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Float64, Int64

from refeed.errors import ModelError, UnknownIdError, printable
from refeed.inference.people import People
from refeed.models.cold import check_cold, predict_any
from refeed.models.intervals import Uncertain, interval
from refeed.table import Table
from refeed.trained_model import TrainedModel

__all__ = ["PredictedPairs", "check_rates", "is_pairs", "predict_pairs_table"]

_SHOWN = 5


@dataclass(frozen=True)
class PredictedPairs:
    """What came out for a table of pairs.

    Args:
        table: user, item, prediction and, if asked for, low and high; in the order of the pairs.
        pairs: its rows.
        unknown_users: those of them whose user the model doesn't know.
        unknown_items: those whose item it doesn't know (some may count in both).
        unknown: those whose user or item it doesn't know.
        cold: what was done with these: "empty" or "fallback".
        examples: some of the unknown ones, in words.
        notes: what the user should know about how the pairs were read, a sentence each.
    """

    table: Table
    pairs: int
    unknown_users: int
    unknown_items: int
    unknown: int
    cold: str
    examples: tuple[str, ...]
    notes: tuple[str, ...] = ()

    def __str__(self) -> str:
        """The same for people."""
        predicted = self.pairs - (self.unknown if self.cold == "empty" else 0)
        line = f"{predicted:,} of {self.pairs:,} pairs predicted"
        if self.unknown:
            what = "are left empty" if self.cold == "empty" else "of them are predicted by what is known"
            line += f"; {self.unknown:,} {what}: {self._why()}"
        return printable(line + "".join(f"\nnote: {note}" for note in self.notes))

    def _why(self) -> str:
        return (
            f"the model doesn't know the user of {self.unknown_users:,} and the item of "
            f"{self.unknown_items:,}, such as " + "; ".join(self.examples)
        )

    def with_notes(self, notes: Sequence[str]) -> "PredictedPairs":
        """The same with notes."""
        return replace(self, notes=tuple(notes))


def check_rates(trained: TrainedModel) -> None:
    """Refuse to predict ratings by a model that has never seen one.

    Raises:
        ModelError: it was trained on interactions without ratings.
    """
    if trained.kind == "interactions":
        raise ModelError(
            "this model was trained on interactions without ratings, so it predicts no ratings and has no "
            "errors of them; ask it for lists (recommend), and measure these (evaluate_lists, or refeed "
            "evaluate --ranking)"
        )


def is_pairs(given: object) -> bool:
    """Whether this is a table of pairs: a frame, a structured array, or a list of (user, item) tuples."""
    if hasattr(given, "__arrow_c_stream__"):
        return True
    shape, dtype = getattr(given, "shape", ()), getattr(given, "dtype", None)
    if hasattr(given, "iloc") or isinstance(given, np.ndarray):
        return len(shape) == 2 or getattr(dtype, "names", None) is not None
    return isinstance(given, list) and bool(given) and all(isinstance(row, tuple) for row in given)


def predict_pairs_table(
    people: People,
    users: Sequence[Any],
    items: Sequence[Any],
    *,
    cold: str,
    clip: bool = True,
    coverage: float | None = None,
) -> PredictedPairs:
    """Predict each pair of a user of the training ratings and an item.

    Args:
        people: whom the model knows.
        users: raw ids, `[pairs]`.
        items: raw ids or titles, `[pairs]`.
        cold: what to do with a pair whose user or item is unknown (`models/cold.py`).
        clip: keep within the scale of the training ratings.
        coverage: the share of ratings that is to lie between low and high, from 0.01 to 0.99; None: no such
            columns. Where a user or an item is unknown these are empty.

    Raises:
        ConfigError: another word for `cold`, or another coverage.
        UnknownIdError: pairs are unknown and `cold` is "error"; the histories have been removed.
        ModelError: a coverage, of a kind of model that does not know how sure it is; the model was trained on
            interactions without ratings.
    """
    check_cold(cold)
    check_rates(people.trained)
    trained, histories, catalogue = people.trained, people.known, people.catalogue
    rows, columns = histories.user_ids.positions(users), catalogue.known_positions(items)
    known = (rows >= 0) & (columns >= 0)
    unknown = int(np.count_nonzero(~known))
    examples = _examples(users, items, rows, columns)
    if unknown and cold == "error":
        raise UnknownIdError(_refusal(unknown, rows, columns, examples))
    predicted = np.full(len(rows), np.nan)
    asked = known if cold == "empty" else np.ones(len(rows), dtype=np.bool_)
    if asked.any():
        predicted[asked] = predict_any(trained.model, histories, rows[asked], columns[asked])
    numbers = {"prediction": predicted}
    if coverage is not None:
        numbers |= _ends(people, rows, columns, known, predicted, coverage)
    if clip:
        numbers = {name: np.clip(column, *trained.scale) for name, column in numbers.items()}
    return PredictedPairs(
        table=Table({"user": _texts(users), "item": _texts(items), **numbers}),
        pairs=len(rows),
        unknown_users=int(np.count_nonzero(rows < 0)),
        unknown_items=int(np.count_nonzero(columns < 0)),
        unknown=unknown,
        cold="empty" if cold == "error" else cold,
        examples=examples,
    )


def _ends(
    people: People,
    rows: Int64[np.ndarray, " pairs"],
    columns: Int64[np.ndarray, " pairs"],
    known: np.ndarray,
    predicted: Float64[np.ndarray, " pairs"],
    coverage: float,
) -> dict[str, Float64[np.ndarray, " pairs"]]:
    """The lower and the upper ends of the intervals, empty for unknown pairs."""
    model = people.trained.model
    if not (isinstance(model, Uncertain) and bool(model.quantiles.any())):
        raise ModelError(
            f"a model of kind {people.trained.config.model.kind} does not know how sure it is; train one "
            "of kind ridge (the default recipe) for intervals"
        )
    ends = {name: np.full(len(rows), np.nan) for name in ("low", "high")}
    spread = model.predictive_std(people.known, rows[known], columns[known])
    ends["low"][known], ends["high"][known] = interval(model, predicted[known], spread, coverage)
    return ends


def _texts(ids: Sequence[Any]) -> list[str | None]:
    """Ids as text, None where there is nothing."""
    return [None if given is None or given == "" else str(given) for given in ids]


def _examples(
    users: Sequence[Any],
    items: Sequence[Any],
    rows: Int64[np.ndarray, " pairs"],
    columns: Int64[np.ndarray, " pairs"],
) -> tuple[str, ...]:
    return (
        *(f"row {at + 1}: user {str(users[at])!r}" for at in np.flatnonzero(rows < 0)[:_SHOWN].tolist()),
        *(f"row {at + 1}: item {str(items[at])!r}" for at in np.flatnonzero(columns < 0)[:_SHOWN].tolist()),
    )


def _refusal(
    unknown: int,
    rows: Int64[np.ndarray, " pairs"],
    columns: Int64[np.ndarray, " pairs"],
    examples: Sequence[str],
) -> str:
    """Why unknown pairs are refused, and what else could be done."""
    return (
        f"{unknown:,} of {len(rows):,} pairs have a user or an item that the model doesn't know "
        f"({np.count_nonzero(rows < 0):,} users, {np.count_nonzero(columns < 0):,} items), such as "
        f'{"; ".join(examples)}. Leave them out, or say cold="fallback" to predict them by what is known, or '
        'cold="empty" to leave their predictions empty'
    )
