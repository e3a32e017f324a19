"""How much a network counts in a blend, and how surely."""

from typing import Any, Literal

import numpy as np
import pytest

from refeed.models.blend.weight import least_squares, will_weigh_nothing
from refeed.ratings.ids import Ids
from refeed.ratings.pairs import Aligned, align_to
from refeed.ratings.store import Ratings


def test_least_squares_are_numpys_and_the_error_is_that_of_repeated_draws() -> None:
    rng = np.random.default_rng(0)
    apart = rng.normal(size=400)
    found = []
    for _ in range(300):
        errors = 0.3 * apart + rng.normal(size=400) * (1 + np.abs(apart))  # noisier where they differ more
        weight, deviation = least_squares(apart, errors)
        assert weight == pytest.approx(float(np.linalg.lstsq(apart[:, None], errors)[0][0]))
        found.append((weight, deviation))
    weights, deviations = np.array(found).T
    assert weights.mean() == pytest.approx(0.3, abs=0.03)
    assert deviations.mean() == pytest.approx(weights.std(), rel=0.15)


class Fixed:
    """Predicts what it was given for each validation pair."""

    axis: Literal["user", "item"] = "user"
    folds_in = True

    def __init__(self, predicted: np.ndarray) -> None:
        self.predicted = predicted

    def predict(self, *_: Any) -> np.ndarray:
        return self.predicted

    def predict_all(self, *_: Any) -> np.ndarray:
        return self.predicted[None].astype(np.float32)

    def item_vectors(self) -> None:
        return None


def held_out() -> tuple[Ratings, Aligned]:
    rng = np.random.default_rng(0)
    who, what = np.nonzero(rng.random((40, 20)) < 0.5)
    user_ids, item_ids = Ids(f"u{n}" for n in range(40)), Ids(f"i{n}" for n in range(20))
    ratings = Ratings.from_arrays(
        who, what, rng.integers(1, 6, len(who)).astype(float), user_ids=user_ids, item_ids=item_ids
    )
    return ratings, align_to(ratings, ratings)


@pytest.mark.parametrize(("of_error", "nothing"), [(-0.8, True), (0.0, False), (0.5, False)])
def test_a_network_weighs_nothing_if_it_errs_where_the_ridge_errs_and_more(
    of_error: float, *, nothing: bool
) -> None:
    train, pairs = held_out()
    rng = np.random.default_rng(1)
    ridge = pairs.values + rng.normal(0, 0.5, len(pairs))
    network = ridge + of_error * (pairs.values - ridge) + rng.normal(0, 0.3, len(pairs))
    found = will_weigh_nothing(Fixed(ridge), Fixed(network), train, pairs)
    assert found is nothing
