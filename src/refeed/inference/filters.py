"""Which items may be in a list: some alone, all but some, by what is known of them, by popularity."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import duckdb
import numpy as np
from jaxtyping import Bool
from numpy.typing import NDArray

from refeed.errors import ConfigError, DataError
from refeed.inference.catalogue import Catalogue
from refeed.trained_model import TrainedModel

__all__ = ["candidates_of", "check_novelty"]


def candidates_of(
    trained: TrainedModel,
    catalogue: Catalogue,
    *,
    only: Any = None,
    exclude: Any = None,
    where: str | None = None,
    novelty: Any = None,
) -> Bool[np.ndarray, " items"]:
    """Whether each item may be in a list.

    Args:
        trained: the model.
        catalogue: its items.
        only: choose among these alone: ids or titles; None: among all.
        exclude: leave these out.
        where: a condition of SQL on what is known of the items: the columns item, title, ratings (how many in
            training) and the further columns of the titles table, such as "genre = 'Drama' and year >= 1990".
        novelty: leave out the most popular items: this share of all training ratings, from 0 to below 1, is
            of items that are left out.

    Raises:
        UnknownIdError: an item that doesn't exist.
        ConfigError: a novelty out of range.
        DataError: a condition that can't be evaluated.
    """
    candidates = np.full(len(catalogue.ids), only is None)
    if only is not None:
        candidates[catalogue.positions(_listed(only))] = True
    if exclude is not None:
        candidates[catalogue.positions(_listed(exclude))] = False
    if where is not None:
        candidates &= _fulfilling(trained, where)
    if novelty:
        candidates &= ~_most_popular(trained.items.counts, check_novelty(novelty))
    return candidates


def _listed(items: Any) -> list[Any]:
    return (
        [items]
        if isinstance(items, str | int | np.integer) or not isinstance(items, Iterable)
        else list(items)
    )


def check_novelty(novelty: Any) -> float:
    """A share from 0 to below 1.

    Raises:
        ConfigError: it is something else.
    """
    if isinstance(novelty, bool) or not isinstance(novelty, int | float | np.number) or not 0 <= novelty < 1:
        raise ConfigError(f"novelty = {novelty!r}: give the share of ratings to pass over, from 0 to below 1")
    return float(novelty)


def _most_popular(counts: NDArray[np.int64], share: float) -> Bool[np.ndarray, " items"]:
    """The most popular items that together have a share of all ratings; always some are left."""
    order = np.argsort(-counts, kind="stable")
    before = np.cumsum(counts[order]) - counts[order]
    popular = np.zeros(len(counts), dtype=np.bool_)
    popular[order[before + counts[order] <= share * counts.sum()]] = True
    return popular


def _fulfilling(trained: TrainedModel, where: str) -> Bool[np.ndarray, " items"]:
    columns = _known(trained)
    names = ", ".join(columns)
    with duckdb.connect(config={"enable_external_access": "false", "lock_configuration": "true"}) as db:
        db.register("known", _as_arrays(columns))
        try:
            found = db.execute(f"SELECT ({where}) AS fits FROM known ORDER BY position").fetchall()
        except duckdb.Error as error:
            raise DataError(
                f"where = {where!r} can't be evaluated: {str(error).splitlines()[0]}. Give a condition on "
                f"the columns {names}, such as \"ratings > 20 and title like '%Alien%'\""
            ) from error
    if any(not isinstance(fits, bool | None) for (fits,) in found):
        raise DataError(f'where = {where!r} is no condition; give one such as "ratings > 20"')
    return np.array([bool(fits) for (fits,) in found], dtype=np.bool_)


def _known(trained: TrainedModel) -> dict[str, Sequence[Any]]:
    items = trained.items
    titles = items.titles or ("",) * len(items.ids)
    own: Mapping[str, Sequence[Any]] = {
        "item": list(items.ids),
        "title": [title or None for title in titles],
        "ratings": items.counts.tolist(),
    }
    return {**dict(items.attributes or {}), **own}


def _as_arrays(columns: Mapping[str, Sequence[Any]]) -> dict[str, NDArray[Any]]:
    arrays: dict[str, NDArray[Any]] = {"position": np.arange(len(next(iter(columns.values()))))}
    for name, values in columns.items():
        if all(value is None or isinstance(value, int | float) for value in values) and name != "item":
            arrays[name] = np.array(
                [np.nan if value is None else value for value in values], dtype=np.float64
            )
        else:
            arrays[name] = np.empty(len(values), dtype=np.object_)
            arrays[name][:] = [None if value is None else str(value) for value in values]
    return arrays
