"""Whether an exported graph predicts what its model predicts."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from numpy.typing import NDArray

from refeed.errors import ModelError
from refeed.inference.listing import listing_of
from refeed.ratings.ids import Ids
from refeed.ratings.store import Ratings
from refeed.trained_model import TrainedModel

__all__ = ["TOLERANCE", "Person", "furthest", "padded_inputs", "session_of", "tolerance"]

Person = tuple[NDArray[np.int64], NDArray[np.float32]]
"""Positions of items and the ratings of them."""

TOLERANCE = 1e-5
"""How far a rating may be off, where ratings are below 10."""

_ROUNDED = 5e-7  # of an interaction score, a sum of float32 terms, in the model

_PEOPLE, _LONGEST, _ENTRIES = 100, 5000, 1 << 22


def furthest(path: Path, trained: TrainedModel) -> float:
    """The largest difference between the graph and the model over random histories.

    There are short and long ones, an empty one, and one of 5,000 ratings where there are as many items.

    Raises:
        ModelError: it is more than `tolerance`.
    """
    session = session_of(path)
    names = [output.name for output in session.get_outputs()]
    each: dict[str, list[float]] = {name: [] for name in names}
    for some in _batches(_people(trained), len(trained.items.ids)):
        results = dict(zip(names, session.run(names, padded_inputs(some)), strict=True))
        ratings, users = _ratings(some, trained), np.arange(len(some))
        expected = {}
        if "predicted" in names:
            expected["predicted"] = np.clip(trained.model.predict_all(ratings, users), *trained.scale)
        if "scores" in names:
            (scores,) = listing_of(trained).score_blocks(ratings, users, len(users))
            expected["scores"] = scores.numpy()
        for name in names:
            each[name].append(float(np.abs(results[name] - expected[name]).max()))
    apart = {name: float(np.max(some)) for name, some in each.items()}  # np.max keeps NaN
    for name, most in apart.items():
        if not most <= tolerance(trained, name):
            raise ModelError(
                f"the exported graph's {name} differ from the model's by {most:.1e}, more than "
                f"{tolerance(trained, name):.0e}; nothing was written. Please report this with the model's "
                "config.toml"
            )
    return float(np.max(list(apart.values())))


def tolerance(trained: TrainedModel, output: str = "predicted") -> float:
    """How far an output may be off the model's.

    What float32 rounds off grows with the ratings; and of an interaction score s it grows by the logarithm in
    the score of a list by both parts, log max(s, floor) + β log P(liked): at most by 1 / floor.
    """
    lists = trained.lists
    if output == "scores" and lists is not None:
        return TOLERANCE + (_ROUNDED / lists.weights.floor if lists.liking is not None else 0.0)
    return TOLERANCE * max(1.0, *(abs(end) / 10 for end in trained.scale))


def session_of(path: Path) -> onnxruntime.InferenceSession:
    """Onnxruntime at work on a graph, on the processor, with as many threads as PyTorch has."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def padded_inputs(people: Sequence[Person]) -> dict[str, NDArray[np.generic]]:
    """Histories as the graph takes them, filled up to the longest."""
    longest = max(len(items) for items, _ in people)
    inputs: dict[str, NDArray[np.generic]] = {
        "items": np.zeros((len(people), longest), dtype=np.int64),
        "ratings": np.zeros((len(people), longest), dtype=np.float32),
        "mask": np.zeros((len(people), longest), dtype=np.float32),
    }
    for row, (items, values) in enumerate(people):
        for name, filled in (("items", items), ("ratings", values), ("mask", np.ones(len(items)))):
            inputs[name][row, : len(items)] = filled
    return inputs


def _people(trained: TrainedModel) -> list[Person]:
    rng, n_items = np.random.default_rng(0), len(trained.items.ids)
    lengths = [0, 1, 2, *rng.integers(1, min(n_items, 200) + 1, _PEOPLE), min(n_items, _LONGEST)]
    return [
        (
            rng.choice(n_items, length, replace=False).astype(np.int64),
            rng.uniform(*trained.scale, length).astype(np.float32),
        )
        for length in lengths
    ]


def _batches(people: Sequence[Person], n_items: int) -> list[Sequence[Person]]:
    """The empty one alone, the longest alone, the others together, as many as fit."""
    size = max(1, _ENTRIES // n_items)
    between = people[:-1]
    return [people[:1], *(between[at : at + size] for at in range(0, len(between), size)), people[-1:]]


def _ratings(people: Sequence[Person], trained: TrainedModel) -> Ratings:
    return Ratings.from_arrays(
        np.repeat(np.arange(len(people)), [len(items) for items, _ in people]),
        np.concatenate([items for items, _ in people]),
        np.concatenate([values for _, values in people]),
        user_ids=Ids(str(at) for at in range(len(people))),
        item_ids=trained.items.ids,
    )
