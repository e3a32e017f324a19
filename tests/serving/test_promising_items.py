"""Lists from the most promising items alone are the lists from all items."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

pytest.importorskip("fastapi", reason="needs the extra serve")

from refeed.serve.lines import Question
from refeed.serve.ranking import _promising_ranked, best

NOTHING = np.empty(0, dtype=np.int64), np.empty(0, dtype=np.float32)


@given(st.integers(0, 2**32 - 1), st.sampled_from([0.0, 0.1, 3.0, 30.0]), st.booleans())
def test_they_are_those_of_all_items(seed: int, strength: float, tied: bool) -> None:
    rng = np.random.default_rng(seed)
    people, items = 5, int(rng.integers(1, 1500))
    bounds = rng.normal(size=(people, items)).astype(np.float32)
    terms = (-strength * rng.random((people, items))).astype(np.float32)
    if tied:
        bounds, terms = np.round(bounds), np.round(terms)
    bounds[rng.random((people, items)) < 0.3] = -np.inf
    questions = [
        Question(*NOTHING, k=int(rng.integers(1, 40)), offset=int(rng.integers(20))) for _ in range(people)
    ]
    looked_at = 0

    def scores(of: NDArray[np.int64], some: NDArray[np.int64]) -> NDArray[np.float32]:
        nonlocal looked_at
        looked_at += some.size
        return np.asarray(bounds[of[:, None], some] + terms[of[:, None], some])

    lengths = [question.offset + question.k for question in questions]
    listed = _promising_ranked(lengths, questions, bounds, scores)
    for at, question in enumerate(questions):
        every = bounds[at] + terms[at]
        items_of_all = best(every, lengths[at])[question.offset :]
        np.testing.assert_array_equal(listed[at].items, items_of_all)
        np.testing.assert_array_equal(listed[at].scores, every[items_of_all])
    if not strength:
        assert looked_at <= people * 256 or tied
