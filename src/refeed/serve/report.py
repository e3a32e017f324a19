"""The model's card in numbers and plots: how it learned, how often it is right, and what it learned from.

How well the probabilities hold is measured on a fifth of some people's training ratings, hidden from the
input while the rest is folded in. The training has seen them, so somebody new may be predicted a bit worse;
ratings that it has not seen are not in a model folder.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from jaxtyping import Float64
from numpy.typing import NDArray

from refeed.serve.charts import Bars, Curves, bars, curves
from refeed.serve.engine import Engine
from refeed.serve.lines import Question

__all__ = ["ModelReport", "report_of"]

_PEOPLE = 300
_FEWEST = 10
_BINS = 10


@dataclass(frozen=True)
class ModelReport:
    """What the page shows of a model.

    Args:
        facts: name and value of each, in words.
        learning: RMSE of each epoch; None: the model was not trained in epochs.
        calibration: predicted against observed share of liked items; None: it can't be said.
        errors: how far predictions were off, in bins.
        ratings: how often each rating was given.
        popular: how many items have so many ratings.
        measured: hidden ratings, and people, that calibration and errors rest on.
        rmse: of these.
    """

    facts: Sequence[tuple[str, str]]
    learning: Curves | None
    calibration: Curves | None
    errors: Bars | None
    ratings: Bars | None
    popular: Bars | None
    measured: tuple[int, int]
    rmse: float | None


@dataclass(frozen=True, eq=False)
class _Hidden:
    """Ratings that were hidden, and what was predicted for them."""

    ratings: Float64[np.ndarray, " hidden"]
    predicted: Float64[np.ndarray, " hidden"]
    liked: Float64[np.ndarray, " hidden"]
    people: int


def report_of(engine: Engine) -> ModelReport:
    """Measure and draw. Takes some seconds."""
    hidden = _hide_and_predict(engine)
    epochs = _epochs(engine)
    return ModelReport(
        facts=_facts(engine, epochs),
        learning=_learning(epochs),
        calibration=None if hidden is None else _calibration(hidden, engine.liked),
        errors=None if hidden is None else _errors(hidden),
        ratings=_given(engine),
        popular=_popular(engine),
        measured=(0, 0) if hidden is None else (len(hidden.ratings), hidden.people),
        rmse=None if hidden is None else float(np.sqrt(np.mean((hidden.ratings - hidden.predicted) ** 2))),
    )


def _facts(engine: Engine, epochs: Sequence[dict[str, Any]]) -> list[tuple[str, str]]:
    loaded = engine.loaded
    low, high = engine.scale
    facts = [
        ("Kind", loaded.kind),
        ("Digest", engine.digest),
        ("Items", f"{len(loaded.items.ids):,}"),
        ("Training ratings", f"{int(loaded.items.counts.sum()):,}"),
        ("Scale", f"{low:g} to {high:g}" + (f" by {engine.step:g}" if engine.step else "")),
        ("Counts as liked", f"{engine.liked:g} or more"),
    ]
    if loaded.histories is not None:
        facts.insert(3, ("People", f"{loaded.histories.n_users:,}"))
    scored = [line["valid_rmse"] for line in epochs if line["valid_rmse"] is not None]
    if scored:
        facts.append(("Best validation RMSE", f"{min(scored):.4f}"))
    return facts


def _epochs(engine: Engine) -> list[dict[str, Any]]:
    path = engine.run / "metrics.jsonl"
    if not path.is_file():
        return []
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]


def _learning(epochs: Sequence[dict[str, Any]]) -> Curves | None:
    if len(epochs) < 2:
        return None
    series = {
        "training": [(line["epoch"], line["train_rmse"]) for line in epochs],
        "validation": [
            (line["epoch"], line["valid_rmse"]) for line in epochs if line["valid_rmse"] is not None
        ],
    }
    return curves({name: points for name, points in series.items() if points}, x="epoch", y="RMSE", digits=4)


def _hide_and_predict(engine: Engine) -> _Hidden | None:
    histories, generator = engine.loaded.histories, np.random.default_rng(0)
    if histories is None:
        return None
    enough = np.flatnonzero(histories.user_counts >= _FEWEST)
    some = generator.permutation(enough)[:_PEOPLE]
    found: list[tuple[float, float, float]] = []
    for user in some.tolist():
        _, items, values = histories.rows(np.array([user]))
        order = generator.permutation(len(items))
        hidden, kept = order[: max(1, len(items) // 5)], order[max(1, len(items) // 5) :]
        question = Question(
            items[kept].astype(np.int64), values[kept], asked=items[hidden].astype(np.int64), reasons=0
        )
        (answer,) = engine.answer([question])
        found += [
            (float(rating), line["rating"] or np.nan, np.nan if line["p_liked"] is None else line["p_liked"])
            for rating, line in zip(values[hidden], answer.lines, strict=True)
        ]
    if not found:
        return None
    columns: NDArray[np.float64] = np.array(found, dtype=np.float64).T
    return _Hidden(columns[0], columns[1], columns[2], people=len(some))


def _calibration(hidden: _Hidden, liked: float) -> Curves | None:
    if np.isnan(hidden.liked).all():
        return None
    order = np.argsort(hidden.liked, kind="stable")
    points = [
        (float(hidden.liked[part].mean()), float((hidden.ratings[part] >= liked).mean()))
        for part in np.array_split(order, min(_BINS, len(order)))
        if len(part)
    ]
    return curves(
        {"observed": points, "if it were exact": [(0.0, 0.0), (1.0, 1.0)]},
        x="predicted probability",
        y="share that was liked",
        digits=2,
        square=True,
    )


def _errors(hidden: _Hidden) -> Bars:
    errors = hidden.ratings - hidden.predicted
    most = max(1.0, float(np.ceil(np.abs(errors).max() * 2 - 0.5) / 2))
    centres = np.arange(-most, most + 0.25, 0.5)
    counts, _ = np.histogram(errors, np.append(centres - 0.25, most + 0.25))
    labels = [_signed(centre) for centre in centres.tolist()]
    return bars(labels, counts.tolist(), x="rating − prediction, to the nearest half", y="ratings")


def _signed(number: float) -> str:
    return f"{number:+g}".replace("-", "−") if number else "0"


def _given(engine: Engine) -> Bars | None:
    histories = engine.loaded.histories
    if histories is None or not len(histories):
        return None
    values, counts = np.unique(histories.values, return_counts=True)
    if len(values) > 30:
        counts, edges = np.histogram(histories.values, 10)
        return bars([f"{edge:.2g}" for edge in edges[:-1]], counts.tolist(), x="rating from", y="times given")
    return bars([f"{value:g}" for value in values.tolist()], counts.tolist(), x="rating", y="times given")


def _popular(engine: Engine) -> Bars:
    counts = engine.loaded.items.counts
    edges = [0, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 10_000, 1 << 62]
    last = int(np.searchsorted(edges, int(counts.max()), side="right"))
    found, _ = np.histogram(counts, edges[: last + 1])
    labels = [_range(low, high) for low, high in pairwise(edges[: last + 1])]
    return bars(labels, found.tolist(), x="ratings of an item", y="items")


def _range(low: int, high: int) -> str:
    if high - low == 1:
        return str(low)
    return f"{low}+" if high >= 1 << 62 else f"{low}–{high - 1}"
