"""The walk through the settings of models of interactions."""

import numpy as np
from jaxtyping import Float64

from refeed.models.interactions.search import Search
from refeed.models.interactions.settings import DEFAULTS, Settings


def _search(ndcg: dict[tuple[float, float], float]) -> Settings:
    """The best settings where only recency and its span matter, and what isn't listed is poor."""
    fixed = {name: value for name, value in vars(DEFAULTS).items() if not name.startswith("recency")}

    def trial(settings: Settings) -> Float64[np.ndarray, " users"]:
        return np.full(100, ndcg.get((settings.recency_span, settings.recency), 0.1))

    return Search(trial, fixed, lambda _: None, timed=True, graded=False).best()


def test_the_best_span_with_little_recency_need_not_be_the_best_with_much() -> None:
    best = _search(
        {(30.0, 1.0): 0.137, (30.0, 2.0): 0.143, (10.0, 1.0): 0.135, (10.0, 2.0): 0.144, (10.0, 4.0): 0.152}
    )

    assert (best.recency_span, best.recency) == (10.0, 4.0)


def test_recency_that_is_no_better_is_left_out() -> None:
    assert _search({(10.0, 4.0): 0.2}).recency == 0.0
