"""What every solver of factors finds, and how large it is."""

from dataclasses import dataclass

from jaxtyping import Float32
from torch import Tensor

from refeed.config.baselines import (
    CornacMFConfig,
    LenskitMFConfig,
    MyFMConfig,
    PmfConfig,
    SurpriseConfig,
    SvdppConfig,
)

__all__ = ["FactorConfig", "Factors", "width_of"]

FactorConfig = PmfConfig | SvdppConfig | SurpriseConfig | CornacMFConfig | LenskitMFConfig | MyFMConfig


@dataclass(frozen=True, eq=False)
class Factors:
    """What a solver has found, for ratings from 1 to 5.

    Args:
        mean: μ.
        user_biases: b_u.
        item_biases: b_i.
        users: p_u.
        items: q_i.
    """

    mean: float
    user_biases: Float32[Tensor, " users"]
    item_biases: Float32[Tensor, " items"]
    users: Float32[Tensor, "users width"]
    items: Float32[Tensor, "items width"]


def width_of(config: FactorConfig, n_users: int, n_items: int) -> int:
    """The length of the factors."""
    return min(config.width, n_users, n_items) if isinstance(config, MyFMConfig) else config.rank
