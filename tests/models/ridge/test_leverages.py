"""xᵀA⁻¹x of all items for many users, against the sum written out."""

import pytest
import torch

from refeed.models.ridge.posterior import leverages


@pytest.mark.parametrize("users", [1, 15, 16, 40])
def test_it_is_the_quadratic_form_however_many_the_users(users: int) -> None:
    generator = torch.Generator().manual_seed(users)
    roots = torch.randn(users, 7, 7, generator=generator, dtype=torch.float64)
    covariance = torch.linalg.inv(roots @ roots.mT + torch.eye(7, dtype=torch.float64))
    vectors = torch.randn(3000, 7, generator=generator, dtype=torch.float64)

    found = leverages(covariance, vectors)

    expected = torch.einsum("iv,uvw,iw->ui", vectors, covariance, vectors)
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(
        leverages(covariance.float(), vectors.float()).double(), expected, rtol=1e-4, atol=1e-5
    )
