"""Histories shorter than the code: the space of the ratings gives the numbers of the space of the code."""

import pytest
import torch
from torch import Tensor

from refeed.models.ridge import posterior as closed_form
from refeed.models.ridge.dual import leave_one_out_of_few, posterior_of_few


def case(places: int, width: int) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Vectors, values, implicit, precision, and which places are observed; some users have none."""
    random = torch.Generator().manual_seed(0)

    def normal(*shape: int) -> Tensor:
        return torch.randn(shape, generator=random, dtype=torch.float64)

    observed = (torch.rand(7, places, generator=random) > 0.4).double()
    observed[0] = 0
    implicit = normal(7, places, width) * observed[..., None]
    return normal(7, places, width), normal(7, places), implicit, normal(7, width).exp(), observed


@pytest.fixture
def in_the_code(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the space of the code serve short histories, too."""
    monkeypatch.setattr(closed_form, "_are_few", lambda _: False)


@pytest.mark.usefixtures("in_the_code")
@pytest.mark.parametrize(("places", "width"), [(1, 4), (5, 9), (9, 4)])
def test_errors_leverages_and_gradients_are_the_same(places: int, width: int) -> None:
    *inputs, observed = case(places, width)
    weights = torch.randn(7, places, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    results = []
    for way in (closed_form.leave_one_out, leave_one_out_of_few):
        given = [tensor.clone().requires_grad_() for tensor in inputs]
        errors, leverages = way(given[0], given[1], given[2], given[3], observed)
        gradients = torch.autograd.grad((errors * weights).sum(), given)
        masked = [gradients[0], gradients[1], gradients[2] * observed[..., None], gradients[3]]
        results.append([errors.detach(), leverages, *masked])
    for one, other in zip(*results, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-9)


@pytest.mark.usefixtures("in_the_code")
def test_codes_and_their_covariances_are_the_same() -> None:
    vectors, values, implicit, precision, observed = case(5, 9)
    seen = vectors * observed[..., None]
    expected = closed_form.posterior(seen, values, pull=implicit.sum(dim=1), precision=precision)
    mean, covariance = posterior_of_few(seen, values, pull=implicit.sum(dim=1), precision=precision)
    torch.testing.assert_close(mean, expected.mean, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(covariance, expected.covariance, rtol=1e-9, atol=1e-9)


def test_a_training_that_diverged_has_no_loss_rather_than_an_error_of_the_solver() -> None:
    vectors, values, implicit, precision, observed = case(3, 5)
    errors, _ = leave_one_out_of_few(vectors * torch.nan, values, implicit, precision, observed)
    assert errors.isnan().any()
