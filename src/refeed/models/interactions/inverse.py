"""The inverse of a symmetric positive definite matrix in its own place."""

import torch
from jaxtyping import Float
from torch import Tensor

from refeed.errors import ConfigError

__all__ = ["invert_in_place"]


def invert_in_place(matrix: Float[Tensor, "n n"]) -> None:
    """Replace a symmetric positive definite matrix by its inverse; no second one of its size is made.

    Cholesky factorisation and inversion by LAPACK (potrf, potri), n³ multiplications and additions in all.

    Args:
        matrix: contiguous; only its upper triangle is read.

    Raises:
        ConfigError: the matrix is not positive definite: it needs a stronger ridge.
    """
    if not len(matrix):
        return
    # LAPACK's matrices lie column by column: there ours is its own transpose.
    columns, failed = matrix.mT, torch.empty((), dtype=torch.int32, device=matrix.device)
    torch.linalg.cholesky_ex(columns, out=(columns, failed))
    if int(failed):
        raise ConfigError(
            f"the matrix of {len(matrix):,} items has no Cholesky factorisation (it fails at item "
            f"{int(failed):,}): give a stronger ridge"
        )
    torch.cholesky_inverse(columns, out=columns)
