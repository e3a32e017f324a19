"""The closed-form code, and the exact errors of leaving each rating out."""

import numpy as np
import pytest
import torch
from torch import Tensor

from refeed.models.ridge.posterior import leave_one_out, posterior

WIDTH, SHRINKAGE = 4, 0.7


class Users:
    """Some users' random ratings and vectors, padded to the longest; in float64."""

    def __init__(self, lengths: tuple[int, ...] = (6, 3, 1, 9), hidden: float = 0.0, seed: int = 0) -> None:
        random = torch.Generator().manual_seed(seed)
        shape = len(lengths), max(lengths)

        def draw(*size: int) -> Tensor:
            return torch.randn(size, generator=random, dtype=torch.float64)

        self.rated = torch.arange(shape[1]) < torch.tensor(lengths)[:, None]
        kept = torch.rand(shape, generator=random) >= hidden
        self.observed = (self.rated & kept).double()
        self.vectors = draw(*shape, WIDTH)
        self.values = draw(*shape)
        self.implicit = SHRINKAGE * draw(*shape, WIDTH) * self.observed[..., None]
        self.precision = SHRINKAGE + draw(len(lengths), WIDTH).abs()

    def left_out(self) -> Tensor:
        errors, _ = leave_one_out(self.vectors, self.values, self.implicit, self.precision, self.observed)
        return self.values - errors

    def refitted(self, user: int, place: int) -> float:
        """The code fitted again without the rating at a place, and what it predicts there."""
        matrix = torch.diag(self.precision[user]).clone()
        right = torch.zeros(WIDTH, dtype=torch.float64)
        for other in torch.nonzero(self.observed[user]).flatten().tolist():
            if other != place:
                x = self.vectors[user, other]
                matrix += torch.outer(x, x)
                right += x * self.values[user, other] + self.implicit[user, other]
        return float(self.vectors[user, place] @ torch.linalg.solve(matrix, right))


@pytest.mark.parametrize("hidden", [0.0, 0.4])
def test_leaving_one_out_is_refitting_without_it(hidden: float) -> None:
    users = Users(hidden=hidden)
    predicted = users.left_out()
    for user, place in torch.nonzero(users.rated).tolist():
        assert float(predicted[user, place]) == pytest.approx(users.refitted(user, place), abs=1e-9)


def test_the_code_solves_the_ridge_regression() -> None:
    users = Users(lengths=(5,))
    x, y = users.vectors[0], users.values[0]
    code = posterior(x[None], y[None], pull=users.implicit.sum(dim=1), precision=users.precision)
    matrix = x.t() @ x + torch.diag(users.precision[0])
    expected = torch.linalg.solve(matrix, x.t() @ y + users.implicit[0].sum(dim=0))
    torch.testing.assert_close(code.mean[0], expected, atol=1e-12, rtol=0)
    torch.testing.assert_close(code.covariance[0], torch.linalg.inv(matrix), atol=1e-12, rtol=0)


def test_gradients_are_those_of_finite_differences() -> None:
    users = Users(hidden=0.3)

    def loss(vectors: Tensor, values: Tensor, implicit: Tensor, precision: Tensor) -> Tensor:
        users.vectors, users.values, users.precision = vectors, values, precision.exp()
        users.implicit = implicit * users.observed[..., None]
        return ((users.left_out() - values) * users.rated).square().sum()

    inputs = (users.vectors, users.values, users.implicit, users.precision.log())
    assert torch.autograd.gradcheck(loss, [tensor.clone().requires_grad_() for tensor in inputs])


def test_without_any_rating_the_code_is_the_priors() -> None:
    nothing = torch.zeros(2, 0, WIDTH, dtype=torch.float64)
    pull = torch.ones(2, WIDTH, dtype=torch.float64)
    code = posterior(nothing, nothing[..., 0], pull=pull, precision=torch.full_like(pull, 4))
    torch.testing.assert_close(code.mean, pull / 4)


def test_a_rating_that_alone_decides_a_direction_stays_finite_in_float32() -> None:
    # Vectors of length 1e4 against a prior of 1e-3: h is 1 up to the 11th digit, and A's condition 1e11.
    vectors = 1e4 * torch.eye(WIDTH)[None].requires_grad_()
    values = torch.ones(1, WIDTH)
    implicit = torch.zeros(1, WIDTH, WIDTH)
    precision = torch.full((1, WIDTH), 1e-3)
    errors, leverages = leave_one_out(vectors, values, implicit, precision, values)
    (gradient,) = torch.autograd.grad(errors.square().sum(), vectors)
    assert torch.isfinite(errors).all()
    assert torch.isfinite(leverages).all()
    assert torch.isfinite(gradient).all()


def test_nearly_equal_vectors_are_solved_to_the_precision_of_float32() -> None:
    random = np.random.default_rng(0)
    x = np.repeat(random.normal(size=(1, WIDTH)), 300, axis=0) + 1e-4 * random.normal(size=(300, WIDTH))
    y, precision = random.normal(size=300), np.full(WIDTH, 0.05)
    exact = np.linalg.solve(x.T @ x + np.diag(precision), x.T @ y)
    code = posterior(
        torch.tensor(x[None], dtype=torch.float32),
        torch.tensor(y[None], dtype=torch.float32),
        pull=torch.zeros(1, WIDTH),
        precision=torch.tensor(precision[None], dtype=torch.float32),
    )
    np.testing.assert_allclose(code.mean[0].numpy(), exact, atol=5e-4)
