"""Item-kNN: an item suits whom its nearest items suited (Sarwar et al. 2001; Deshpande & Karypis 2004)."""

import warnings
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float32, Int64
from torch import Tensor

from refeed.errors import ConfigError
from refeed.ratings.store import Ratings

__all__ = ["ItemKNN", "Weighting"]

Weighting = Literal["cosine", "bm25"]
_BLOCK = 1 << 22  # similarities at a time: 16 MB
_K1, _B = 1.2, 0.75  # of BM25, as its authors recommend


@dataclass(frozen=True, eq=False)
class ItemKNN:
    """Scores an item by the similarities of its nearest items to it, summed over those in the history.

    Args:
        similarities: items × items, sparse: of the item of a column to its k nearest ones, each in its row.
    """

    similarities: Tensor

    @classmethod
    def fit(
        cls, train: Ratings, *, k: int = 200, weighting: Weighting = "cosine", shrink: float = 0.0
    ) -> "ItemKNN":
        """Find each item's k nearest ones by the people whom they share.

            cosine:  Σ_u x_ui x_uj / (|x_i| |x_j| + shrink), with x_ui 1 where user u took item i up
            bm25:    Σ_u w_ui w_uj, with w_ui = idf_u (k1 + 1) / (1 + k1 (1 − b + b n_i / mean n)), n_i users

        BM25 (Robertson & Walker 1994) takes items for documents and their users for words, k1 = 1.2, b = .75,
        so a user who took much up says little: idf_u = log((1 + items) / (1 + n_u)). Memory beside the
        training
        data: a block of items × items, and the neighbours.

        Args:
            train: who took up what; the ratings themselves don't count.
            k: neighbours of each item, at least 1.
            weighting: see above.
            shrink: of the cosine; it takes from items that share few people.

        Raises:
            ConfigError: k below 1, a negative shrink, or another weighting.
        """
        if k < 1 or shrink < 0 or weighting not in {"cosine", "bm25"}:
            raise ConfigError(
                f"item-kNN wants k of 1 or more, shrink of 0 or more and cosine or bm25; got {k}, {shrink}, "
                f"{weighting}"
            )
        by_user = _sparse(train, _weights(train, weighting))
        by_item = by_user.t().coalesce()
        lengths = torch.from_numpy(np.sqrt(train.item_counts)).float()
        k, size = min(k, train.n_items), max(1, _BLOCK // max(train.n_items, 1))
        values, rows = [], []
        for first in range(0, train.n_items, size):
            some = torch.arange(first, min(first + size, train.n_items))
            block = _product(_rows(by_item, some), by_user)
            if weighting == "cosine":
                block /= (lengths[some, None] * lengths + shrink).clamp(min=1.0)
            block[torch.arange(len(some)), some] = 0.0  # nothing is its own neighbour
            best = block.topk(k)
            values.append(best.values.flatten())
            rows.append(best.indices.flatten())
        columns = torch.arange(train.n_items).repeat_interleave(k)
        return cls(_matrix(torch.cat(rows), columns, torch.cat(values), (train.n_items, train.n_items)))

    def scores(
        self, histories: Ratings, users: Int64[np.ndarray, " users"]
    ) -> Float32[Tensor, "users items"]:
        """Sum over each item's neighbours that are in the history."""
        indptr, items, _ = histories.rows(users)
        owners = torch.from_numpy(np.repeat(np.arange(len(users)), np.diff(indptr)))
        taken = _matrix(
            owners,
            torch.from_numpy(items.astype(np.int64)),
            torch.ones(len(items)),
            (len(users), histories.n_items),
        )
        return _product(taken, self.similarities)


def _weights(train: Ratings, weighting: Weighting) -> Float32[np.ndarray, " ratings"]:
    """What each pair of a user and an item counts."""
    weights: Float32[np.ndarray, " ratings"] = np.ones(len(train), dtype=np.float32)
    if weighting == "bm25":
        relative = train.item_counts / max(float(train.item_counts.mean()), 1e-9)
        idf = np.log((1 + train.n_items) / (1 + train.user_counts))
        saturation = (_K1 + 1) / (1 + _K1 * (1 - _B + _B * relative))
        weights = (idf[train.users] * saturation[train.items]).astype(np.float32)
    return weights


def _sparse(train: Ratings, weights: Float32[np.ndarray, " ratings"]) -> Tensor:
    users, items = torch.from_numpy(train.users), torch.from_numpy(train.items.astype(np.int64))
    return _matrix(users, items, torch.from_numpy(weights), (train.n_users, train.n_items))


def _matrix(
    rows: Int64[Tensor, " values"],
    columns: Int64[Tensor, " values"],
    values: Float32[Tensor, " values"],
    shape: tuple[int, int],
) -> Tensor:
    """A sparse matrix without its zeros."""
    there = values != 0
    places = torch.stack([rows, columns])[:, there]
    return torch.sparse_coo_tensor(places, values[there], shape, check_invariants=False).coalesce()


def _product(one: Tensor, other: Tensor) -> Float32[Tensor, "rows columns"]:
    """The dense product of two sparse matrices."""
    with warnings.catch_warnings():  # of a layout that torch goes through, and calls young
        warnings.filterwarnings("ignore", message="Sparse CSR tensor support")
        product: Tensor = torch.sparse.mm(one, other).to_dense()
        return product


def _rows(matrix: Tensor, some: Int64[Tensor, " some"]) -> Tensor:
    """Some rows of a coalesced sparse matrix; they follow each other."""
    places, bounds = matrix.indices(), torch.tensor([int(some[0]), int(some[-1]) + 1])
    first, last = torch.searchsorted(places[0].contiguous(), bounds).tolist()
    inside = places[:, first:last]
    return _matrix(inside[0] - some[0], inside[1], matrix.values()[first:last], (len(some), matrix.shape[1]))
