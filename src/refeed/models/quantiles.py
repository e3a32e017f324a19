"""Quantiles of a model's errors, on numpy alone: how wide intervals are (see `intervals.py`)."""

import numpy as np
from numpy.typing import NDArray

from refeed.errors import ConfigError

__all__ = ["LEVELS", "error_deviation", "interval_ends", "quantiles"]

LEVELS: NDArray[np.float64] = np.arange(1, 200) / 200
"""0.005 to 0.995: probabilities of lying below the quantile, [levels]."""


def quantiles(errors: NDArray[np.float64], predictive_std: NDArray[np.float64]) -> NDArray[np.float64]:
    """The quantiles of errors in units of their standard deviation, at `LEVELS`; arguments are [ratings]."""
    found: NDArray[np.float64] = np.quantile(errors / predictive_std, LEVELS)
    return found


def interval_ends(at_levels: NDArray[np.float64], coverage: float) -> tuple[float, float]:
    """Between which quantiles a share of the errors lies, in units of their standard deviation.

    Args:
        at_levels: the quantiles at `LEVELS`.
        coverage: the share, from 0.01 to 0.99; as much is left out below as above.

    Raises:
        ConfigError: another coverage.
    """
    if not 0.01 <= coverage <= 0.99:
        raise ConfigError(f"interval = {coverage}: give the share of ratings to be within, from 0.01 to 0.99")
    low, high = np.interp([(1 - coverage) / 2, (1 + coverage) / 2], LEVELS, at_levels)
    return float(low), float(high)


def error_deviation(at_levels: NDArray[np.float64]) -> float:
    """σ of the errors, from their middle two thirds: outliers don't count."""
    low, high = np.interp([0.16, 0.84], LEVELS, at_levels)
    return float(high - low) / 2
