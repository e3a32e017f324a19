"""Sums over who rated what, with and without the compiled kernels."""

import numpy as np
import pytest
import torch

from refeed.models.ridge.interaction_matrix import InteractionMatrix
from refeed.ratings.ids import Ids
from refeed.ratings.store import Ratings


@pytest.mark.parametrize("compiled", [True, False])
def test_sums_are_the_products_with_the_matrix_of_who_rated_what(
    compiled: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not compiled:
        monkeypatch.setattr("refeed.kernels.serves", lambda *_: False)
    rated = np.random.default_rng(0).random((40, 25)) < 0.2
    rated[:, 3] = False  # an item of nobody's
    rated[5] = False  # somebody who rated nothing
    who, what = np.nonzero(rated)
    train = Ratings.from_arrays(
        who,
        what,
        np.ones(len(who)),
        user_ids=Ids(f"u{n}" for n in range(40)),
        item_ids=Ids(f"i{n}" for n in range(25)),
    )
    matrix = torch.from_numpy(rated).double()
    of_users, of_items = torch.randn(40, 3).double(), torch.randn(25, 3).double()
    sums = InteractionMatrix(train, torch.device("cpu"))
    torch.testing.assert_close(sums.over_users(of_users), matrix.T @ of_users)
    torch.testing.assert_close(sums.over_items(of_items), matrix @ of_items)
