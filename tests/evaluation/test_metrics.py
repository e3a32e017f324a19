"""RMSE and MAE against scikit-learn."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.metrics import mean_absolute_error, root_mean_squared_error

from refeed.errors import DataError
from refeed.evaluation.metrics import clipped, mae, rmse, user_errors

_VALUES = arrays(
    np.float64, st.shared(st.integers(1, 50), key="n"), elements=st.floats(-1e6, 1e6, allow_subnormal=False)
)


@given(predicted=_VALUES, actual=_VALUES)
def test_pooled_errors_are_those_of_scikit_learn(
    predicted: np.typing.NDArray[np.float64], actual: np.typing.NDArray[np.float64]
) -> None:
    assert rmse(predicted, actual) == pytest.approx(root_mean_squared_error(actual, predicted), rel=1e-12)
    assert mae(predicted, actual) == pytest.approx(mean_absolute_error(actual, predicted), rel=1e-12)


@given(predicted=_VALUES, actual=_VALUES, seed=st.integers(0, 100))
def test_user_errors_add_up_to_the_pooled_ones(
    predicted: np.typing.NDArray[np.float64], actual: np.typing.NDArray[np.float64], seed: int
) -> None:
    users = np.random.default_rng(seed).integers(5, size=len(actual))
    errors = user_errors(users, predicted, actual, n_users=5)
    assert errors.counts.sum() == len(actual)
    total = errors.counts.sum()
    assert np.sqrt(errors.squared.sum() / total) == pytest.approx(rmse(predicted, actual), rel=1e-9)
    assert errors.absolute.sum() / total == pytest.approx(mae(predicted, actual), rel=1e-9)


def test_user_errors_belong_to_their_user() -> None:
    errors = user_errors(np.array([2, 0, 2]), np.array([1.0, 2.0, 3.0]), np.array([3.0, 3.0, 2.5]), n_users=3)
    assert errors.counts.tolist() == [1, 0, 2]
    assert errors.squared.tolist() == [1, 0, 4.25]
    assert errors.absolute.tolist() == [1, 0, 2.5]


def test_errors_are_summed_in_float64_whatever_comes_in() -> None:
    # In float32 the sum of 40 million ones stops at 16,777,216; here 1e8 swallows every 1 after it.
    predicted = np.array([1e8] + [1.0] * 1000, dtype=np.float32)
    actual = np.zeros(1001, dtype=np.float32)
    assert mae(predicted, actual) * 1001 == pytest.approx(1e8 + 1000, rel=1e-12)


@given(predicted=_VALUES, low=st.floats(-10, 0), high=st.floats(1, 10))
def test_clipping_stays_on_the_scale_and_leaves_what_is_on_it(
    predicted: np.typing.NDArray[np.float64], low: float, high: float
) -> None:
    inside = clipped(predicted, (low, high))
    assert ((inside >= low) & (inside <= high)).all()
    on_scale = (predicted >= low) & (predicted <= high)
    np.testing.assert_array_equal(inside[on_scale], predicted[on_scale])


def test_an_error_over_nothing_is_refused() -> None:
    with pytest.raises(DataError, match="over no ratings"):
        rmse(np.empty(0), np.empty(0))
    with pytest.raises(DataError, match="over no ratings"):
        mae(np.empty(0), np.empty(0))
