"""The sparse products against dense ones, and their gradients."""

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from refeed.models.autoencoder.sparse import Batch, decode_at, encode


def batch_of(dense: np.ndarray, rated: np.ndarray) -> Batch:
    """The rated entries of a dense matrix."""
    users, items = np.nonzero(rated)
    indptr = np.concatenate([[0], np.cumsum(np.bincount(users, minlength=len(dense)))])
    return Batch.from_numpy(
        indptr,
        items,
        dense[users, items],
        n_items=dense.shape[1],
        device=torch.device("cpu"),
        dtype=torch.float64,
    )


def example(
    seed: int, users: int, items: int, width: int, density: float
) -> tuple[np.ndarray, np.ndarray, torch.Tensor, torch.Tensor]:
    rng = np.random.default_rng(seed)
    dense, rated = rng.normal(size=(users, items)), rng.random((users, items)) < density
    weight = torch.from_numpy(rng.normal(size=(items, width))).requires_grad_()
    hidden = torch.from_numpy(rng.normal(size=(users, width))).requires_grad_()
    return dense, rated, weight, hidden


sizes = st.integers(1, 9)


@given(st.integers(0, 2**32 - 1), sizes, sizes, sizes, st.floats(0, 1))
def test_encode_is_the_dense_product_and_so_is_its_gradient(
    seed: int, users: int, items: int, width: int, density: float
) -> None:
    dense, rated, weight, hidden = example(seed, users, items, width, density)
    batch = batch_of(dense, rated)
    sums = encode(weight, batch.values, batch)
    expected = torch.from_numpy(np.where(rated, dense, 0.0)) @ weight
    torch.testing.assert_close(sums, expected)
    (gradient,) = torch.autograd.grad(sums, weight, hidden.detach())
    (expected_gradient,) = torch.autograd.grad(expected, weight, hidden.detach())
    torch.testing.assert_close(gradient, expected_gradient)


@given(st.integers(0, 2**32 - 1), sizes, sizes, sizes, st.floats(0, 1))
def test_decode_at_is_the_dense_product_at_the_pairs_and_so_are_its_gradients(
    seed: int, users: int, items: int, width: int, density: float
) -> None:
    dense, rated, weight, hidden = example(seed, users, items, width, density)
    batch = batch_of(dense, rated)
    products = decode_at(hidden, weight, batch)
    expected = (hidden @ weight.t())[torch.from_numpy(rated)]
    torch.testing.assert_close(products, expected)
    upstream = torch.from_numpy(np.random.default_rng(seed + 1).normal(size=len(products)))
    for gradient, wanted in zip(
        torch.autograd.grad(products, (hidden, weight), upstream),
        torch.autograd.grad(expected, (hidden, weight), upstream),
        strict=True,
    ):
        torch.testing.assert_close(gradient, wanted)


def test_gradients_equal_finite_differences() -> None:
    dense, rated, weight, hidden = example(seed=3, users=4, items=6, width=3, density=0.5)
    batch = batch_of(dense, rated)
    assert torch.autograd.gradcheck(lambda w: encode(w, batch.values, batch), (weight,))
    assert torch.autograd.gradcheck(lambda h, w: decode_at(h, w, batch), (hidden, weight))


def test_pairs_may_come_in_any_order() -> None:
    batch = Batch.from_numpy(
        np.array([0, 3]),
        np.array([4, 0, 2]),
        np.ones(3),
        n_items=5,
        device=torch.device("cpu"),
        dtype=torch.float64,
    )
    weight = torch.arange(10, dtype=torch.float64).reshape(5, 2)
    hidden = torch.tensor([[1.0, 10.0]], dtype=torch.float64)
    assert decode_at(hidden, weight, batch).tolist() == [98.0, 10.0, 54.0]
    assert encode(weight, batch.values, batch).tolist() == [[12.0, 15.0]]


def test_arrays_that_cannot_be_written_to_are_copied_without_a_warning() -> None:
    indptr = np.array([0, 2, 3])
    items, values = np.array([0, 2, 1], dtype=np.int32), np.array([1.0, 2.0, 3.0], dtype=np.float32)
    for array in (items, values):  # as a store's mapped files are
        array.setflags(write=False)
    torch.set_warn_always(True)  # else it warns once in a process; warnings are errors here
    try:
        batch = Batch.from_numpy(
            indptr, items, values, n_items=3, device=torch.device("cpu"), dtype=torch.float32
        )
    finally:
        torch.set_warn_always(False)
    assert batch.items.tolist() == [0, 2, 1]
    assert batch.values.tolist() == [1, 2, 3]
