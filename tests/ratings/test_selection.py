from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refeed.ratings import blocks
from refeed.ratings.ids import Ids
from refeed.ratings.store import Ratings


@pytest.mark.parametrize("block", [1, 3, 1000])
@given(kept=st.lists(st.lists(st.booleans(), max_size=6), max_size=6))
def test_a_selection_is_the_same_whatever_the_block(block: int, kept: list[list[bool]]) -> None:
    rows = [(u, i) for u, row in enumerate(kept) for i in range(len(row))]
    users, items = np.array(rows, dtype=np.int64).reshape(-1, 2).T
    ids = Ids(str(u) for u in range(len(kept)))
    ratings = Ratings.from_arrays(users, items, items / 2, user_ids=ids, item_ids=Ids("abcdef"))
    with patch.object(blocks, "_BLOCK", block):
        selected = ratings.select(np.array([flag for row in kept for flag in row], dtype=np.bool_))
        compacted = selected.compact()
        item_counts = selected.item_counts
    expected = [(str(u), "abcdef"[i]) for u, row in enumerate(kept) for i, flag in enumerate(row) if flag]
    for part in (selected, compacted):
        pairs = zip(part.users.tolist(), part.items.tolist(), strict=True)
        assert [(part.user_ids[u], part.item_ids[i]) for u, i in pairs] == expected
    assert item_counts.tolist() == [sum(i == item for _, i in expected) for item in "abcdef"]
    assert compacted.n_users == len({u for u, _ in expected})
    assert compacted.n_items == len({i for _, i in expected})
