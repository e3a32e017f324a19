"""What a model folder knows of its items beside their weights: items.parquet and items.json. No PyTorch."""

import json
from dataclasses import dataclass
from pathlib import Path

import duckdb
import numpy as np
from jaxtyping import Float64, Int64

from refeed.files import atomic_file, write_text
from refeed.model_header import check_file
from refeed.ratings.ids import Ids
from refeed.ratings.store import Attributes, Ratings

__all__ = ["Items", "read_items", "write_items"]

_ATTRIBUTE = "attribute:"  # before the names of what else is known of items, in items.parquet


@dataclass(frozen=True, eq=False)
class Items:
    """What a model knows of its items beside their weights, by position.

    Args:
        ids: raw ids.
        titles: titles ("" where unknown), or None.
        counts: training ratings of each.
        means: the mean of these; NaN where there is none.
        attributes: what else is known of each: name → values by position.
    """

    ids: Ids
    titles: tuple[str, ...] | None
    counts: Int64[np.ndarray, " items"]
    means: Float64[np.ndarray, " items"]
    attributes: Attributes | None = None

    @classmethod
    def of(cls, train: Ratings) -> "Items":
        """The items of training ratings."""
        return cls(
            train.item_ids, train.titles, train.item_counts, train.item_means, train.attributes or None
        )


def write_items(run: Path, known: Items) -> None:
    """Write items.parquet, and items.json with what a runtime without DuckDB needs of it."""
    titles = np.empty(len(known.ids), dtype=np.object_)
    titles[:] = [title or None for title in known.titles or [""] * len(known.ids)]
    items = {
        "item": known.ids.as_array(),
        "title": titles,
        "count": known.counts,
        "mean": known.means,
    }
    for name, values in (known.attributes or {}).items():
        items[f"{_ATTRIBUTE}{name}"] = np.empty(len(known.ids), dtype=np.object_)
        items[f"{_ATTRIBUTE}{name}"][:] = values
    with atomic_file(run / "items.parquet") as beside, duckdb.connect() as db:
        target = str(beside).replace("'", "''")
        db.execute(f"COPY items TO '{target}' (FORMAT parquet)")
    listed = {"item": list(known.ids), "title": list(titles), "count": known.counts.tolist()}
    write_text(run / "items.json", json.dumps(listed, ensure_ascii=False))


def read_items(path: Path, digest: str) -> Items:
    """Read items.parquet.

    Raises:
        ModelError: it is missing, or another one than the weights were bound to.
    """
    check_file(path, digest)
    with duckdb.connect() as db:
        found = db.execute("SELECT * FROM read_parquet(?)", [str(path)])
        names = [column[0] for column in found.description]
        columns = dict(zip(names, zip(*found.fetchall(), strict=True), strict=False))
    titles = tuple(title or "" for title in columns.get("title", ()))
    return Items(
        Ids(columns.get("item", ())),
        titles if any(titles) else None,
        np.array(columns.get("count", ()), dtype=np.int64),
        np.array(columns.get("mean", ()), dtype=np.float64),
        {name.removeprefix(_ATTRIBUTE): columns[name] for name in names if name.startswith(_ATTRIBUTE)}
        or None,
    )
