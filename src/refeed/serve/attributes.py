"""What a model folder knows of its items, the further columns of the titles table, and conditions on it."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Bool
from numpy.typing import NDArray

from refeed.errors import ConfigError
from refeed.model_items import Items
from refeed.serve.item_facts import Condition, Value

__all__ = ["ModelAttributes"]


class ModelAttributes:
    """The attributes of a model's items, and `ratings`: how many the training had.

    A text such as `Drama|War` is both values, and the text itself.

    Args:
        items: of the model.
    """

    def __init__(self, items: Items) -> None:
        columns: dict[str, Sequence[Any]] = {**(items.attributes or {}), "ratings": items.counts.tolist()}
        self._count = len(items.ids)
        self._numbers = {name: _numbers(values) for name, values in columns.items()}
        self._texts = {name: _texts(values) for name, values in columns.items()}

    @property
    def names(self) -> tuple[str, ...]:
        """Of the attributes."""
        return tuple(self._numbers)

    def fit(self, name: str, condition: Condition) -> Bool[np.ndarray, " items"]:
        """Of which items a condition holds; of none where the model has no such attribute.

        Raises:
            ConfigError: it is no condition.
        """
        fits = np.zeros(self._count, dtype=np.bool_)
        if name not in self._numbers:
            return fits
        numbers = self._numbers[name]
        if isinstance(condition, Mapping):
            if not condition or set(condition) - {"min", "max"}:
                raise ConfigError(f'the condition on {name!r} is not understood; give {{"min": …, "max": …}}')
            low, high = condition.get("min", -np.inf), condition.get("max", np.inf)
            within: NDArray[np.bool_] = (numbers >= low) & (numbers <= high)  # NaN: unknown, and not within
            return within
        for value in [condition] if isinstance(condition, Value) else condition:
            if isinstance(value, str):
                fits[self._texts[name].get(value, [])] = True
            else:
                fits |= numbers == value
        return fits


def _numbers(values: Sequence[Any]) -> NDArray[np.float64]:
    return np.array(
        [value if isinstance(value, int | float) else np.nan for value in values], dtype=np.float64
    )


def _texts(values: Sequence[Any]) -> dict[str, list[int]]:
    """Positions by value."""
    found: dict[str, list[int]] = {}
    for at, value in enumerate(values):
        if isinstance(value, str):
            for one in {value, *value.split("|")}:
                found.setdefault(one, []).append(at)
    return found
